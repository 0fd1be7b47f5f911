"""`rotators key change`: every version is proved to be under the new key, and no value is lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from rotators.aws import clients
from rotators.local.aws import LocalAws
from tests.cli.command import Done, command
from tests.local.handlers import uploaded
from tests.manage.conftest import Fleet
from tests.manage.principals import Identities, allow, arn, deny, forget, policy
from tests.world import unique

VALUES = ("first", "second", "third")


@pytest.fixture(scope="module")
def kms(aws: LocalAws) -> Any:
    return aws.client("kms")


@pytest.fixture
def identities(aws: LocalAws) -> Iterator[Identities]:
    made = Identities(aws)
    yield made
    made.delete()


@dataclass
class Case:
    """Secrets under an old key, and a new key."""

    fleet: Fleet
    old: str
    new: str

    @property
    def kms(self) -> Any:
        return self.fleet.aws.client("kms")

    @property
    def secrets(self) -> Any:
        return self.fleet.secrets

    def add(self, name: str, *, values: int = 2, key: str | None = None) -> str:
        """Create a secret with versions, and return its name."""
        full = self.fleet.add(name, VALUES[0], KmsKeyId=key or self.old)
        for value in VALUES[1:values]:
            self.secrets.put_secret_value(SecretId=full, SecretString=value)
        return full

    def change(self, *options: str, yes: bool = True) -> Done:
        words = ("key", "change", "--from", self.old, "--to", self.new, *options)
        return command(*words, *(["--yes"] if yes else []), "--name", self.fleet.prefix)

    def told(self, *, yes: bool = True) -> dict[str, Any]:
        """The JSON document of the change."""
        return dict(json.loads(self.change("--json", yes=yes).stdout))

    def versions(self, name: str) -> list[Any]:
        return list(self.secrets.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"])

    def by_stage(self, name: str) -> dict[str, list[str]]:
        """The keys of each version with a stage."""
        return {
            stage: each.get("KmsKeyIds", [])
            for each in self.versions(name)
            for stage in each.get("VersionStages", ())
        }

    def value(self, name: str, stage: str = "AWSCURRENT") -> str:
        return str(self.secrets.get_secret_value(SecretId=name, VersionStage=stage)["SecretString"])


def new_key(kms: Any, **settings: Any) -> str:
    return str(kms.create_key(**settings)["KeyMetadata"]["Arn"])


@pytest.fixture
def case(fleet: Fleet, kms: Any) -> Iterator[Case]:
    yield Case(fleet, new_key(kms), new_key(kms))
    forget(fleet.secrets, fleet.prefix)


def states(told: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["state"], (each["error"] or {}).get("code", "")) for each in told["changes"]]


def remarks(told: dict[str, Any]) -> str:
    return "\n".join(each["words"] for each in told.get("remarks", ()))


@contextmanager
def at(
    operation: str,
    call: int,
    action: Callable[[], object],
    when: str = "before-call",
) -> Iterator[None]:
    """Do something at one call of an operation of the commands; the first call is 1."""
    calls: list[object] = []

    def act(**_: object) -> None:
        calls.append(0)
        if len(calls) == call:
            action()

    events = clients.secrets_lister().meta.events
    events.register(f"{when}.secretsmanager.{operation}", act)
    try:
        yield
    finally:
        events.unregister(f"{when}.secretsmanager.{operation}", act)


def test_nothing_moves_without_yes(case: Case) -> None:
    name = case.add("app")
    done = case.change(yes=False)
    assert (done.status, case.by_stage(name)["AWSCURRENT"]) == (1, [case.old])
    assert "move 2 versions from" in " ".join(done.stdout.split())


def test_versions_with_stages_move(case: Case) -> None:
    name = case.add("app", values=3)
    pending = case.secrets.put_secret_value(
        SecretId=name, SecretString="pending", VersionStages=["AWSPENDING"]
    )["VersionId"]
    told = case.told()
    assert states(told) == [("done", "")]
    assert "a rotation is not finished" in told["changes"][0]["change"]
    assert case.by_stage(name) == {
        stage: [case.new, case.old] for stage in ("AWSCURRENT", "AWSPREVIOUS", "AWSPENDING")
    }
    lost = case.versions(name)[0]
    assert (
        f"without a stage, stays under {case.old.rpartition('/')[2]}: version {lost['VersionId']}"
        in remarks(told)
    )
    case.kms.disable_key(KeyId=case.old)
    assert [case.value(name), case.value(name, "AWSPREVIOUS")] == ["third", "second"]
    assert case.secrets.get_secret_value(SecretId=name, VersionId=pending)["SecretString"] == "pending"
    case.kms.enable_key(KeyId=case.old)
    assert (case.told()["state"], case.change().status) == ("unneeded", 0)


def test_later_values_use_the_new_key(case: Case) -> None:
    name = case.fleet.add("empty", KmsKeyId=case.old)
    assert case.told()["state"] == "done"
    case.secrets.put_secret_value(SecretId=name, SecretString="later")
    assert case.by_stage(name)["AWSCURRENT"] == [case.new]


def test_an_empty_pending_version_needs_no_key(case: Case) -> None:
    name = case.add("app")
    case.fleet.aws.stage(name, "0" * 32)
    assert case.told()["state"] == "done"
    assert case.by_stage(name)["AWSPENDING"] == []
    case.secrets.put_secret_value(
        SecretId=name, ClientRequestToken="0" * 32, SecretString="x", VersionStages=["AWSPENDING"]
    )
    assert case.by_stage(name)["AWSPENDING"] == [case.new]


def test_a_version_without_a_proof_is_named(case: Case) -> None:
    """The response does not contain its keys."""
    name = case.add("app")
    current = case.versions(name)[-1]["VersionId"]

    def hide(parsed: dict[str, Any], **_: object) -> None:
        for each in parsed["Versions"]:
            each.pop("KmsKeyIds")

    events = clients.secrets_lister().meta.events
    events.register("after-call.secretsmanager.ListSecretVersionIds", hide)
    try:
        told = case.told()
    finally:
        events.unregister("after-call.secretsmanager.ListSecretVersionIds", hide)
    assert states(told) == [("refused", "key-change-incomplete/unproved")]
    assert f"version {current} (AWSCURRENT)" in told["changes"][0]["error"]["cause"]


def test_versions_with_other_stages_are_stored_again(case: Case) -> None:
    """UG:manage_update-encryption-key: versions with other stages must be recreated."""
    name = case.add("app", values=3)
    first = case.versions(name)[0]["VersionId"]
    for stage in ("blue", "keep"):
        case.secrets.update_secret_version_stage(SecretId=name, VersionStage=stage, MoveToVersionId=first)
    told = case.told()
    assert told["state"] == "done"
    assert "stored again for its stages; the original stays under" in remarks(told)
    found = case.by_stage(name)
    assert (found["blue"], found["keep"]) == ([case.new], [case.new])
    assert {*found} == {"AWSCURRENT", "AWSPREVIOUS", "blue", "keep"}
    case.kms.disable_key(KeyId=case.old)
    assert [case.value(name, stage) for stage in ("blue", "keep")] == ["first", "first"]


def pend(case: Case, name: str) -> None:
    """Begin a rotation whose value is stored."""
    case.secrets.put_secret_value(SecretId=name, SecretString="pending", VersionStages=["AWSPENDING"])


def test_nothing_is_stored_during_a_rotation(case: Case) -> None:
    """UG:cloudtrail_log_entries: the service abandons it, and the target may have the value already."""
    name = case.add("app")
    case.secrets.put_secret_value(SecretId=name, SecretString="kept", VersionStages=["blue"])
    pend(case, name)
    before = case.versions(name)
    for yes in (False, True):
        told = case.told(yes=yes)
        assert states(told) == [("refused", "key-change-refused/rotation")]
    assert case.versions(name) == before
    case.secrets.update_secret_version_stage(
        SecretId=name,
        VersionStage="AWSPENDING",
        RemoveFromVersionId=case.secrets.get_secret_value(SecretId=name, VersionStage="AWSPENDING")[
            "VersionId"
        ],
    )
    assert case.told()["state"] == "done"


@pytest.mark.parametrize(
    ("operation", "call", "code"),
    [
        ("DescribeSecret", 2, "key-change-refused/rotation"),
        ("UpdateSecret", 1, "key-change-incomplete/rotation"),
    ],
)
def test_a_rotation_beginning_meanwhile_is_kept(case: Case, operation: str, call: int, code: str) -> None:
    name = case.add("app")
    case.secrets.put_secret_value(SecretId=name, SecretString="kept", VersionStages=["blue"])
    with at(operation, call, lambda: pend(case, name)):
        told = case.told()
    assert states(told) == [("refused", code)]
    assert [case.value(name, stage) for stage in ("AWSPENDING", "blue")] == ["pending", "kept"]
    assert len(case.versions(name)) == 4


def test_binary_values_are_stored_again(case: Case) -> None:
    name = case.add("app")
    put = case.secrets.put_secret_value(SecretId=name, SecretBinary=b"\x00\xff", VersionStages=["blue"])
    assert case.told()["state"] == "done"
    copy = case.secrets.get_secret_value(SecretId=name, VersionStage="blue")
    assert (copy["SecretBinary"], copy["VersionId"] == put["VersionId"]) == (b"\x00\xff", False)


@pytest.mark.parametrize("when", ["before-call", "after-call"])
def test_values_stored_meanwhile_move_too(case: Case, when: str) -> None:
    """A rotation that runs at the same time."""
    name = case.add("app")

    def rotate() -> None:
        case.secrets.put_secret_value(SecretId=name, SecretString="rotated")

    with at("UpdateSecret", 1, rotate, when):
        assert case.told()["state"] == "done"
    found = case.by_stage(name)
    assert all(keys[0] == case.new for keys in found.values())
    assert [case.value(name), case.value(name, "AWSPREVIOUS")] == ["rotated", "second"]


def test_a_secret_changed_meanwhile_is_not_changed(case: Case, kms: Any) -> None:
    names, third = [case.add("app"), case.add("job")], new_key(kms)

    def interfere() -> None:
        case.secrets.update_secret(SecretId=names[0], KmsKeyId=third)
        case.secrets.delete_secret(SecretId=names[1])

    with at("DescribeSecret", 3, interfere):  # the first after the plan
        told = case.told()
    assert [code for _, code in states(told)] == [
        "key-change-refused/other-key",
        "key-change-refused/deleted",
    ]


@pytest.mark.parametrize("when", ["before-call", "after-call"])
@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("UpdateSecret", 1),
        ("ListSecretVersionIds", 3),
        ("GetSecretValue", 1),
        ("PutSecretValue", 1),
        ("UpdateSecretVersionStage", 1),
        ("UpdateSecretVersionStage", 2),
    ],
)
def test_every_interruption_can_be_repeated(case: Case, operation: str, call: int, when: str) -> None:
    name = case.add("app", values=3)
    first = case.versions(name)[0]["VersionId"]
    case.secrets.update_secret_version_stage(SecretId=name, VersionStage="blue", MoveToVersionId=first)

    def stop() -> None:
        raise KeyboardInterrupt

    with at(operation, call, stop, when):
        done = case.change("--json")
    assert json.loads(done.stdout)["state"] == "interrupted"
    assert [case.value(name, stage) for stage in ("AWSCURRENT", "AWSPREVIOUS", "blue")] == [
        "third",
        "second",
        "first",
    ]
    assert case.told()["state"] in {"done", "unneeded"}
    found = case.by_stage(name)
    assert {*found} == {"AWSCURRENT", "AWSPREVIOUS", "blue"}
    assert all(case.new in keys for keys in found.values())
    assert [case.value(name, stage) for stage in found] != []
    assert case.value(name, "blue") == "first"
    assert case.told()["state"] == "unneeded"


def test_a_stage_that_moved_meanwhile_is_left_alone(case: Case) -> None:
    name = case.add("app", values=3)
    first, second = (each["VersionId"] for each in case.versions(name)[:2])
    case.secrets.update_secret_version_stage(SecretId=name, VersionStage="blue", MoveToVersionId=first)

    def promote() -> None:
        case.secrets.update_secret_version_stage(
            SecretId=name, VersionStage="blue", RemoveFromVersionId=first, MoveToVersionId=second
        )

    with at("PutSecretValue", 1, promote):
        told = case.told()
    assert told["changes"][0]["state"] == "refused"
    assert case.value(name, "blue") == "second"
    assert case.told()["state"] == "done"
    assert {*case.by_stage(name)} == {"AWSCURRENT", "AWSPREVIOUS", "blue"}
    assert case.value(name, "blue") == "second"


@pytest.mark.parametrize(
    ("action", "of_old"), [("kms:Encrypt", False), ("kms:Decrypt", True)], ids=["encrypt", "decrypt"]
)
def test_a_missing_permission_is_found_before(
    case: Case, identities: Identities, action: str, of_old: bool
) -> None:
    """UpdateSecret would succeed without them, and encrypt nothing again."""
    name = case.add("app")
    denied = {**deny(action), "Resource": case.old if of_old else case.new}
    with identities.acting(allow("*"), denied):
        told = case.told()
    assert states(told) == [("refused", "key-change-refused/not-permitted")]
    assert f"{action} is denied by inline policy own" in told["changes"][0]["error"]["cause"]
    assert case.by_stage(name)["AWSCURRENT"] == [case.old]
    assert "KmsKeyId" in case.secrets.describe_secret(SecretId=name)


@pytest.mark.parametrize("fails", [1, 2], ids=["first", "second"])
def test_what_was_not_moved_is_put_back(case: Case, identities: Identities, fails: int) -> None:
    """The caller's policies cannot be read, so only the change shows that kms:Encrypt is missing."""
    alias = f"alias/{unique('old')}"
    case.kms.create_alias(AliasName=alias, TargetKeyId=case.old)
    names = [case.add(name, key=alias) for name in ("app", "job")]
    bad = names[fails - 1]
    context = {"StringLike": {"kms:EncryptionContext:SecretARN": f"*:secret:{bad}-*"}}
    denied = {**deny("kms:Encrypt", Condition=context), "Resource": case.new}
    with identities.acting(allow("*"), denied, deny("iam:*")):
        told = case.told()
    by_name = {each["secret"]: each for each in told["changes"]}
    assert by_name[bad]["error"]["code"] == "key-change-incomplete/put-back"
    assert case.secrets.describe_secret(SecretId=bad)["KmsKeyId"] == alias
    good = names[2 - fails]
    assert (by_name[good]["state"], case.by_stage(good)["AWSCURRENT"][0]) == ("done", case.new)
    assert case.told()["state"] == "done"
    assert case.by_stage(bad)["AWSPREVIOUS"][0] == case.new


def test_a_key_for_secrets_only_is_used(case: Case, identities: Identities) -> None:
    """KMS refuses the dry run, because Secrets Manager does not make it; the policies permit it."""
    alias = f"alias/{unique('only')}"
    assert command("key", "create", alias, "--yes").status == 0
    case.new = str(case.kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"])
    name = case.add("app")
    with identities.acting(allow("*")):
        assert states(case.told()) == [("done", "")]
    assert case.by_stage(name)["AWSCURRENT"] == [case.new, case.old]


def test_a_half_moved_secret_is_moved(case: Case, identities: Identities) -> None:
    """It names the new key, but UpdateSecret was not permitted to encrypt its versions again."""
    name = case.add("app")
    with identities.acting(allow("*"), {**deny("kms:Encrypt"), "Resource": case.new}) as role:
        identities.client(role).update_secret(SecretId=name, KmsKeyId=case.new)
    assert case.by_stage(name)["AWSCURRENT"] == [case.old]
    assert case.told()["state"] == "done"
    assert case.by_stage(name) == {stage: [case.new, case.old] for stage in ("AWSCURRENT", "AWSPREVIOUS")}


def disable(kms: Any, key: str) -> None:
    kms.disable_key(KeyId=key)


def schedule_deletion(kms: Any, key: str) -> None:
    kms.schedule_key_deletion(KeyId=key)


@pytest.mark.parametrize("spoil", [disable, schedule_deletion])
@pytest.mark.parametrize("which", ["old", "new"])
def test_keys_that_cannot_serve_are_refused(
    case: Case, which: str, spoil: Callable[[Any, str], None]
) -> None:
    name = case.add("app")
    spoil(case.kms, getattr(case, which))
    done = case.change()
    assert "[key-cannot-serve/state]" in done.stderr
    assert "EnableKey" in done.stderr
    assert case.by_stage(name)["AWSCURRENT"] == [case.old]


def test_only_symmetric_keys_of_secrets_serve(case: Case) -> None:
    case.add("app")
    for settings in (
        {"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"},
        {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
    ):
        case.new = new_key(case.kms, **settings)
        assert "[key-cannot-serve/asymmetric]" in case.change().stderr
    case.new = case.old
    assert "[key-cannot-serve/same]" in case.change().stderr


@pytest.mark.parametrize("spoil", [disable, schedule_deletion])
@pytest.mark.parametrize("which", ["old", "new"])
def test_a_key_failing_midway_loses_nothing(
    case: Case, which: str, spoil: Callable[[Any, str], None]
) -> None:
    names = [case.add(str(number)) for number in range(4)]
    with at("UpdateSecret", 2, lambda: spoil(case.kms, getattr(case, which)), "after-call"):
        told = case.told()
    assert Counter(each["state"] for each in told["changes"]) == {"done": 2, "refused": 2}
    for name in names:
        assert case.secrets.describe_secret(SecretId=name)["KmsKeyId"] in {case.old, case.new}
    key = getattr(case, which)
    if spoil is schedule_deletion:
        case.kms.cancel_key_deletion(KeyId=key)
    case.kms.enable_key(KeyId=key)
    assert [case.value(name) for name in names] == ["second"] * 4
    assert case.told()["state"] == "done"
    assert all(case.by_stage(name)["AWSPREVIOUS"][0] == case.new for name in names)


def test_an_old_key_failing_at_once_is_reported(case: Case) -> None:
    """It is disabled between the check and the call, which then succeeds and encrypts nothing again."""
    name = case.add("app")
    with at("UpdateSecret", 1, lambda: disable(case.kms, case.old)):
        told = case.told()
    assert states(told) == [("refused", "key-change-incomplete/not-put-back")]
    case.kms.enable_key(KeyId=case.old)
    assert case.value(name) == "second"
    assert case.told()["state"] == "done"
    assert case.by_stage(name)["AWSCURRENT"] == [case.new, case.old]


def test_secrets_that_cannot_move_are_named(case: Case, kms: Any) -> None:
    gone, other = case.add("gone"), case.add("other")
    case.secrets.delete_secret(SecretId=gone)
    third = new_key(kms)
    disable(kms, case.old)
    case.secrets.update_secret(SecretId=other, KmsKeyId=third)
    kms.enable_key(KeyId=case.old)
    case.add("elsewhere", key=third)
    done = case.change("--json")
    told = json.loads(done.stdout)
    assert (done.status, told["state"], told["unchanged"]) == (1, "incomplete", 1)
    assert {each["secret"]: each["error"]["code"] for each in told["changes"]} == {
        gone: "key-change-refused/deleted",
        other: "key-change-refused/other-key",
    }
    shown = case.change()
    assert "3 secrets selected; no change can be made." in shown.stdout
    assert f"Run the command with --from {third}" in shown.stdout
    assert command("key", "change", "--from", third, "--to", case.new, other, "--yes").status == 0
    assert case.by_stage(other)["AWSCURRENT"][0] == case.new


def test_replicas_keep_their_keys(case: Case) -> None:
    name = case.add("app")
    there = new_key(case.fleet.aws.client("kms", region="eu-west-1"))
    case.secrets.replicate_secret_to_regions(
        SecretId=name, AddReplicaRegions=[{"Region": "eu-west-1", "KmsKeyId": there}]
    )
    told = case.told()
    assert told["state"] == "done"
    assert f"its replica in eu-west-1 has a key of that Region, and keeps it: {there}" in remarks(told)
    replica = case.fleet.aws.client("secretsmanager", region="eu-west-1")
    assert replica.get_secret_value(SecretId=name)["SecretString"] == "second"
    new_there = new_key(case.fleet.aws.client("kms", region="eu-west-1"))
    far = replica.describe_secret(SecretId=name)["ARN"]
    done = command("key", "change", "--from", there, "--to", new_there, far, "--yes")
    assert done.status == 0, done.text
    assert replica.describe_secret(SecretId=name)["KmsKeyId"] == new_there
    wrong = command("key", "change", "--from", new_there, "--to", case.new, far, "--yes")
    assert "[key-cannot-serve/region]" in wrong.stderr
    case.secrets.remove_regions_from_replication(SecretId=name, RemoveReplicaRegions=["eu-west-1"])


def test_the_key_of_secrets_manager_serves(case: Case) -> None:
    name = case.add("app")
    case.new = "alias/aws/secretsmanager"
    assert case.told()["state"] == "done"
    assert case.by_stage(name)["AWSCURRENT"] == ["DefaultEncryptionKey", case.old]
    case.old, case.new = case.new, case.old
    done = case.change()
    assert done.status == 0
    assert "schedule-key-deletion" not in done.stdout
    assert case.secrets.describe_secret(SecretId=name)["KmsKeyId"] == case.new


def test_a_deletion_is_printed_and_never_made(case: Case) -> None:
    case.add("app")
    done = case.change()
    key = case.old.rpartition("/")[2]
    assert f"`aws kms schedule-key-deletion --key-id {key} --pending-window-in-days 30`" in done.stdout
    assert case.kms.describe_key(KeyId=case.old)["KeyMetadata"]["KeyState"] == "Enabled"


@pytest.fixture
def rotating(case: Case, identities: Identities) -> Iterator[tuple[str, str]]:
    """A rotating secret, and the role of its function, which may use no key."""
    role = identities.role(allow("secretsmanager:*"))
    functions = case.fleet.aws.client("lambda")
    function = unique("function")
    settings = {**uploaded(function, "def handler(event, context): pass"), "Role": arn(role)}
    created = functions.create_function(**settings)
    functions.add_permission(
        FunctionName=function,
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
    )
    name = case.add("rotating")
    case.secrets.rotate_secret(
        SecretId=name,
        RotationLambdaARN=created["FunctionArn"],
        RotationRules={"AutomaticallyAfterDays": 30},
        RotateImmediately=False,
    )
    yield name, role
    functions.delete_function(FunctionName=function)


USES = ("kms:Decrypt", "kms:GenerateDataKey")


def test_a_rotation_function_needs_the_new_key(
    case: Case, identities: Identities, rotating: tuple[str, str]
) -> None:
    name, role = rotating
    told = case.told()
    assert states(told) == [("refused", "key-change-refused/function")]
    assert arn(role) in told["changes"][0]["error"]["cause"]
    assert case.by_stage(name)["AWSCURRENT"] == [case.old]
    identities.give(role, allow(*USES))
    assert case.told()["state"] == "done"


def test_a_grant_serves_a_rotation_function(case: Case, rotating: tuple[str, str]) -> None:
    """Its role has no policy for the key; IAM's simulator would refuse it."""
    case.kms.create_grant(
        KeyId=case.new, GranteePrincipal=arn(rotating[1]), Operations=["Decrypt", "GenerateDataKey"]
    )
    assert case.told()["state"] == "done"


def test_readers_without_the_new_key_are_named(case: Case, identities: Identities) -> None:
    name = case.add("app")
    both = identities.role(allow("secretsmanager:GetSecretValue", "kms:Decrypt"))
    only = {**allow("kms:Decrypt"), "Resource": case.old}
    old = identities.role(allow("secretsmanager:GetSecretValue"), only)
    nobody = identities.role(allow("secretsmanager:GetSecretValue"))
    told = case.told()
    assert told["state"] == "done"
    key = case.new.rpartition("/")[2]
    assert f"can read the current value, but not the next value, because they cannot use {key}: " in remarks(
        told
    )
    assert arn(old) in remarks(told)
    assert all(arn(role) not in remarks(told) for role in (both, nobody))
    reader = identities.client(old)
    case.secrets.put_secret_value(SecretId=name, SecretString="third")
    with identities.enforced(), pytest.raises(reader.exceptions.ClientError, match="Access to KMS"):
        reader.get_secret_value(SecretId=name)


def test_readers_need_a_key_for_the_first_time(case: Case, identities: Identities) -> None:
    """UG:security-encryption: aws/secretsmanager needs no permission."""
    reader = identities.role(allow("secretsmanager:GetSecretValue"))
    case.old = "alias/aws/secretsmanager"
    case.fleet.add("app")
    assert arn(reader) in remarks(case.told(yes=False))
    case.kms.create_grant(KeyId=case.new, GranteePrincipal=arn(reader), Operations=["Decrypt"])
    assert arn(reader) not in remarks(case.told(yes=False))


def test_unchecked_parts_are_reported(case: Case, identities: Identities, rotating: tuple[str, str]) -> None:
    with identities.acting(allow("*"), deny("iam:*")):
        told = case.told(yes=False)
    assert f"may use {case.new.rpartition('/')[2]}, as {arn(rotating[1])}, was not checked" in remarks(told)
    assert "whether all who read it may use" in remarks(told)
    identities.give(rotating[1], allow(*USES))
    for action in ("secretsmanager:GetResourcePolicy", "kms:GetKeyPolicy", "kms:ListGrants"):
        with identities.acting(allow("*"), deny(action)):
            told = case.told(yes=False)
        assert f"was not checked: {action.rpartition(':')[2]} on" in remarks(told)
        assert "can read the current value" not in remarks(told)
    with identities.acting(allow("*"), deny("lambda:*")):
        told = case.told(yes=False)
    assert "was not checked: GetFunctionConfiguration on" in remarks(told)


def test_keys_of_another_account_serve(case: Case, aws: LocalAws) -> None:
    """The secret names it by its ARN, and the account's key policy decides."""
    other = aws.client("sts").assume_role(
        RoleArn="arn:aws:iam::210987654321:role/owner", RoleSessionName="owner"
    )
    theirs = aws.client("kms", credentials=other["Credentials"])
    case.new = new_key(theirs)
    assert ":210987654321:" in case.new
    name = case.add("app")
    told = case.told()
    assert told["state"] == "done", told
    assert case.by_stage(name)["AWSCURRENT"] == [case.new, case.old]


def test_no_condition_does_not_mean_all(case: Case) -> None:
    done = command("key", "change", "--from", case.old, "--to", case.new, "--yes")
    assert "[selector-invalid]" in done.stderr


def test_an_unreadable_secret_stops_the_plan(case: Case, identities: Identities) -> None:
    case.add("app")
    hidden = case.add("hidden")
    denied = {
        **deny("secretsmanager:ListSecretVersionIds"),
        "Resource": f"arn:aws:secretsmanager:*:*:secret:{hidden}-*",
    }
    with identities.acting(allow("*"), denied):
        done = case.change()
    assert "[secrets-unreadable]" in done.stderr
    assert hidden in done.stderr
    assert case.told(yes=False)["state"] == "planned"


MANY = 300


def test_hundreds_of_secrets_move(case: Case, kms: Any, identities: Identities) -> None:
    """Some have an older version under a key that is disabled, pending deletion or not granted."""
    good = [case.add(f"good/{number:03}") for number in range(MANY)]
    spoiled: list[str] = []
    for kind in ("disabled", "deleted", "ungranted"):
        key = new_key(kms)
        names = [case.add(f"{kind}/{number}", values=1, key=key) for number in range(3)]
        kms.disable_key(KeyId=key)  # so that the first version stays under it
        for name in names:
            case.secrets.update_secret(SecretId=name, KmsKeyId=case.old)
            case.secrets.put_secret_value(SecretId=name, SecretString="second")
        if kind == "deleted":
            kms.schedule_key_deletion(KeyId=key)
        elif kind == "ungranted":
            kms.enable_key(KeyId=key)
            owner = allow("kms:*", Principal={"AWS": arn("owner")})
            kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy(owner))
        spoiled += names
    with identities.acting(allow("*")):
        told = case.told()
    found = {each["secret"]: each for each in told["changes"]}
    assert Counter(each["state"] for each in found.values()) == {"done": MANY, "refused": 9}
    for name in spoiled:
        assert found[name]["error"]["code"] == "key-change-incomplete/unproved"
        assert "(AWSPREVIOUS)" in found[name]["error"]["cause"]
    kms.disable_key(KeyId=case.old)
    moved = [case.new, case.old]
    assert all(case.by_stage(name) == {"AWSCURRENT": moved, "AWSPREVIOUS": moved} for name in good)
    assert all(case.by_stage(name)["AWSCURRENT"] == moved for name in spoiled)
    assert values(case, [*good, *spoiled]) == Counter({"second": MANY + 9})
    assert all(case.value(name, "AWSPREVIOUS") == "first" for name in good[::10])
    kms.enable_key(KeyId=case.old)
    told = case.told()
    assert (told["state"], told["selected"], told["unchanged"]) == ("unneeded", MANY + 9, MANY + 9)
    assert len(told["remarks"]) == 9


def values(case: Case, names: list[str]) -> Counter[str]:
    """How many secrets have each value."""
    batches = (names[start : start + 20] for start in range(0, len(names), 20))
    found = (
        each
        for batch in batches
        for each in case.secrets.batch_get_secret_value(SecretIdList=batch)["SecretValues"]
    )
    return Counter(each["SecretString"] for each in found)
