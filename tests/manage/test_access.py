"""`rotators access`: who can read, write and rotate, and what a principal can do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rotators.iam.errors import PolicyUnsupported
from rotators.local.aws import LocalAws
from rotators.manage.principals import read_account, read_policies
from tests.cli.command import command
from tests.manage.conftest import Fleet
from tests.manage.principals import READ, Identities, allow, answers, arn, deny, forget, policy, told
from tests.world import unique

FROM_HOME = {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}
SAME_TEAM = {"Condition": {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}}
ALL = ["secretsmanager:*", "kms:*", "lambda:*"]


@pytest.fixture(autouse=True)
def forgotten(fleet: Fleet) -> Iterator[None]:
    """No secret stays."""
    yield
    forget(fleet.secrets, fleet.prefix)


@pytest.fixture
def identities(aws: LocalAws) -> Iterator[Identities]:
    """No roles yet."""
    made = Identities(aws)
    yield made
    made.delete()


@pytest.fixture
def secret(fleet: Fleet) -> str:
    """A secret of the team shop, with the key of Secrets Manager."""
    return fleet.add("db", tags={"team": "shop"})


@pytest.fixture
def keyed(fleet: Fleet) -> tuple[str, str]:
    """A secret with a customer managed key, and the key."""
    key = str(fleet.aws.client("kms").create_key()["KeyMetadata"]["Arn"])
    return fleet.add("keyed", KmsKeyId=key, tags={"team": "shop"}), key


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([], ["no", "no", "no"]),
        ([allow(*READ)], ["yes", "no", "no"]),
        ([allow("secretsmanager:Update*")], ["no", "yes", "no"]),
        ([allow(*ALL)], ["yes", "yes", "yes"]),
        ([allow(*ALL), deny("secretsmanager:Get*")], ["no", "yes", "yes"]),
        ([allow(*ALL, **FROM_HOME)], ["conditional"] * 3),
        ([allow(*ALL), deny(*ALL, **FROM_HOME)], ["conditional"] * 3),
        ([allow(*ALL), deny(*ALL, Condition={"Bool": {"aws:SecureTransport": "false"}})], ["yes"] * 3),
    ],
)
def test_the_policies_of_a_role_decide(
    secret: str, identities: Identities, statements: list[Any], expected: list[str]
) -> None:
    assert answers(secret, arn(identities.role(*statements))) == expected


def test_the_condition_and_the_statement_are_named(secret: str, identities: Identities) -> None:
    role = identities.role(allow(*READ, Sid="Home", **FROM_HOME))
    (found,) = [each for each in told(secret)["principals"] if each["principal"] == arn(role)]
    assert found["read"]["why"] == "inline policy own, Home"
    assert found["read"]["conditions"] == ["IpAddress aws:SourceIp 10.0.0.0/8"]
    shown = command("access", secret).stdout
    assert "conditional" in shown
    assert "aws:SourceIp" in shown


def test_tags_of_both_sides_are_compared(secret: str, identities: Identities) -> None:
    ours, theirs = (
        identities.role(allow(*READ, **SAME_TEAM), tags={"team": team}) for team in ("shop", "web")
    )
    assert answers(secret, arn(ours))[0] == "yes"
    assert answers(secret, arn(theirs))[0] == "no"


def test_a_user_has_the_policies_of_its_groups(secret: str, identities: Identities) -> None:
    iam, name = identities.iam, f"user-{secret.partition('/')[0]}"
    iam.create_user(UserName=name)
    iam.create_group(GroupName=name)
    iam.add_user_to_group(GroupName=name, UserName=name)
    iam.attach_group_policy(GroupName=name, PolicyArn=identities.managed(allow(*READ)))
    iam.put_group_policy(GroupName=name, PolicyName="in", PolicyDocument=policy(allow("secretsmanager:Put*")))
    user = iam.get_user(UserName=name)["User"]["Arn"]
    assert answers(secret, user) == ["yes", "yes", "no"]
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy(deny("secretsmanager:Get*")))
    assert answers(secret, user) == ["no", "yes", "no"]


def test_a_boundary_limits_a_role(secret: str, identities: Identities) -> None:
    boundary = identities.managed(allow("secretsmanager:Put*"))
    role = identities.role(allow(*ALL), PermissionsBoundary=boundary)
    assert answers(secret, arn(role)) == ["no", "yes", "no"]


def test_scps_limit_all_but_service_linked_roles(secret: str, identities: Identities, tmp_path: Path) -> None:
    level = tmp_path / "root.json"
    level.write_text(policy(allow("*"), deny("secretsmanager:Get*")))
    role, linked = identities.role(allow(*ALL)), identities.role(allow(*ALL), Path="/aws-service-role/x/")
    assert answers(secret, arn(role), "--scp", str(level)) == ["no", "yes", "yes"]
    assert answers(secret, arn(f"aws-service-role/x/{linked}"), "--scp", str(level)) == ["yes"] * 3
    more = tmp_path / "account.json"
    more.write_text(json.dumps([json.loads(policy(allow("secretsmanager:Put*")))]))
    assert answers(secret, arn(role), "--scp", str(level), "--scp", str(more)) == ["no", "yes", "no"]


@pytest.mark.parametrize("text", ["no json", "{}", "[1]", '{"Statement": [{"Effect": "Perhaps"}]}'])
def test_a_wrong_scp_names_its_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scp.json"
    path.write_text(text)
    with pytest.raises(PolicyUnsupported, match=r"scp\.json"):
        read_policies(str(path), "SCP")


def test_a_session_policy_limits_a_role(secret: str, identities: Identities, tmp_path: Path) -> None:
    """The answers are those of the local AWS for a session with these policies."""
    role, path = identities.role(allow("secretsmanager:*")), tmp_path / "session.json"
    for statement, expected in (
        (allow("secretsmanager:Get*"), ["yes", "no", "no"]),
        (allow(*READ, Resource="arn:aws:secretsmanager:*:*:secret:other-*"), ["no", "no", "no"]),
        (allow("secretsmanager:Get*", **FROM_HOME), ["conditional", "no", "no"]),
        (allow("secretsmanager:Get*", Principal="*"), ["conditional", "no", "no"]),
    ):
        path.write_text(policy(statement))
        document = told(f"role/{role}", "--session-policy", str(path))
        (found,) = [each for each in document["secrets"] if each["secret"] == secret]
        assert [found[name]["access"] for name in ("read", "write", "rotate")] == expected
        assert "session policies" not in document["not_considered"]
        assert session_reads(identities, role, policy(statement), secret) == (expected[0] == "yes")
    assert found["write"]["why"] == "secretsmanager:PutSecretValue is not allowed by the session policy"


def session_reads(identities: Identities, role: str, document: str, secret: str) -> bool:
    sts = identities.aws.client("sts")
    keys = sts.assume_role(RoleArn=arn(role), RoleSessionName="one", Policy=document)["Credentials"]
    with identities.enforced():
        client = identities.aws.client("secretsmanager", credentials=keys)
        try:
            return bool(client.get_secret_value(SecretId=secret)["SecretString"])
        except client.exceptions.ClientError:
            return False


def test_only_a_role_has_a_session_policy(secret: str, aws: LocalAws, tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    path.write_text(policy(allow("*")))
    name = f"user-{secret.partition('/')[0]}"
    aws.client("iam").create_user(UserName=name)
    for asked in (secret, f"user/{name}"):
        done = command("access", asked, "--session-policy", str(path))
        assert done.status == 2
        assert "--session-policy needs a role" in done.stderr
    aws.client("iam").delete_user(UserName=name)


def test_the_key_decides_about_reading(keyed: tuple[str, str], identities: Identities) -> None:
    secret, key = keyed
    without, able = identities.role(allow("secretsmanager:Get*")), identities.role(allow(*READ))
    assert answers(secret, arn(without))[0] == "no"
    assert answers(secret, arn(able))[0] == "yes"
    kms = identities.aws.client("kms")
    kms.create_grant(KeyId=key, GranteePrincipal=arn(without), Operations=["Decrypt"])
    assert answers(secret, arn(without))[0] == "yes"
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy(deny("kms:Decrypt", Principal="*")))
    assert answers(secret, arn(able))[0] == "no"


def test_via_service_and_encryption_context_are_known(keyed: tuple[str, str], identities: Identities) -> None:
    secret, _ = keyed
    found = identities.aws.client("secretsmanager").describe_secret(SecretId=secret)["ARN"]

    def reader(service: str, about: str) -> str:
        condition = {"kms:ViaService": service, "kms:EncryptionContext:SecretARN": about}
        limited = allow("kms:Decrypt", Condition={"StringEquals": condition})
        return arn(identities.role(allow("secretsmanager:Get*"), limited))

    service = "secretsmanager.us-east-1.amazonaws.com"
    assert answers(secret, reader(service, found))[0] == "yes"
    assert answers(secret, reader("s3.us-east-1.amazonaws.com", found))[0] == "no"
    assert answers(secret, reader(service, f"{found}x"))[0] == "no"


def test_principals_of_the_secrets_policy_are_listed(
    keyed: tuple[str, str], fleet: Fleet, identities: Identities
) -> None:
    secret, key = keyed
    other = "arn:aws:iam::222222222222:role/other"
    open_key = policy(allow("kms:*", Principal="*"))
    identities.aws.client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=open_key)
    statements = [
        allow("secretsmanager:GetSecretValue", Principal={"AWS": [other, "333333333333"]}),
        allow("secretsmanager:GetSecretValue", Principal={"Service": "redshift.amazonaws.com"}),
        allow(
            "secretsmanager:GetSecretValue",
            Principal="*",
            Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
        ),
    ]
    fleet.secrets.put_resource_policy(SecretId=secret, ResourcePolicy=policy(*statements))
    found = {each["principal"]: each["read"] for each in told(secret)["principals"]}
    assert found["redshift.amazonaws.com"]["access"] == "yes"
    assert found[other]["access"] == found["account 333333333333"]["access"] == "conditional"
    assert found[other]["conditions"] == [f"the policies of {other}"]
    assert "StringEquals aws:PrincipalOrgID o-1" in found["*"]["conditions"]


def test_the_default_key_admits_no_other_account(secret: str, fleet: Fleet) -> None:
    other = "arn:aws:iam::222222222222:role/other"
    admitted = policy(allow("secretsmanager:*", Principal={"AWS": other}))
    fleet.secrets.put_resource_policy(SecretId=secret, ResourcePolicy=admitted)
    (found,) = [each for each in told(secret)["principals"] if each["principal"] == other]
    assert found["read"] == found["write"]
    assert found["read"]["why"] == "the key aws/secretsmanager can be used only by its own account"
    assert found["rotate"]["access"] == "conditional"


def test_a_denial_of_the_secrets_policy_wins(secret: str, identities: Identities, fleet: Fleet) -> None:
    spared, denied = identities.role(allow(*ALL)), identities.role(allow(*ALL))
    root = "arn:aws:iam::123456789012:root"
    denial = {
        **deny("secretsmanager:*", Sid="Others"),
        "NotPrincipal": {"AWS": [arn(spared), root]},
    }
    fleet.secrets.put_resource_policy(SecretId=secret, ResourcePolicy=policy(denial))
    assert answers(secret, arn(spared)) == ["yes"] * 3
    (found,) = [each for each in told(secret)["principals"] if each["principal"] == arn(denied)]
    assert found["read"]["why"].endswith(f"is denied by the policy of {secret}, Others")


def test_rotating_needs_the_function_too(fleet: Fleet, identities: Identities) -> None:
    secret = fleet.add("rotated", {"engine": "none"})
    fleet.aws.enable_rotation(secret)
    half, whole = identities.role(allow("secretsmanager:*")), identities.role(allow(*ALL))
    assert [answers(secret, arn(role))[2] for role in (half, whole)] == ["no", "yes"]


def test_a_principal_is_asked_by_name_and_arn(secret: str, identities: Identities) -> None:
    role = identities.role(allow(*READ))
    session = f"arn:aws:sts::123456789012:assumed-role/{role}/session"
    documents = [told(name) for name in (f"role/{role}", arn(role), session)]
    assert documents[0] == documents[1] == documents[2]
    (found,) = [each for each in documents[0]["secrets"] if each["secret"] == secret]
    assert found["read"]["access"] == "yes"
    assert secret.partition("/")[0] in command("access", f"role/{role}").stdout
    for other in (session.replace("123456789012", "222222222222"), f"{arn(role)}x", f"user/{role}"):
        assert "[principal-not-found]" in command("access", other).stderr


def test_the_next_command_means_the_secret(fleet: Fleet, identities: Identities) -> None:
    """A secret may have a name that means a role, or a command."""
    name = unique("role/x")
    made = fleet.secrets.create_secret(Name=name, SecretString="x")["ARN"]
    identities.role(allow(*READ, Resource=made))
    assert f"Next: `rotators access {made}`" in command("access", "matrix", name).stdout
    assert told(made)["secret"] == name
    fleet.secrets.delete_secret(SecretId=made, ForceDeleteWithoutRecovery=True)


def test_a_deleted_secret_is_reported(secret: str, fleet: Fleet, identities: Identities) -> None:
    identities.role(allow(*READ))
    assert not told(secret)["deleted"]
    fleet.secrets.delete_secret(SecretId=secret)
    assert told(secret)["deleted"]
    shown = command("access", secret).stdout
    assert "scheduled for deletion, so no one can read it now" in shown
    assert f"Next: `rotators restore {secret}`" in shown


def test_a_long_condition_is_cut_in_the_table(secret: str, identities: Identities) -> None:
    long = {"Condition": {"StringEquals": {"aws:UserAgent": "v" * 9_000}}}
    role = identities.role(allow(*READ, **long))
    shown = command("access", secret).stdout
    assert "--json shows all" in " ".join(shown.replace("│", " ").split())
    assert shown.count("v") < 1_000
    (found,) = [each for each in told(secret)["principals"] if each["principal"] == arn(role)]
    assert len(found["read"]["conditions"][0]) > 9_000


def test_a_matrix_has_all_pairs_with_access(fleet: Fleet, identities: Identities) -> None:
    names = [fleet.add(name) for name in ("one", "two")]
    role = identities.role(allow(*READ))
    document = told("matrix", "--name", fleet.prefix)
    pairs = {(each["secret"], each["principal"]) for each in document["access"]}
    assert {(name, arn(role)) for name in names} <= pairs
    assert document["secrets"] == len(names)
    rows = command("access", "matrix", "--name", fleet.prefix, "-o", "csv").stdout.splitlines()
    assert rows[0] == "secret,principal,read,write,rotate,why,arn"
    assert [
        row for row in rows if row.startswith(f"{names[0]},{arn(role)},yes,no,no,read: inline policy own,")
    ]
    table = command("access", "matrix", "--name", fleet.prefix).stdout
    assert "2 of 2 secrets" in table
    assert "\nNext: " in table


def test_a_matrix_distinguishes_two_regions(
    fleet: Fleet, identities: Identities, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    role = identities.role(allow(*READ))
    name = f"{fleet.prefix}one"
    created = [
        fleet.aws.client("secretsmanager", region=region).create_secret(Name=name, SecretString="x")["ARN"]
        for region in ("us-east-1", "eu-west-1")
    ]
    done = command("access", "matrix", *created).stdout
    (header,) = [line for line in done.splitlines() if "principal" in line]
    (row,) = [line for line in done.splitlines() if f"role/{role}" in line]
    assert "2 of 2 secrets" in done
    assert created[1] in header
    assert row.count("read") == len(created)


def test_accounts_are_read_page_by_page(aws: LocalAws) -> None:
    from moto.iam.models import iam_backends  # noqa: PLC0415 - a thousand requests would take seconds

    backend, count = iam_backends["123456789012"]["aws"], 1_100
    for number in range(count):
        backend.create_user(region_name="us-east-1", user_name=f"many-{number}")
    try:
        found = [each for each in read_account().principals if "/many-" in each.name]
        assert aws.client("iam").get_account_authorization_details(MaxItems=1)["IsTruncated"] is True
    finally:
        for number in range(count):
            backend.delete_user(f"many-{number}")
    assert len(found) == count


# --- what may not be read


LOOKING = (
    "iam:GetAccountAuthorizationDetails",
    "sts:GetCallerIdentity",
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetResourcePolicy",
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:ListGrants",
    "kms:ListResourceTags",
)


def test_without_iam_the_permission_is_named(secret: str, identities: Identities) -> None:
    with identities.acting(allow(*LOOKING[1:])):
        done = command("access", secret)
    assert done.status == 1
    assert done.stderr.startswith("rotators: [access-unknown] ")
    assert '"iam:GetAccountAuthorizationDetails"' in done.stderr


@pytest.mark.parametrize("missing", LOOKING[3:])
def test_unread_parts_make_the_answer_incomplete(
    keyed: tuple[str, str], identities: Identities, missing: str
) -> None:
    by_tag = {"StringEquals": {"aws:ResourceTag/team": "shop"}}
    able = {
        arn(identities.role(allow(*ALL))),
        arn(identities.role(allow("secretsmanager:*"), allow("kms:*", Condition=by_tag))),
    }
    with identities.acting(allow(*(each for each in LOOKING if each != missing))):
        document = told(keyed[0], status=1)
        done = command("access", keyed[0])
    assert document["complete"] is False
    assert [each["code"].partition("/")[0] for each in document["unread"]] == ["access-denied"]
    assert "Incomplete, because this could not be read: " in done.stdout
    found = {each["read"]["access"] for each in document["principals"] if each["principal"] in able}
    assert "conditional" in found


def test_with_all_permissions_the_answer_is_complete(keyed: tuple[str, str], identities: Identities) -> None:
    with identities.acting(allow(*LOOKING)):
        assert told(keyed[0])["complete"] is True
