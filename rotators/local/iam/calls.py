"""The calls of a request: the one that was sent, and those that AWS makes in the caller's name because of it.

Secrets Manager uses KMS as the caller, only for secrets with a key of the account's own
(UG:security-encryption); rotating asks for the right to invoke the function (API:RotateSecret); a batch is
decided secret by secret (API:BatchGetSecretValue). Which call uses which key operation is what
UG:security-encryption and UG:rotating-secrets-required-permissions-function list; where they leave open when
KMS's DescribeKey is made, it is assumed for every write. SNS uses a topic's key as the sender (SNS guide:
sns-key-management).

Every call names its caller, and says that it came over TLS: the local endpoint is on loopback, without TLS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rotators.local.iam.evaluator import Call

Context = Mapping[str, str | tuple[str, ...]]

_MANAGER = "secretsmanager"
_READS = ("GetSecretValue",)
_WRITES = ("CreateSecret", "PutSecretValue", "UpdateSecret")
_NEW_SUFFIX = "-AbCdEf"
_VALIDATION = "RequestToValidateKeyAccess"
_PARAMETERS = ("Name", "RotationLambdaARN", "SecretId", "VersionId", "VersionStage")


@dataclass(frozen=True)
class Request:
    """A request at the door.

    Attributes:
        principal: who signed it.
        account, region: the caller's account, and where.
        service: the name it was signed for.
        operation: of the API.
        params: the body.
        role: ARN of the role that the caller acts as; empty for a developer.
    """

    principal: str
    account: str
    region: str
    service: str
    operation: str
    params: Mapping[str, Any]
    role: str = ""

    def call(self, action: str, resource: str, context: Context | None = None) -> Call:
        """A call in the caller's name, with what every call tells IAM (reference_policies_condition-keys)."""
        told = {
            "aws:PrincipalArn": self.role,
            "aws:PrincipalAccount": self.account,
            "aws:SecureTransport": "true",
        }
        return Call(self.principal, action, resource, {**told, **(context or {})})


@dataclass(frozen=True)
class Key:
    """What IAM looks at of a KMS key.

    Attributes:
        arn: of the key.
        tags: of the key.
    """

    arn: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Target:
    """What IAM looks at of a secret.

    Attributes:
        arn: of the secret.
        key: its key; None for the key that Secrets Manager owns.
        function: its rotation function, if it has one.
        tags: of the secret.
    """

    arn: str
    key: Key | None
    function: str | None
    tags: Mapping[str, str]


Find = Callable[[str], Target | None]
FindKey = Callable[[str], Key | None]


def calls_of(request: Request, find: Find, find_key: FindKey, find_topic_key: FindKey) -> list[Call]:
    """What IAM decides about when a request comes in.

    Args:
        request: the request.
        find: gives a secret by name or ARN.
        find_key: gives a key by id, alias or ARN; None for one of the service's own.
        find_topic_key: gives the key of a topic by the topic's ARN; None for a topic that is not encrypted.

    Returns:
        The call itself first.
    """
    if request.service == _MANAGER:
        return list(_manager_calls(request, find, find_key))
    resource = _RESOURCES.get((request.service, request.operation), _anything)(request)
    own = request.call(f"{request.service}:{request.operation}", resource)
    if (request.service, request.operation) == ("sns", "Publish"):
        return [own, *_encrypting_calls(request, resource, find_topic_key(resource))]
    return [own]


def _encrypting_calls(request: Request, topic: str, key: Key | None) -> Iterator[Call]:
    if key is None:
        return
    context: Context = {
        "aws:ResourceAccount": _account(key.arn),
        "kms:ViaService": f"sns.{request.region}.amazonaws.com",
        "kms:CallerAccount": request.account,
        "kms:EncryptionContext:aws:sns:topicArn": topic,
    }
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        yield request.call(action, key.arn, context)


def _manager_calls(request: Request, find: Find, find_key: FindKey) -> Iterator[Call]:
    params = request.params
    action = f"{_MANAGER}:{request.operation}"
    if request.operation == "BatchGetSecretValue":
        yield request.call(action, "*")
        for secret_id in params.get("SecretIdList", []):
            single = replace(request, operation="GetSecretValue", params={"SecretId": secret_id})
            yield from _manager_calls(single, find, find_key)
        return
    target = _target(request, find, find_key)
    if target is None:
        # IAM knows a secret that does not exist by its name alone.
        target = Target(_new_arn(request, str(params.get("SecretId", "*"))), None, None, {})
    context = {**_context(params, find_key), **_of_secret(target)}
    yield request.call(action, target.arn, context)
    if request.operation == "CreateSecret" and params.get("Tags"):
        yield request.call(f"{_MANAGER}:TagResource", target.arn, context)
    if request.operation == "RotateSecret":
        function = params.get("RotationLambdaARN") or target.function
        if function:
            yield request.call("lambda:InvokeFunction", function)
    yield from _key_calls(request, target, find_key)


def _target(request: Request, find: Find, find_key: FindKey) -> Target | None:
    if request.operation != "CreateSecret":
        return find(str(request.params.get("SecretId", "")))
    key = request.params.get("KmsKeyId")
    arn = _new_arn(request, str(request.params.get("Name", "")))
    return Target(arn, find_key(str(key)) if key else None, None, {})


def _new_arn(request: Request, name: str) -> str:
    if name.startswith("arn:"):
        return name
    return f"arn:aws:{_MANAGER}:{request.region}:{request.account}:secret:{name}{_NEW_SUFFIX}"


def _context(params: Mapping[str, Any], find_key: FindKey) -> dict[str, str | tuple[str, ...]]:
    """The condition keys of the request (Service Authorization Reference, list_awssecretsmanager)."""
    found: dict[str, str | tuple[str, ...]] = {
        f"{_MANAGER}:{name}": str(params[name]) for name in _PARAMETERS if name in params
    }
    if key := params.get("KmsKeyId"):
        found[f"{_MANAGER}:KmsKeyId"] = str(key)
        named = find_key(str(key))
        found[f"{_MANAGER}:KmsKeyArn"] = named.arn if named else str(key)
    if tags := params.get("Tags"):
        found["aws:TagKeys"] = tuple(tag["Key"] for tag in tags)
        found |= {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}
    return found


def _of_secret(target: Target) -> dict[str, str | tuple[str, ...]]:
    found: dict[str, str | tuple[str, ...]] = {"aws:ResourceAccount": _account(target.arn)}
    if target.function:
        found[f"{_MANAGER}:resource/AllowRotationLambdaArn"] = target.function
    for key, value in target.tags.items():
        found[f"{_MANAGER}:ResourceTag/{key}"] = found[f"aws:ResourceTag/{key}"] = value
    return found


def _key_calls(request: Request, target: Target, find_key: FindKey) -> Iterator[Call]:
    named = request.params.get("KmsKeyId")
    key = (find_key(str(named)) if named else None) or target.key
    if key is None:
        return
    via: dict[str, str | tuple[str, ...]] = {
        "aws:ResourceAccount": _account(key.arn),
        "kms:ViaService": f"{_MANAGER}.{request.region}.amazonaws.com",
        "kms:CallerAccount": request.account,
        **{f"aws:ResourceTag/{name}": value for name, value in key.tags.items()},
    }
    version = str(request.params.get("ClientRequestToken") or request.params.get("VersionId") or _VALIDATION)
    context = {
        **via,
        "kms:EncryptionContext:SecretARN": target.arn,
        "kms:EncryptionContext:SecretVersionId": version,
    }
    if request.operation in _READS:
        yield request.call("kms:Decrypt", key.arn, context)
    if request.operation in _WRITES:
        yield request.call("kms:DescribeKey", key.arn, via)
        # Decrypt too: a repeated value is compared with the stored one.
        for action in ("kms:GenerateDataKey", "kms:Decrypt"):
            yield request.call(action, key.arn, context)


def _account(arn: str) -> str:
    return arn.split(":")[4]


def _anything(_request: Request) -> str:
    return "*"


def _function(request: Request) -> str:
    name = str(request.params.get("FunctionName", ""))
    if name.startswith("arn:"):
        return name
    return f"arn:aws:lambda:{request.region}:{request.account}:function:{name}"


def _log_group(request: Request) -> str:
    group = request.params.get("logGroupName", "")
    return f"arn:aws:logs:{request.region}:{request.account}:log-group:{group}:log-stream:"


def _database(kind: str) -> Callable[[Request], str]:
    name = {"cluster": "DBClusterIdentifier", "db": "DBInstanceIdentifier"}[kind]

    def arn(request: Request) -> str:
        given = str(request.params.get(name, "*"))
        if given.startswith("arn:"):
            return given
        return f"arn:aws:rds:{request.region}:{request.account}:{kind}:{given}"

    return arn


def _key(request: Request) -> str:
    key = str(request.params.get("KeyId", ""))
    return key if ":key/" in key else f"arn:aws:kms:{request.region}:{request.account}:key/{key}"


def _stack(request: Request) -> str:
    name = request.params.get("StackName", "*")
    return f"arn:aws:cloudformation:{request.region}:{request.account}:stack/{name}/local"


_RESOURCES: dict[tuple[str, str], Callable[[Request], str]] = {
    ("cloudformation", "DescribeStacks"): _stack,
    ("iam", "SimulatePrincipalPolicy"): lambda request: str(request.params.get("PolicySourceArn", "")),
    ("kms", "DescribeKey"): _key,
    ("kms", "ListResourceTags"): _key,
    ("lambda", "GetFunctionConfiguration"): _function,
    ("lambda", "InvokeFunction"): _function,
    ("lambda", "GetPolicy"): _function,
    ("logs", "CreateLogStream"): _log_group,
    ("logs", "DescribeLogStreams"): _log_group,
    ("logs", "FilterLogEvents"): _log_group,
    ("rds", "DescribeDBClusters"): _database("cluster"),
    ("rds", "DescribeDBInstances"): _database("db"),
    ("sns", "Publish"): lambda request: str(request.params.get("TopicArn", "")),
    ("sts", "AssumeRole"): lambda request: str(request.params.get("RoleArn", "")),
}
