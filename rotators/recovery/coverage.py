"""Checks with IAM's policy simulator that a rotation function's role covers a secret and its key.

The simulator evaluates the role's policies (API:SimulatePrincipalPolicy). Policies of secrets, keys and
organisations are not part of its answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.aws.views import UNASKED
from rotators.core.errors import SecretNotFound

ROTATION = (
    "DescribeSecret",
    "GetSecretValue",
    "ListSecretVersionIds",
    "PutSecretValue",
    "UpdateSecretVersionStage",
)
"""Secrets Manager's operations that a rotation calls."""
READING = ("DescribeSecret", "GetSecretValue")
"""Secrets Manager's operations that a rotation calls on an admin's secret."""

Context = dict[str, str]


@dataclass(frozen=True)
class KeyView:
    """A KMS key, as a preflight sees it.

    Attributes:
        arn: ARN of the key.
        fault: reason why it cannot be used, or an empty string.
        tags: tags of the key; None if they may not be read.
    """

    arn: str
    fault: str
    tags: Mapping[str, str] | None


def key_of(secret: Mapping[str, Any]) -> KeyView | None:
    """Return the key of a secret.

    Args:
        secret: response of DescribeSecret.

    Returns:
        The key; None for ``aws/secretsmanager``, which every principal of the account may use.

    Raises:
        AccessDenied: the caller may not describe the key.
    """
    key = secret.get("KmsKeyId")
    if not key or str(key).endswith("alias/aws/secretsmanager"):
        return None
    with translated("DescribeKey", str(key)):
        found = clients.kms().describe_key(KeyId=key)["KeyMetadata"]
    fault = ""
    if found.get("KeyState", "Enabled") != "Enabled":
        fault = f"the key is {found['KeyState']}"
    elif found.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
        fault = "the key is not a symmetric encryption key"
    tags = None
    with suppress(*UNASKED), translated("ListResourceTags", found["Arn"]):
        listed = clients.kms().list_resource_tags(KeyId=found["Arn"])["Tags"]
        tags = {tag["TagKey"]: tag["TagValue"] for tag in listed}
    return KeyView(found["Arn"], fault, tags)


def denied(role: str, secret: Mapping[str, Any], operations: tuple[str, ...], function: str) -> list[str]:
    """Return the operations on a secret that a role's policies do not allow.

    Args:
        role: ARN of the role.
        secret: response of DescribeSecret.
        operations: operations of Secrets Manager, such as ``GetSecretValue``.
        function: ARN of the rotation function that the secret names or will name.

    Returns:
        Actions, such as ``secretsmanager:GetSecretValue``; empty if all are allowed.

    Raises:
        AccessDenied: the caller may not use the simulator.
    """
    context = {
        "aws:ResourceAccount": secret["ARN"].split(":")[4],
        "secretsmanager:resource/AllowRotationLambdaArn": function,
    }
    for tag in secret.get("Tags", []):
        context[f"secretsmanager:ResourceTag/{tag['Key']}"] = tag["Value"]
        context[f"aws:ResourceTag/{tag['Key']}"] = tag["Value"]
    return _denied(role, [f"secretsmanager:{name}" for name in operations], secret["ARN"], context)


def denied_key(role: str, key: KeyView, secret: str, *, writes: bool) -> list[str]:
    """Return the uses of a secret's key that a role's policies do not allow.

    Args:
        role: ARN of the role.
        key: key of the secret.
        secret: ARN of the secret.
        writes: True if the role also stores values.

    Returns:
        Actions, such as ``kms:Decrypt``; empty if all are allowed.

    Raises:
        AccessDenied: the caller may not use the simulator.
    """
    region = secret.split(":")[3]
    context = {
        "aws:ResourceAccount": key.arn.split(":")[4],
        "kms:ViaService": f"secretsmanager.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}",
        "kms:EncryptionContext:SecretARN": secret,
    }
    context |= {f"aws:ResourceTag/{name}": value for name, value in (key.tags or {}).items()}
    # DescribeKey is left out: whether a write needs it is not certain (UG:security-encryption).
    return _denied(role, _uses(writes=writes), key.arn, context)


def denied_sealing(role: str, keys: Sequence[str], name: str) -> list[str]:
    """Return the uses of sealing keys that a role's policies do not allow.

    Args:
        role: ARN of the role.
        keys: ARNs of the sealing keys; the first one seals, each of them opens.
        name: name of the secret.

    Returns:
        Actions with their keys; empty if all are allowed.

    Raises:
        AccessDenied: the caller may not use the simulator.
    """
    context = {"kms:EncryptionContext:SecretName": name}
    return [
        f"{action} on {key}"
        for number, key in enumerate(keys)
        for action in _denied(role, _uses(writes=number == 0), key, context)
    ]


def _uses(*, writes: bool) -> list[str]:
    return ["kms:Decrypt", "kms:GenerateDataKey"] if writes else ["kms:Decrypt"]


def _denied(role: str, actions: list[str], resource: str, context: Context) -> list[str]:
    entries = [
        {"ContextKeyName": name, "ContextKeyValues": [value], "ContextKeyType": "string"}
        for name, value in context.items()
    ]
    with translated("SimulatePrincipalPolicy", role):
        answer = clients.iam().simulate_principal_policy(
            PolicySourceArn=role, ActionNames=actions, ResourceArns=[resource], ContextEntries=entries
        )
    return [
        each["EvalActionName"] for each in answer["EvaluationResults"] if each["EvalDecision"] != "allowed"
    ]


@dataclass(frozen=True)
class FunctionView:
    """A rotation function, as a preflight sees it.

    Attributes:
        arn: ARN of the function.
        role: ARN of its role.
        environment: its environment variables.
        invocable: True if its policy lets Secrets Manager of the secret's account invoke it; None if the
            policy may not be read.
    """

    arn: str
    role: str
    environment: Mapping[str, str]
    invocable: bool | None


def function_view(name: str, account: str) -> FunctionView:
    """Return a rotation function's configuration, with the check of its policy.

    Args:
        name: name or ARN of the function.
        account: id of the secrets' account.

    Raises:
        SecretNotFound: there is no such function (the error of anything that is not found).
        AccessDenied: the caller may not read its configuration.
    """
    with translated("GetFunctionConfiguration", name):
        found = clients.functions().get_function_configuration(FunctionName=name)
    return FunctionView(
        arn=found["FunctionArn"],
        role=found["Role"],
        environment={
            name: str(value) for name, value in found.get("Environment", {}).get("Variables", {}).items()
        },
        invocable=may_invoke(name, account),
    )


def may_invoke(name: str, account: str) -> bool | None:
    """Return True if a function's policy lets Secrets Manager of an account invoke it.

    Args:
        name: name or ARN of the function.
        account: id of the secrets' account.

    Returns:
        None if the policy may not be read.
    """
    try:
        with translated("GetPolicy", name):
            policy = clients.functions().get_policy(FunctionName=name)["Policy"]
    except SecretNotFound:
        return False
    except UNASKED:
        return None
    return any(_admits(statement, account) for statement in json.loads(policy)["Statement"])


def _admits(statement: Mapping[str, Any], account: str) -> bool:
    principal = statement.get("Principal")
    named = principal.get("Service") if isinstance(principal, dict) else principal
    services = named if isinstance(named, list) else [named]
    if statement.get("Effect") != "Allow" or "secretsmanager.amazonaws.com" not in services:
        return False
    wanted = statement.get("Condition", {}).get("StringEquals", {})
    accounts = next((value for key, value in wanted.items() if key.lower() == "aws:sourceaccount"), account)
    return account in (accounts if isinstance(accounts, list) else [accounts])
