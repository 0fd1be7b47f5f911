"""`rotators key`: keys of both kinds, the versions of secrets under a key, and rotation of keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from rotators.aws import clients
from rotators.local.aws import LocalAws
from rotators.manage.errors import KeyCannotRotate
from tests.manage.conftest import Fleet, run
from tests.world import unique


@pytest.fixture(scope="module")
def kms(aws: LocalAws) -> Any:
    return aws.client("kms")


def new_key(kms: Any, beginning: str = "", **settings: Any) -> str:
    """Create a key with an alias; return the alias."""
    arn = kms.create_key(**settings)["KeyMetadata"]["Arn"]
    alias = f"alias/{beginning}{unique('key')}"
    kms.create_alias(AliasName=alias, TargetKeyId=arn)
    return alias


def arn_of(kms: Any, named: str) -> str:
    return str(kms.describe_key(KeyId=named)["KeyMetadata"]["Arn"])


def listed(*options: str) -> dict[str, Any]:
    """The keys of `rotators key list` by their aliases."""
    found = json.loads(run("key", "list", "--json", *options).stdout)["keys"]
    return {alias: each for each in found for alias in each["aliases"]}


def test_keys_of_both_kinds_are_listed(kms: Any, fleet: Fleet) -> None:
    data = new_key(kms)
    signing = new_key(kms, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    kms.enable_key_rotation(KeyId=arn_of(kms, data), RotationPeriodInDays=100)
    for number, named in enumerate((data, arn_of(kms, data), arn_of(kms, data).rpartition("/")[2])):
        fleet.add(str(number), KmsKeyId=named)
    found = listed()
    assert (found[data]["secrets"], found[data]["rotation_days"]) == (3, 100)
    assert found[data]["next_rotation"] is not None
    assert (found[signing]["spec"], found[signing]["usage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")
    assert (found[signing]["secrets"], found[signing]["rotation_days"]) == (0, None)
    kms.schedule_key_deletion(KeyId=arn_of(kms, signing))
    deleted = listed()[signing]
    assert (deleted["state"], deleted["deletion"] is None) == ("PendingDeletion", False)


def test_the_keys_of_aws_are_listed_on_demand(kms: Any, fleet: Fleet) -> None:
    arn_of(kms, "alias/aws/secretsmanager")
    fleet.add("default")
    assert "alias/aws/secretsmanager" not in listed()
    found = listed("--aws")["alias/aws/secretsmanager"]
    assert found["managed_by_aws"]
    assert found["secrets"] >= 1


def test_the_table_is_for_people(kms: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    data = new_key(kms)
    kms.disable_key(KeyId=arn_of(kms, data))
    result = run("key", "list")
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if data in line)
    assert [cell.strip() for cell in row.split("│")[2:-1]] == [
        "SYMMETRIC_DEFAULT", "encrypt", "Disabled", "off", "0",
    ]  # fmt: skip
    assert "\nNext: `rotators key versions " in result.stdout


def test_the_next_action_names_a_symmetric_key(kms: Any, fleet: Fleet) -> None:
    new_key(kms, "0", KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    fleet.add("app", KmsKeyId=new_key(kms))
    keys = json.loads(run("key", "list", "--json").stdout)["keys"]
    found = {each["aliases"][0] if each["aliases"] else each["arn"].rpartition("/")[2]: each for each in keys}
    named = run("key", "list").stdout.rpartition("`rotators key versions ")[2].split("`")[0]
    assert (found[named]["spec"], found[named]["secrets"] > 0) == ("SYMMETRIC_DEFAULT", True)


@contextmanager
def answering(operation: str, key: str, code: str, text: str) -> Iterator[None]:
    """Let KMS answer an operation about a key with an error that the local AWS has no key for."""

    def answer(request: Any, **_: object) -> AWSResponse | None:
        if key.rpartition("/")[2] not in str(request.body):
            return None
        raw = BytesIO(json.dumps({"__type": code, "message": text}).encode())
        raw.stream = lambda **_: iter([raw.read()])  # type: ignore[attr-defined] # as urllib3's answers
        return AWSResponse(request.url, 400, HTTPHeaders(), raw)

    events = clients.kms_lister().meta.events
    events.register(f"before-send.kms.{operation}", answer)
    try:
        yield
    finally:
        events.unregister(f"before-send.kms.{operation}", answer)


@pytest.mark.parametrize("code", ["UnsupportedOperationException", "KMSInvalidStateException"])
def test_keys_without_a_rotation_status_are_listed(kms: Any, code: str) -> None:
    """API:GetKeyRotationStatus, Errors: keys of custom key stores and those without imported material."""
    odd, other = new_key(kms), new_key(kms)
    with answering("GetKeyRotationStatus", arn_of(kms, odd), code, "is pending import."):
        found = listed()
        assert run("key", "versions", odd).exit_code == 0
    assert (found[odd]["rotation_days"], other in found) == (None, True)


def test_a_deleted_key_is_left_out(kms: Any) -> None:
    gone, other = new_key(kms), new_key(kms)
    with answering("DescribeKey", arn_of(kms, gone), "NotFoundException", "Key 'x' does not exist"):
        found = listed()
    assert (gone in found, other in found) == (False, True)


def test_versions_stay_under_an_old_key(kms: Any, fleet: Fleet) -> None:
    """API:UpdateSecret, KmsKeyId: only versions with a stage are encrypted again."""
    old, new = new_key(kms), new_key(kms)
    name = fleet.add("app", KmsKeyId=arn_of(kms, old))
    first = fleet.secrets.describe_secret(SecretId=name)["VersionIdsToStages"]
    for value in "23":
        fleet.secrets.put_secret_value(SecretId=name, SecretString=value)
    fleet.secrets.update_secret(SecretId=name, KmsKeyId=new)

    def versions(key: str) -> list[tuple[str, list[str], list[str]]]:
        found = json.loads(run("key", "versions", key, "--name", fleet.prefix, "--json").stdout)
        assert found["key"] == arn_of(kms, key)
        return [(each["secret"], each["stages"], each["other_keys"]) for each in found["versions"]]

    moved = (["AWSCURRENT"], ["AWSPREVIOUS"])
    assert versions(old) == [*((name, stages, [new]) for stages in moved), (name, [], [])]
    assert versions(new) == [(name, stages, [arn_of(kms, old)]) for stages in moved]
    result = run("key", "versions", old, name)
    assert next(iter(first)) in result.stdout
    told = f"3 versions of 1 secret under {old}; 1 without a stage; needed for 1."
    assert told in result.stdout


@pytest.mark.parametrize("spoil", ["disable_key", "schedule_key_deletion", None])
def test_a_key_is_needed_without_another(kms: Any, fleet: Fleet, spoil: str | None) -> None:
    """Whoever deletes the key because another one decrypts the version too must find that one enabled."""
    old, new = new_key(kms), new_key(kms)
    name = fleet.add("app", KmsKeyId=arn_of(kms, old))
    fleet.secrets.update_secret(SecretId=name, KmsKeyId=arn_of(kms, new))
    if spoil:
        getattr(kms, spoil)(KeyId=arn_of(kms, new))
    (version,) = json.loads(run("key", "versions", old, name, "--json").stdout)["versions"]
    assert version["needed"] is (spoil is not None)
    assert f"needed for {1 if spoil else 0}." in run("key", "versions", old, name).stdout


def test_a_sealing_key_is_never_unneeded(kms: Any, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealed values are under it, whatever key their secrets have."""
    old, new = new_key(kms), new_key(kms)
    name = fleet.add("app", KmsKeyId=old)
    monkeypatch.setenv("SEALING_KEYS", f"{arn_of(kms, new)},{arn_of(kms, old)}")
    changed = run("key", "change", "--from", old, "--to", new, name, "--yes")
    assert changed.exit_code == 0, changed.output
    assert "Keep this key: SEALING_KEYS names it" in changed.output
    assert "schedule-key-deletion" not in changed.output
    assert "SEALING_KEYS names this key" in run("key", "versions", old, name).stdout


def test_versions_of_a_deleted_secret_are_found(kms: Any, fleet: Fleet) -> None:
    key = new_key(kms)
    name = fleet.add("gone", KmsKeyId=key)
    fleet.secrets.delete_secret(SecretId=name)
    found = json.loads(run("key", "versions", key, "--json").stdout)["versions"]
    assert [each["secret"] for each in found] == [name]


def test_a_key_rotates_only_with_yes(kms: Any) -> None:
    key = new_key(kms)
    before = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    result = run("key", "rotate", key)
    assert result.exit_code == 1
    assert "rotate now; 0 of 25 on-demand rotations were made" in " ".join(result.stdout.split())
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] == before
    result = run("key", "rotate", key, "--yes", "--json")
    assert [each["key"] for each in json.loads(result.stdout)["changes"]] == [key]
    assert result.exit_code == 0
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] != before


def test_automatic_rotation_is_set_once(kms: Any) -> None:
    key, other = new_key(kms), new_key(kms)

    def rotate(*options: str) -> tuple[int, list[str]]:
        result = run("key", "rotate", key, arn_of(kms, key), other, *options, "--yes", "--json")
        return result.exit_code, [each["state"] for each in json.loads(result.stdout)["changes"]]

    for options in (("--every", "90"), ("--every", "180"), ("--off",)):
        assert rotate(*options) == (0, ["done", "done"])
        assert rotate(*options) == (0, [])
        status = kms.get_key_rotation_status(KeyId=arn_of(kms, key))
        assert status.get("RotationPeriodInDays") == (int(options[1]) if len(options) > 1 else None)


@pytest.mark.parametrize(
    ("settings", "spoil", "cause"),
    [
        ({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}, None, "only symmetric encryption keys"),
        ({}, "disable_key", "is Disabled"),
        ({}, "schedule_key_deletion", "is PendingDeletion"),
    ],
)
def test_some_keys_cannot_rotate(kms: Any, settings: dict[str, str], spoil: str | None, cause: str) -> None:
    good, bad = new_key(kms), new_key(kms, **settings)
    if spoil:
        getattr(kms, spoil)(KeyId=arn_of(kms, bad))
    before = kms.describe_key(KeyId=good)["KeyMetadata"]["CurrentKeyMaterialId"]
    for options in ((), ("--every", "90"), ("--off",)):
        error = run("key", "rotate", good, bad, *options, "--yes").exception
        assert getattr(error, "code", "") == "key-cannot-rotate"
        assert cause in str(error)
    assert kms.describe_key(KeyId=good)["KeyMetadata"]["CurrentKeyMaterialId"] == before


def test_a_key_of_aws_is_left_alone(kms: Any) -> None:
    error = run("key", "rotate", "alias/aws/secretsmanager", "--yes").exception
    assert "belongs to AWS" in str(error)


def test_a_replica_rotates_with_its_primary(aws: LocalAws, kms: Any) -> None:
    """API:EnableKeyRotation and RotateKeyOnDemand: on the primary key."""
    primary = kms.create_key(MultiRegion=True)["KeyMetadata"]["Arn"]
    replica = kms.replicate_key(KeyId=primary, ReplicaRegion="eu-west-1")["ReplicaKeyMetadata"]["Arn"]
    for options in ((), ("--every", "90")):
        result = run("key", "rotate", replica, *options, "--yes")
        assert isinstance(result.exception, KeyCannotRotate)
        assert primary in result.exception.remedy
    assert run("key", "rotate", primary, "--yes").exit_code == 0


def test_the_limit_is_reported_before(kms: Any) -> None:
    key = new_key(kms)
    for _ in range(25):
        kms.rotate_key_on_demand(KeyId=arn_of(kms, key))
    error = run("key", "rotate", key, "--yes").exception
    assert "was rotated on demand 25 times" in str(error)


REGION = "eu-south-1"
"""A Region without keys of other tests, which may not be readable."""


@pytest.fixture
def permit(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Give the caller of the commands these statements only, in another Region."""

    def only(*statements: dict[str, Any]) -> None:
        aws.watch({"keeper": statements})
        clients._client.cache_clear()  # a client keeps its credentials

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local-keeper")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, REGION)
    yield only
    clients._client.cache_clear()
    aws.watch(None)


def test_an_unreadable_key_is_named(aws: LocalAws, permit: Callable[..., None]) -> None:
    there = aws.client("kms", region=REGION)
    hidden, known = new_key(there), new_key(there)
    denied = {"Effect": "Deny", "Action": "kms:DescribeKey", "Resource": arn_of(there, hidden)}
    permit({"Effect": "Allow", "Action": "*", "Resource": "*"}, denied)
    result = run("key", "list", "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["unread"]) == (1, [arn_of(there, hidden)])
    assert f"DescribeKey on {document['unread'][0]} failed with AccessDeniedException" in result.stderr
    found = {alias for each in document["keys"] for alias in each["aliases"]}
    assert (known in found, hidden in found) == (True, False)


_LOOKS = ["kms:DescribeKey", "kms:GetKeyRotationStatus", "kms:ListAliases"]


@pytest.mark.parametrize(
    ("words", "actions"),
    [
        (("list",), [*_LOOKS, "kms:ListKeys", "secretsmanager:ListSecrets"]),
        (
            ("versions", "KEY"),
            [*_LOOKS, "secretsmanager:ListSecrets", "secretsmanager:ListSecretVersionIds"],
        ),
        (("rotate", "KEY", "--yes"), [*_LOOKS, "kms:ListKeyRotations", "kms:RotateKeyOnDemand"]),
        (("rotate", "KEY", "--every", "90", "--yes"), [*_LOOKS, "kms:EnableKeyRotation"]),
        (
            ("create", "ALIAS", "--yes"),
            [
                "kms:CreateAlias",
                "kms:CreateKey",
                "kms:DescribeKey",
                "kms:EnableKeyRotation",
                "kms:ListAliases",
                "kms:ListKeys",
                "kms:PutKeyPolicy",
                "kms:TagResource",
            ],
        ),
        (
            ("change", "--from", "KEY", "--to", "NEW", "SECRET", "--yes"),
            [
                *(f"kms:{name}" for name in ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey")),
                "kms:ListAliases",
                *(
                    f"secretsmanager:{name}"
                    for name in ("DescribeSecret", "ListSecretVersionIds", "UpdateSecret")
                ),
            ],
        ),
    ],
    ids=["list", "versions", "now", "every", "create", "change"],
)
def test_each_documented_permission_is_needed(
    aws: LocalAws, permit: Callable[..., None], words: tuple[str, ...], actions: list[str]
) -> None:
    """docs/how-to/managing.md, Permissions."""
    kms = aws.client("kms", region=REGION)
    key, secret = new_key(kms), unique("permissions")
    service = aws.client("secretsmanager", region=REGION)
    service.create_secret(Name=secret, SecretString="x", KmsKeyId=key)
    filled = {"KEY": key, "NEW": new_key(kms), "SECRET": secret, "ALIAS": f"alias/{unique('permissions')}"}
    arguments = [filled.get(word, word) for word in words]
    for missing in actions:
        allowed = [each for each in actions if each != missing]
        permit({"Effect": "Allow", "Action": allowed, "Resource": "*"})
        assert run("key", *arguments).exit_code == 1
    permit({"Effect": "Allow", "Action": actions, "Resource": "*"})
    assert run("key", *arguments).exit_code == 0
