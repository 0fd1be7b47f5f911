"""With rules for callers, the retrieve function answers only roles that its URL names."""

from __future__ import annotations

import base64
import copy
import json
import uuid
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from functions.retrieve import handler
from rotators.core.errors import ConfigurationError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

ACCOUNT, OTHER = "123456789012", "210987654321"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/shop/i-0123456789"
VALUE = {"username": "app", "password": "s3cr3t-Pa55"}
ABSENT = object()
FULLWIDTH = "".join(chr(ord(digit) + 0xFEE0) for digit in ACCOUNT)
"""The account in digits that are not ASCII."""


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """One role, in a path, may have the names of two prefixes, one every name, one those of two tags."""
    monkeypatch.setenv(
        "RETRIEVE_CALLERS",
        f"arn:aws:iam::{ACCOUNT}:role/team/shop=shop/,arn:aws:iam::{ACCOUNT}:role/team/shop=shared/,"
        f"arn:aws:iam::{ACCOUNT}:role/audit=*,arn:aws:iam::{ACCOUNT}:role/tagged=tag:team=shop,"
        f"arn:aws:iam::{ACCOUNT}:role/tagged=tag:env=test",
    )


def request(body: object, arn: object = SESSION, account: object = ACCOUNT) -> dict[str, Any]:
    """A request as Lambda passes it on from a function URL (LG: urls-invocation)."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/",
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "abcdefg",
            "authentication": None,
            "authorizer": {
                "iam": {
                    "accessKey": "ASIAEXAMPLE",
                    "accountId": account,
                    "callerId": "AROAEXAMPLE:i-0123456789",
                    "cognitoIdentity": None,
                    "principalOrgId": "o-example",
                    "userArn": arn,
                    "userId": "AROAEXAMPLE:i-0123456789",
                }
            },
            "domainName": "abcdefg.lambda-url.eu-west-1.on.aws",
            "http": {"method": "POST", "path": "/", "protocol": "HTTP/1.1"},
        },
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def created(manager: SecretsManagerClient, prefix: str, **tags: str) -> str:
    name = f"{prefix}{uuid.uuid4().hex}"
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    manager.create_secret(Name=name, SecretString=json.dumps(VALUE), Tags=listed)  # type: ignore[arg-type]
    return name


def answered(event: object) -> tuple[int, dict[str, Any]]:
    answer = handler(event)
    assert answer["headers"]["cache-control"] == "no-store"
    return answer["statusCode"], json.loads(answer["body"])


def refused(event: object, reason: str) -> str:
    status, content = answered(event)
    assert (status, content["Code"]) == (403, f"caller-refused/{reason}")
    assert VALUE["password"] not in json.dumps(content)
    return str(content["Message"])


@pytest.mark.parametrize("prefix", ["shop/", "shared/"])
def test_a_role_gets_secrets_of_its_prefixes(manager: SecretsManagerClient, prefix: str) -> None:
    name = created(manager, prefix)
    status, content = answered(request({"SecretId": name}))
    assert (status, content["Name"], content["Value"]) == (200, name, VALUE)


def test_many_secrets_and_an_encoded_body(manager: SecretsManagerClient) -> None:
    names = [created(manager, "shop/"), created(manager, "shared/")]
    event = request({})
    body = json.dumps({"SecretIds": names, "Fields": ["username"]}).encode()
    event |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    status, content = answered(event)
    assert status == 200
    assert [(each["Name"], each["Value"]) for each in content["Secrets"]] == [
        (name, {"username": "app"}) for name in names
    ]


def test_a_role_for_every_name(manager: SecretsManagerClient) -> None:
    name = created(manager, "elsewhere/")
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/audit/someone"
    assert answered(request({"SecretId": name}, session))[0] == 200


def test_a_refusal_does_not_reveal_what_exists(manager: SecretsManagerClient, calls: list[str]) -> None:
    exists = created(manager, "other/")
    calls.clear()
    assert refused(request({"SecretId": exists}), "secret") == refused(
        request({"SecretId": "other/no"}), "secret"
    )
    assert calls == []


@pytest.mark.parametrize("arn", ["", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"])
@pytest.mark.parametrize("name", ["Shop/a", "SHOP/a", "xshop/a", "shop", "other/shop/a"])
def test_other_names_are_refused(manager: SecretsManagerClient, arn: str, name: str) -> None:
    refused(request({"SecretId": arn + name}), "secret")


def test_an_arn_of_an_own_secret_is_refused(manager: SecretsManagerClient) -> None:
    arn = manager.describe_secret(SecretId=created(manager, "shop/"))["ARN"]
    refused(request({"SecretId": arn}), "secret")
    refused(request({"SecretId": arn}, f"arn:aws:sts::{ACCOUNT}:assumed-role/audit/someone"), "secret")


def test_one_foreign_secret_refuses_the_batch(manager: SecretsManagerClient, calls: list[str]) -> None:
    names = [created(manager, "shop/"), created(manager, "other/")]
    calls.clear()
    refused(request({"SecretIds": names}), "secret")
    assert calls == []


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:sts::{ACCOUNT}:assumed-role/other/shop",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/Shop/session",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/shop2/session",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/team/shop",
        f"arn:aws-cn:sts::{ACCOUNT}:assumed-role/shop/session",
    ],
)
def test_another_role_gets_nothing(manager: SecretsManagerClient, arn: str) -> None:
    refused(request({"SecretId": created(manager, "shop/")}, arn), "secret")


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:iam::{ACCOUNT}:role/team/shop",
        f"arn:aws:iam::{ACCOUNT}:user/shop",
        f"arn:aws:iam::{ACCOUNT}:root",
        f"arn:aws:sts::{ACCOUNT}:federated-user/shop",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/shop",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/shop/",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/shop/a/b",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/team/shop/session",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/other/assumed-role/shop/session",
        f"arn:aws:sts::{ACCOUNT}:Assumed-Role/shop/session",
        f"ARN:AWS:STS::{ACCOUNT}:ASSUMED-ROLE/SHOP/SESSION",
        f"arn:aws:sts::{OTHER}:assumed-role/shop/session",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/shop/session\n",
        f" arn:aws:sts::{ACCOUNT}:assumed-role/shop/session",
        f"arn:aws:sts::{FULLWIDTH}:assumed-role/shop/session",
        "shop",
        "",
        "*",
    ],
)
def test_only_sessions_of_roles_are_callers(manager: SecretsManagerClient, arn: str) -> None:
    refused(request({"SecretId": created(manager, "shop/")}, arn), "no-role")


@pytest.mark.parametrize("account", ["", OTHER, "*", ACCOUNT + " "])
def test_a_contradicting_account_is_refused(manager: SecretsManagerClient, account: str) -> None:
    refused(request({"SecretId": created(manager, "shop/")}, account=account), "no-role")


def test_the_same_role_of_another_account(manager: SecretsManagerClient) -> None:
    session = f"arn:aws:sts::{OTHER}:assumed-role/shop/session"
    refused(request({"SecretId": created(manager, "shop/")}, session, OTHER), "secret")


IAM = ("requestContext", "authorizer", "iam")


@pytest.mark.parametrize("value", [ABSENT, None, 7, 1.5, [], [SESSION], {}, {"arn": SESSION}])
@pytest.mark.parametrize(
    "path",
    [
        ("version",),
        ("body",),
        ("isBase64Encoded",),
        ("requestContext",),
        ("requestContext", "authorizer"),
        IAM,
        (*IAM, "userArn"),
        (*IAM, "accountId"),
    ],
)
def test_missing_or_mistyped_members_are_refused(
    manager: SecretsManagerClient, path: tuple[str, ...], value: object
) -> None:
    event = request({"SecretId": created(manager, "shop/")})
    part = event
    for step in path[:-1]:
        part = part[step]
    del part[path[-1]]
    if value is not ABSENT:
        part[path[-1]] = copy.deepcopy(value)
    refused(event, "unknown")


def misspelled(event: dict[str, Any], old: str, new: str) -> Any:
    return json.loads(json.dumps(event).replace(f'"{old}"', f'"{new}"'))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("requestContext", "RequestContext"),
        ("requestContext", "request_context"),
        ("authorizer", "Authorizer"),
        ("authorizer", "identity"),
        ("iam", "IAM"),
        ("iam", "lambda"),
        ("iam", "jwt"),
        ("userArn", "UserArn"),
        ("userArn", "user_arn"),
        ("userArn", "userarn"),
        ("accountId", "accountID"),
        ("version", "Version"),
        ("2.0", "1.0"),
    ],
)
def test_other_spellings_are_refused(manager: SecretsManagerClient, old: str, new: str) -> None:
    refused(misspelled(request({"SecretId": created(manager, "shop/")}), old, new), "unknown")


def direct(name: str) -> list[object]:
    """Events of direct invocations, and of other services that name a caller."""
    iam = {"accountId": ACCOUNT, "userArn": SESSION, "caller": "AROAEXAMPLE:session", "userId": "AROAEXAMPLE"}
    own = {"SecretId": name}
    return [
        own,
        {**own, "requestContext": {"authorizer": {"iam": iam}}},
        {**own, "clientContext": {"custom": {"userArn": SESSION}}},
        {**own, "identity": iam},
        {"httpMethod": "POST", "body": json.dumps(own), "requestContext": {"identity": iam}},
        {
            "version": "1.0",
            "body": json.dumps(own),
            "isBase64Encoded": False,
            "requestContext": {"identity": iam},
        },
        {"version": "2.0", "body": json.dumps(own), "isBase64Encoded": False, "identity": iam},
        {
            "version": "2.0",
            "body": json.dumps(own),
            "isBase64Encoded": False,
            "requestContext": {"authorizer": {"lambda": iam, "principalId": SESSION}},
        },
        {"requestContext": {"elb": {}}, "body": json.dumps(own), "isBase64Encoded": False},
        [request(own)],
        json.dumps(request(own)),
        None,
        7,
    ]


def test_direct_events_and_other_services_are_refused(
    manager: SecretsManagerClient, calls: list[str]
) -> None:
    events = direct(created(manager, "shop/"))
    calls.clear()
    for event in events:
        refused(event, "unknown")
    assert calls == []


def test_the_client_context_names_no_caller(manager: SecretsManagerClient) -> None:
    claims = {"custom": {"userArn": SESSION}, "requestContext": {"authorizer": {"iam": {}}}}
    forged = SimpleNamespace(client_context=claims, identity={"cognito_identity_id": SESSION})
    answer = handler({"SecretId": created(manager, "shop/")}, forged)
    assert answer["statusCode"] == 403


STRANGER = f"arn:aws:sts::{ACCOUNT}:assumed-role/stranger/one"
CLAIM = {"authorizer": {"iam": {"accountId": ACCOUNT, "userArn": SESSION}}}


@pytest.mark.parametrize(
    "forged",
    [
        {"headers": {"requestContext": json.dumps(CLAIM), "x-amzn-request-context": json.dumps(CLAIM)}},
        {"headers": {"authorization": f"AWS4-HMAC-SHA256 Credential={SESSION}", "userarn": SESSION}},
        {"queryStringParameters": {"requestContext": json.dumps(CLAIM), "userArn": SESSION}},
        {"rawQueryString": f"userArn={SESSION}", "cookies": [f"userArn={SESSION}"]},
        {"pathParameters": CLAIM, "stageVariables": CLAIM},
        {"request_context": CLAIM, "RequestContext": CLAIM, "identity": CLAIM["authorizer"]["iam"]},
        {"authorizer": CLAIM["authorizer"], "iam": CLAIM["authorizer"]["iam"], "userArn": SESSION},
    ],
    ids=["headers", "signature", "query", "cookies", "path", "spellings", "top level"],
)
def test_only_lambdas_member_names_the_caller(
    manager: SecretsManagerClient, calls: list[str], forged: dict[str, Any]
) -> None:
    event = request({"SecretId": created(manager, "shop/")}, STRANGER)
    calls.clear()
    refused({**event, **forged}, "secret")
    assert calls == []


@pytest.mark.parametrize("member", ["requestContext", "authorizer", "identity", "caller", "userArn"])
def test_claims_in_the_body_are_refused(manager: SecretsManagerClient, calls: list[str], member: str) -> None:
    event = request({"SecretId": created(manager, "shop/"), member: CLAIM}, STRANGER)
    calls.clear()
    status, content = answered(event)
    assert (status, content["Code"], calls) == (400, "invalid-event", [])


@pytest.mark.parametrize("member", ["tags", "principalTags", "aws:PrincipalTag/team", "sessionTags"])
def test_tags_of_the_caller_are_not_believed(manager: SecretsManagerClient, member: str) -> None:
    """Lambda writes none (LG: urls-invocation)."""
    event = request({"SecretId": created(manager, "other/", team="shop")}, STRANGER)
    event["requestContext"]["authorizer"]["iam"][member] = {"team": "shop"}
    refused(event, "secret")


# --- rules by tag

TAGGED = f"arn:aws:sts::{ACCOUNT}:assumed-role/tagged/one"


def test_the_secrets_tag_permits_it(manager: SecretsManagerClient) -> None:
    names = [created(manager, "other/", team="shop"), created(manager, "other/", env="test")]
    assert answered(request({"SecretId": names[0]}, TAGGED))[1]["Value"] == VALUE
    _, content = answered(request({"SecretIds": names}, TAGGED))
    assert [each["Name"] for each in content["Secrets"]] == names


@pytest.mark.parametrize(
    "tags", [{}, {"team": "Shop"}, {"Team": "shop"}, {"team": "shop2"}, {"shop": "team"}]
)
def test_another_tag_is_refused_as_a_missing_secret(
    manager: SecretsManagerClient, tags: dict[str, str]
) -> None:
    message = refused(request({"SecretId": created(manager, "other/", **tags)}, TAGGED), "secret")
    assert message == refused(request({"SecretId": "other/missing"}, TAGGED), "secret")


def test_a_removed_tag_ends_the_access_at_once(manager: SecretsManagerClient) -> None:
    name = created(manager, "other/", team="shop")
    assert answered(request({"SecretId": name}, TAGGED))[0] == 200
    manager.untag_resource(SecretId=name, TagKeys=["team"])
    refused(request({"SecretId": name}, TAGGED), "secret")


def test_a_tag_does_not_open_an_older_value(
    manager: SecretsManagerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The value in memory is that of an older secret with the same name, without the tag."""
    monkeypatch.setenv("RETRIEVE_CACHE_SECONDS", "300")
    audit = f"arn:aws:sts::{ACCOUNT}:assumed-role/audit/someone"
    name = created(manager, "other/")
    assert answered(request({"SecretId": name}, audit))[0] == 200
    manager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    manager.create_secret(Name=name, SecretString="new", Tags=[{"Key": "team", "Value": "shop"}])
    refused(request({"SecretId": name}, TAGGED), "secret")
    refused(request({"SecretIds": [name]}, TAGGED), "secret")
    _, content = answered(request({"SecretId": name, "Refresh": True}, TAGGED))
    assert content["SecretString"] == "new"


def test_secrets_are_described_only_for_a_tag(manager: SecretsManagerClient, calls: list[str]) -> None:
    name = created(manager, "shop/")
    arn = manager.describe_secret(SecretId=created(manager, "other/", team="shop"))["ARN"]
    calls.clear()
    answered(request({"SecretId": name}))
    assert calls == ["GetSecretValue"]
    refused(request({"SecretId": arn}, TAGGED), "secret")
    assert calls == ["GetSecretValue"]


@pytest.mark.parametrize(
    "body", ["", "{", "s3cr3t-Pa55", '"shop/a"', "[]", "null", '{"SecretID": "shop/a"}', "{}"]
)
def test_a_wrong_body_is_an_invalid_event(manager: SecretsManagerClient, body: str) -> None:
    event = request({}) | {"body": body}
    status, content = answered(event)
    assert (status, content["Code"]) == (400, "invalid-event")
    assert answered(event | {"isBase64Encoded": True})[0] == 400


def test_a_missing_own_secret_is_reported(manager: SecretsManagerClient) -> None:
    status, content = answered(request({"SecretId": "shop/none"}))
    assert (status, content["Code"]) == (404, "secret-not-found")


def test_the_log_names_caller_and_secret(
    manager: SecretsManagerClient, capsys: pytest.CaptureFixture[str]
) -> None:
    name = created(manager, "shop/")
    capsys.readouterr()
    handler(request({"SecretId": name}))
    handler(request({"SecretId": "other/a"}))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    first, second = [line for line in lines if "outcome" in line]
    role = f"arn:aws:iam::{ACCOUNT}:role/shop"
    assert (first["caller"], first["secret"], first["outcome"]) == (role, name, "succeeded")
    assert (second["caller"], second["secret"], second["error_code"]) == (
        role,
        "other/a",
        "caller-refused/secret",
    )
    assert VALUE["password"] not in json.dumps(lines)


@pytest.mark.parametrize(
    "rule",
    [
        " ",
        ",",
        "shop=shop/",
        f"arn:aws:iam::{ACCOUNT}:role/shop",
        f"arn:aws:iam::{ACCOUNT}:role/shop=",
        f"arn:aws:iam::{ACCOUNT}:role/*=shop/",
        f"arn:aws:iam::{ACCOUNT}:user/shop=shop/",
        "arn:aws:iam::1234:role/shop=shop/",
        f"arn:aws:iam::{ACCOUNT}:role/shop=shop/,",
        f"arn:aws:iam::{ACCOUNT}:role/shop=shop/*",
        f"arn:aws:iam::{ACCOUNT}:role/shop=tag:team",
        f"arn:aws:iam::{ACCOUNT}:role/shop=tag:team=",
        f"arn:aws:iam::{ACCOUNT}:role/shop=tag:=shop",
        f"arn:aws:iam::{ACCOUNT}:role/shop=tag:team=*",
        f"arn:aws:iam::{ACCOUNT}:role/shop=Tag:team=shop",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/shop/session=shop/",
    ],
)
def test_a_wrong_rule_closes_the_function(
    manager: SecretsManagerClient, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    monkeypatch.setenv("RETRIEVE_CALLERS", rule)
    with pytest.raises(ConfigurationError, match="RETRIEVE_CALLERS"):
        handler(request({"SecretId": created(manager, "shop/")}))
