"""The deployed stack writes receipts: EventBridge, the receipt function with its role, KMS and S3.

A real PostgreSQL is rotated. The receipts are verified offline by the command, from a copy of the bucket.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from rotators.local.aws import LocalAws
from rotators.local.servers.postgres import PostgresServer
from rotators.receipts.envelope import Envelope, signed_bytes
from rotators.receipts.storage import Bucket, StoredReceipt
from tests.cli.command import command
from tests.iam import scenarios
from tests.world import World

NAME = "proven"
WAIT = 300.0
EVERYTHING = [{"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"}]


@dataclass(frozen=True)
class Deployed:
    """The stack, a secret with two rotations, and the names of function, bucket, key and rule.

    Attributes:
        versions: of the two rotations; tests add others.
        receipts: of the two rotations.
    """

    stack: scenarios.Stack
    arn: str
    function: str
    bucket: str
    key: str
    rule: str
    versions: tuple[str, ...] = ()
    receipts: tuple[StoredReceipt, ...] = ()

    def client(self, service: str, who: str = "") -> Any:
        """A client of a caller whose own policies allow everything, or of a developer."""
        named = {"AccessKeyId": f"local-{who}", "SecretAccessKey": "x", "SessionToken": "x"} if who else None
        return self.stack.world.aws.client(service, credentials=named)

    def count(self) -> int:
        return len(list(Bucket(self.bucket).read()))

    def ended(self, outcome: str) -> int:
        """How often the function has ended with an outcome."""
        return self.stack.world.aws.logs(self.function).count(self._end(outcome))

    def wait(self, outcome: str, times: int) -> None:
        """Wait until the function has ended so often with an outcome."""
        self.stack.world.aws.wait_for_log(self.function, self._end(outcome), WAIT, times=times)

    def _end(self, outcome: str) -> str:
        return f'"outcome":"{outcome}","secret":"{self.arn}"'

    def pem(self) -> bytes:
        der = self.client("kms").get_public_key(KeyId=self.key)["PublicKey"]
        return load_der_public_key(der).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def deployed(aws: LocalAws, server: PostgresServer) -> Iterator[Deployed]:
    """The stack with its roles enforced. EventBridge delivers every event twice."""
    world = World(aws, server)
    stack = scenarios.deploy(world, NAME, ReceiptRetentionDays="30")
    found = aws.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"][0]["Outputs"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found}
    aws.watch({**stack.watched(), "owner": EVERYTHING})
    aws.event_deliveries = 2
    arn = stack.store("app/db", world.user(), Rotation=scenarios._rotation(stack))
    scenarios._wait_for_trial(stack, arn)
    ids = scenarios._ids(world, NAME)
    made = Deployed(
        stack,
        arn,
        function=outputs["ReceiptFunctionArn"],
        bucket=outputs["ReceiptsBucketName"],
        key=outputs["ReceiptsKeyArn"],
        rule=ids["SucceededRotations"],
    )
    versions = []
    for number in (1, 2):  # each event arrives twice
        assert stack.rotated(arn).ok
        versions.append(str(world.secrets.get_secret_value(SecretId=arn)["VersionId"]))
        made.wait("written", number)
        made.wait("nothing-missing", number)
    yield replace(made, versions=tuple(versions), receipts=tuple(Bucket(made.bucket).read()))
    aws.event_deliveries = 1
    aws.watch(None)
    aws.client("cloudformation").delete_stack(StackName=NAME)


def copied(deployed: Deployed, receipts: Iterable[StoredReceipt], folder: Path) -> tuple[str, str]:
    """A folder with receipts, as `aws s3 sync` makes it, and a file with the public key."""
    for each in receipts:
        (folder / "receipts" / each.place).parent.mkdir(parents=True, exist_ok=True)
        (folder / "receipts" / each.place).write_bytes(each.data)
    (folder / "public.pem").write_bytes(deployed.pem())
    return str(folder / "receipts"), str(folder / "public.pem")


def test_rotations_have_receipts_that_verify_offline(deployed: Deployed, tmp_path: Path) -> None:
    folder, key = copied(deployed, deployed.receipts, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")  # nothing answers there
        done = command("receipt", "verify", folder, "--key", key, "--json")
    assert (done.status, done.stderr) == (0, "")
    (chain,) = json.loads(done.stdout)["chains"]
    assert (chain["secret"], chain["receipts"], chain["intact"], chain["notes"]) == (
        deployed.arn,
        2,
        True,
        [],
    )


def test_a_bucket_verifies_like_its_copy(deployed: Deployed, tmp_path: Path) -> None:
    folder, key = copied(deployed, Bucket(deployed.bucket).read(), tmp_path)
    found = [
        command("receipt", "verify", place, "--key", key, "--json")
        for place in (folder, f"s3://{deployed.bucket}")
    ]
    assert [each.status for each in found] == [0, 0]
    assert json.loads(found[0].stdout) == json.loads(found[1].stdout)


def test_a_receipt_has_the_facts_of_its_rotation(deployed: Deployed) -> None:
    first, second = (Envelope.decoded(each.data) for each in deployed.receipts)
    statement = json.loads(second.payload)
    receipt = statement["predicate"]
    assert receipt["version"] == deployed.versions[1]
    assert (
        receipt["replacedVersion"]
        == json.loads(first.payload)["predicate"]["version"]
        == deployed.versions[0]
    )
    assert [each["name"] for each in receipt["steps"]] == [
        "createSecret",
        "setSecret",
        "testSecret",
        "finishSecret",
    ]
    times = [time for each in receipt["steps"] for time in (each["started"], each["ended"])]
    assert times == sorted(times)
    assert (receipt["rotator"], receipt["strategy"], receipt["passedTests"]) == (
        "postgres",
        "single",
        ["testSecret"],
    )
    function = deployed.client("lambda").get_function_configuration(FunctionName=deployed.stack.rotate_arn)
    assert bytes.fromhex(receipt["code"]["sha256"]) == b64decode(function["CodeSha256"])
    assert (receipt["unknown"], receipt["filledLater"]) == ([], False)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": deployed.arn, "digest": {"secretVersionId": receipt["version"]}}]


def test_the_signature_of_kms_is_plain_ecdsa(deployed: Deployed) -> None:
    public = load_der_public_key(deployed.client("kms").get_public_key(KeyId=deployed.key)["PublicKey"])
    assert isinstance(public, ec.EllipticCurvePublicKey)
    for file in Bucket(deployed.bucket).read():
        envelope = Envelope.decoded(file.data)
        public.verify(envelope.signature, signed_bytes(envelope.payload), ec.ECDSA(SHA256()))


def test_receipts_contain_no_value(deployed: Deployed) -> None:
    files = b"".join(Envelope.decoded(each.data).payload for each in Bucket(deployed.bucket).read())
    for stage in ("AWSCURRENT", "AWSPREVIOUS"):
        assert deployed.stack.world.value(deployed.arn, stage)["password"].encode() not in files


def test_a_receipt_cannot_be_overwritten_or_hidden(deployed: Deployed) -> None:
    place = next(iter(Bucket(deployed.bucket).read())).place
    at = {"Bucket": deployed.bucket, "Key": place}
    owner, developer = deployed.client("s3", "owner"), deployed.client("s3")
    version = developer.list_object_versions(Bucket=deployed.bucket)["Versions"][0]["VersionId"]
    requests: list[Callable[[], object]] = [
        lambda: owner.put_object(**at, Body=b"x"),
        lambda: owner.put_object(Bucket=deployed.bucket, Key="new", Body=b"x", IfNoneMatch="*"),
        lambda: owner.delete_object(**at),
        lambda: developer.delete_object(**at, VersionId=version, BypassGovernanceRetention=True),
        lambda: deployed.client("s3", f"{NAME}-receipt").put_object(**at, Body=b"x"),
    ]
    for request in requests:
        with pytest.raises(ClientError, match="AccessDenied"):
            request()
    taken = deployed.client("s3", f"{NAME}-receipt")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        taken.put_object(**at, Body=b"x", IfNoneMatch="*")
    assert owner.get_object(**at, VersionId=version)["Body"].read()


def test_other_principals_cannot_sign(deployed: Deployed) -> None:
    owner = deployed.client("kms", "owner")
    assert owner.get_public_key(KeyId=deployed.key)["PublicKey"]
    with pytest.raises(ClientError, match="AccessDenied"):
        owner.sign(KeyId=deployed.key, Message=b"x", SigningAlgorithm="ECDSA_SHA_256")


def test_the_daily_run_fills_a_lost_event(deployed: Deployed, tmp_path: Path) -> None:
    deployed.client("events").disable_rule(Name=deployed.rule)
    assert deployed.stack.rotated(deployed.arn).ok
    answers = [deployed.stack.invoke("receipt", {"Fill": True}) for _ in range(2)]
    deployed.client("events").enable_rule(Name=deployed.rule)
    assert [(len(answer["Receipts"]), answer["Left"]) for answer in answers] == [(1, 0), (0, 0)]
    folder, key = copied(deployed, Bucket(deployed.bucket).read(), tmp_path)
    done = command("receipt", "verify", folder, "--key", key)
    assert done.status == 0
    assert f"receipt {deployed.count()} was written later" in done.stdout


def test_a_disabled_key_delays_receipts_only(deployed: Deployed) -> None:
    before, failed, kms = deployed.count(), deployed.ended("failed"), deployed.client("kms")
    kms.disable_key(KeyId=deployed.key)
    assert deployed.stack.rotated(deployed.arn).ok
    deployed.wait("failed", failed + 6)  # two deliveries, each tried three times
    fill = ("receipt", "fill", "--stack", NAME)
    shown = command(*fill)
    assert (shown.status, "disabled" in shown.stdout) == (1, True)
    kms.enable_key(KeyId=deployed.key)
    (listed,) = json.loads(command(*fill, "--json").stdout)["missing"]
    assert (listed["SecretId"], listed["Receipts"]) == (deployed.arn, 1)
    assert deployed.count() == before
    assert command(*fill, "--yes").status == 0
    assert deployed.count() == before + 1
    assert "No receipt is missing." in command(*fill).stdout


def test_a_closed_bucket_delays_receipts_only(deployed: Deployed) -> None:
    """Nobody may write for a while; the command can be repeated."""
    storage, at = deployed.client("s3"), {"Bucket": deployed.bucket}
    policy = storage.get_bucket_policy(**at)["Policy"]
    closed = json.loads(policy)
    for statement in closed["Statement"]:
        if statement["Sid"] == "OnlyTheFunctionWrites":
            del statement["Condition"]
    storage.put_bucket_policy(**at, Policy=json.dumps(closed))
    before, failed = deployed.count(), deployed.ended("failed")
    assert deployed.stack.rotated(deployed.arn).ok
    deployed.wait("failed", failed + 6)
    fill = ("receipt", "fill", "--stack", NAME, "--yes")
    refused = command(*fill)
    assert refused.status == 1
    assert refused.stderr.startswith("rotators: [receipts-missing]")
    storage.put_bucket_policy(**at, Policy=policy)
    assert [command(*fill).status for _ in range(2)] == [0, 0]
    assert deployed.count() == before + 1


def test_the_bucket_is_locked_and_private(deployed: Deployed) -> None:
    storage, bucket = deployed.client("s3"), {"Bucket": deployed.bucket}
    lock = storage.get_object_lock_configuration(**bucket)["ObjectLockConfiguration"]
    retention = lock["Rule"]["DefaultRetention"]
    assert (retention["Mode"], retention["Days"]) == ("COMPLIANCE", 30)
    assert storage.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    assert {*storage.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values()} == {True}
    rule = storage.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
