"""`rotators access suggest`: the policies permit the application to read, and deny the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rotators.local.aws import LocalAws
from tests.cli.command import command
from tests.manage.conftest import Fleet
from tests.manage.principals import Identities, allow, arn, deny, forget, policy, told

ALL = ["secretsmanager:*", "kms:*", "lambda:*", "iam:*", "sts:*"]
FUNCTION = "rotators-rotate"


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
    made.statements.pop(FUNCTION, None)
    made.delete()


@pytest.fixture
def secret(fleet: Fleet) -> str:
    """A rotating secret with a customer managed key and a tag."""
    key = fleet.aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    name = fleet.add("db", {"engine": "none"}, KmsKeyId=key, tags={"team": "shop"})
    fleet.aws.enable_rotation(name)
    return name


def reads(client: Any, secret: str) -> bool:
    """Return whether a caller can read a secret."""
    try:
        client.get_secret_value(SecretId=secret)
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return False
    return True


def test_the_suggested_policy_permits_what_a_client_needs(secret: str, identities: Identities) -> None:
    role = identities.role()
    with identities.enforced():
        assert not reads(identities.client(role), secret)
    statements = told("suggest", secret, "--for", role)["identity_policy"]["Statement"]
    identities.give(role, *statements)
    with identities.enforced():
        assert reads(identities.client(role), secret)
        identities.client(role).describe_secret(SecretId=secret)


def test_the_suggested_policy_permits_nothing_else(secret: str, fleet: Fleet, identities: Identities) -> None:
    role, other = identities.role(), fleet.add("other")
    key = fleet.secrets.describe_secret(SecretId=secret)["KmsKeyId"]
    identities.give(role, *told("suggest", secret, "--for", role)["identity_policy"]["Statement"])
    kms = fleet.aws.client("kms")
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"SecretARN": "x"})["CiphertextBlob"]
    secrets = identities.client(role)
    with identities.enforced():
        assert not reads(secrets, other)
        with pytest.raises(ClientError, match="AccessDenied"):
            secrets.put_secret_value(SecretId=secret, SecretString="x")
        with pytest.raises(ClientError, match="AccessDenied"):
            secrets.put_resource_policy(SecretId=secret, ResourcePolicy=policy(deny("x:Y", Principal="*")))
        with pytest.raises(ClientError, match="AccessDenied"):
            identities.client(role, "kms").decrypt(KeyId=key, CiphertextBlob=blob)


@pytest.mark.parametrize("left_out", ["secretsmanager:GetSecretValue", "kms:Decrypt"])
def test_every_suggested_permission_is_needed(secret: str, identities: Identities, left_out: str) -> None:
    role = identities.role()
    statements = told("suggest", secret, "--for", role)["identity_policy"]["Statement"]
    for statement in statements:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        statement["Action"] = [each for each in actions if each != left_out] or ["none:None"]
    identities.give(role, *statements)
    with identities.enforced():
        assert not reads(identities.client(role), secret)


def test_a_tag_permits_all_secrets_that_have_it(secret: str, fleet: Fleet, identities: Identities) -> None:
    tagged, untagged = fleet.add("tagged", tags={"team": "shop"}), fleet.add("untagged")
    role = identities.role()
    document = told("suggest", secret, "--for", role, "--by-tag", "team=shop")
    assert tagged in document["other_secrets"]
    identities.give(role, *document["identity_policy"]["Statement"])
    client = identities.client(role)
    with identities.enforced():
        assert [reads(client, name) for name in (secret, tagged, untagged)] == [True, True, False]


def test_a_secret_without_the_tag_is_refused(secret: str, identities: Identities) -> None:
    done = command("access", "suggest", secret, "--for", identities.role(), "--by-tag", "team=web")
    assert (done.status, "[suggestion-refused/tag]" in done.stderr) == (1, True)
    assert f"`rotators tag {secret} --set team=web --yes`" in done.stderr


@pytest.fixture
def exclusive(secret: str, fleet: Fleet, identities: Identities) -> dict[str, str]:
    """Names of roles after the policies were attached: application, operator, caller, and another."""
    roles = {who: identities.role(allow(*ALL)) for who in ("operator", "other")}
    roles["application"] = identities.role()
    with identities.acting(allow(*ALL)) as roles["caller"]:
        keep = ("--keep", f"role/{roles['operator']}")
        document = told("suggest", secret, "--for", roles["application"], "--exclusive", *keep)
    identities.give(roles["application"], *document["identity_policy"]["Statement"])
    (suggested,) = document["resource_policies"]
    assert suggested["findings"] == []
    fleet.secrets.put_resource_policy(
        SecretId=secret, ResourcePolicy=json.dumps(suggested["policy"]), BlockPublicPolicy=True
    )
    return roles


def test_the_exclusive_policy_denies_all_others(
    secret: str, identities: Identities, exclusive: dict[str, str]
) -> None:
    with identities.enforced():
        able = {who: reads(identities.client(role), secret) for who, role in exclusive.items()}
        identities.client(exclusive["other"]).describe_secret(SecretId=secret)
        with pytest.raises(ClientError, match="AccessDenied"):
            identities.client(exclusive["other"]).put_secret_value(SecretId=secret, SecretString="x")
    assert able == {"application": True, "operator": True, "caller": True, "other": False}
    found = {each["principal"]: each["read"]["access"] for each in told(secret)["principals"]}
    assert {who: found[arn(role)] for who, role in exclusive.items()} == {
        who: "yes" if each else "no" for who, each in able.items()
    }


@pytest.mark.usefixtures("exclusive")
def test_the_exclusive_policy_keeps_needed_access(
    secret: str, identities: Identities, exclusive: dict[str, str]
) -> None:
    identities.statements[FUNCTION] = [allow(*ALL)]
    with identities.enforced():
        assert reads(identities.client(FUNCTION), secret)
        identities.client(exclusive["caller"]).put_resource_policy(
            SecretId=secret, ResourcePolicy=policy(deny("x:Y", Principal="*"))
        )


def test_present_statements_stay_and_are_not_repeated(
    secret: str, fleet: Fleet, identities: Identities
) -> None:
    present = deny("secretsmanager:DeleteSecret", Sid="Keep", Principal="*")
    fleet.secrets.put_resource_policy(SecretId=secret, ResourcePolicy=policy(present))
    arguments = ("suggest", secret, "--for", identities.role(), "--exclusive")
    for _ in range(2):
        suggested = told(*arguments)["resource_policies"][0]["policy"]
        assert [each["Sid"] for each in suggested["Statement"]] == ["Keep", "DenyOthers"]
        fleet.secrets.put_resource_policy(SecretId=secret, ResourcePolicy=json.dumps(suggested))


def test_nothing_is_changed(secret: str, fleet: Fleet, identities: Identities) -> None:
    role = identities.role()
    assert command("access", "suggest", secret, "--for", role, "--exclusive").status == 0
    assert "ResourcePolicy" not in fleet.secrets.get_resource_policy(SecretId=secret)
    assert identities.iam.list_role_policies(RoleName=role)["PolicyNames"] == []


def test_a_policy_that_would_not_work_is_reported(secret: str, identities: Identities) -> None:
    role = identities.role(deny("kms:Decrypt", Sid="NoKeys"))
    done = command("access", "suggest", secret, "--for", role)
    assert done.status == 1
    assert f"Fault: the role could not read {secret}: kms:Decrypt is denied by" in done.stdout
    assert "NoKeys" in done.stdout


def test_findings_of_the_service_are_faults(secret: str, fleet: Fleet, identities: Identities) -> None:
    public = allow("secretsmanager:GetSecretValue", Principal="*")
    fleet.secrets.put_resource_policy(SecretId=secret, ResourcePolicy=policy(public))
    done = command("access", "suggest", secret, "--for", identities.role(), "--exclusive")
    assert done.status == 1
    assert "broad access" in done.stdout


def test_an_unknown_function_is_refused(fleet: Fleet, secret: str, identities: Identities) -> None:
    permitted = allow(*ALL), deny("lambda:GetFunctionConfiguration")
    with identities.acting(*permitted):
        done = command("access", "suggest", secret, "--for", identities.role(), "--exclusive")
    assert done.status == 1
    assert "[suggestion-refused/function]" in done.stderr
    assert "lambda:GetFunctionConfiguration" in done.stderr


def test_keys_and_regions_get_their_own_statements(fleet: Fleet, identities: Identities) -> None:
    far, names = fleet.aws.client("secretsmanager", region="eu-west-1"), []
    for number in range(2):
        key = fleet.aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        names.append(fleet.add(f"keyed-{number}", KmsKeyId=key))
    key = fleet.aws.client("kms", region="eu-west-1").create_key()["KeyMetadata"]["Arn"]
    names.append(far.create_secret(Name=f"{fleet.prefix}far", SecretString="x", KmsKeyId=key)["ARN"])
    role = identities.role()
    statements = told("suggest", *names, "--for", role)["identity_policy"]["Statement"]
    services = sorted(each["Condition"]["StringEquals"]["kms:ViaService"] for each in statements[1:])
    assert services == [
        "secretsmanager.eu-west-1.amazonaws.com",
        *["secretsmanager.us-east-1.amazonaws.com"] * 2,
    ]
