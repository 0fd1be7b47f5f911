"""The calls of a request: the one that was sent, and those that AWS makes in the caller's name because of it.

Those of Secrets Manager are in `rotators.iam.calls`; a batch is decided secret by secret, and its filters
need the right to list (API:BatchGetSecretValue); replicas of a new secret need the right to replicate
(API:CreateSecret), and a validation the right to set the policy (API:ValidateResourcePolicy). SNS uses a
topic's key as the sender (SNS guide: sns-key-management).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from rotators.iam.calls import (
    READS,
    ApiCall,
    Context,
    KeyResource,
    Parameters,
    SecretResource,
    account_of,
    calls_about,
)
from rotators.local.iam.requests import SignedRequest
from rotators.local.iam.s3_requests import calls_to_s3
from rotators.local.kms.permissions import key_calls

if TYPE_CHECKING:
    from rotators.local.iam.lookup import Lookup

_MANAGER = "secretsmanager"
_NEW_SUFFIX = "-AbCdEf"
_VALIDATION = "RequestToValidateKeyAccess"
_PARAMETERS = (
    "BlockPublicPolicy",
    "ForceDeleteWithoutRecovery",
    "Name",
    "RotationLambdaARN",
    "SecretId",
    "VersionId",
    "VersionStage",
)


def denial(request: SignedRequest, call: ApiCall, caller: str, kind: str) -> str:
    """Return the text of a refusal (IAM User Guide, troubleshoot_access-denied).

    Args:
        request: the request.
        call: the refused one of its calls.
        caller: ARN of the caller.
        kind: ``identity`` or ``resource``: the kind of policy that does not allow the call.
    """
    if call.action.startswith("kms:") and request.service != "kms":
        return "Access to KMS is not allowed"
    return (
        f"User: {caller} is not authorized to perform: {call.action} on resource: {call.resource} because"
        f" no {kind}-based policy allows the {call.action} action"
    )


def calls_of(request: SignedRequest, lookup: Lookup) -> list[ApiCall]:
    """List the calls that IAM decides about for a request.

    Args:
        request: The request.
        lookup: Finds the secrets and keys that the request names.

    Returns:
        The calls, the request's own first.
    """
    if request.service == _MANAGER:
        return list(_manager_calls(request, lookup))
    if (request.service, request.operation) == ("sts", "GetCallerIdentity"):
        return []  # needs no permission (API:GetCallerIdentity)
    if request.service == "kms":
        return key_calls(request)
    if request.service == "s3":
        return calls_to_s3(request)
    resource = _resource(request)
    own = request.call(f"{request.service}:{request.operation}", resource)
    if (request.service, request.operation) == ("sns", "Publish"):
        return [own, *_encrypting_calls(request, resource, lookup.topic_key(resource))]
    return [own]


def _encrypting_calls(request: SignedRequest, topic: str, key: KeyResource | None) -> Iterator[ApiCall]:
    if key is None:
        return
    context: Context = {
        "aws:ResourceAccount": account_of(key.arn),
        "kms:ViaService": f"sns.{request.region}.amazonaws.com",
        "kms:CallerAccount": request.account,
        "kms:EncryptionContext:aws:sns:topicArn": topic,
    }
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        yield request.call(action, key.arn, context)


def _manager_calls(request: SignedRequest, lookup: Lookup) -> Iterator[ApiCall]:
    params = request.params
    action = f"{_MANAGER}:{request.operation}"
    if request.operation == "ListSecrets":
        yield request.call(action, "*")
        return
    if request.operation == "BatchGetSecretValue":
        yield request.call(action, "*")  # the secrets are decided one by one: see per_secret.py
        if params.get("Filters"):
            yield request.call(f"{_MANAGER}:ListSecrets", "*")
        return
    target = _target(request, lookup)
    calls = calls_about(
        request.call,
        request.operation,
        target,
        Parameters(
            _context(request, lookup),
            lookup.key(params.get("KmsKeyId"), request.region),
            params.get("RotationLambdaARN"),
            _version(request, target),
        ),
    )
    for call in calls:
        yield call
        if call.action == f"{_MANAGER}:CreateSecret" and params.get("Tags"):
            yield replace(call, action=f"{_MANAGER}:TagResource")
        if call.action == f"{_MANAGER}:CreateSecret" and params.get("AddReplicaRegions"):
            yield replace(call, action=f"{_MANAGER}:ReplicateSecretToRegions")
        if call.action == f"{_MANAGER}:ValidateResourcePolicy":
            yield replace(call, action=f"{_MANAGER}:PutResourcePolicy")


def _target(request: SignedRequest, lookup: Lookup) -> SecretResource:
    params, region = request.params, request.region
    if request.operation == "CreateSecret":
        arn = _new_arn(request, str(params.get("Name", "")))
        return SecretResource(arn, lookup.key(params.get("KmsKeyId"), region), None, {})
    named = str(params.get("SecretId", "*"))
    # IAM knows a secret that does not exist by its name alone.
    return lookup.secret(named, region) or SecretResource(_new_arn(request, named), None, None, {})


def _new_arn(request: SignedRequest, name: str) -> str:
    if name.startswith("arn:"):
        return name
    return f"arn:aws:{_MANAGER}:{request.region}:{request.account}:secret:{name}{_NEW_SUFFIX}"


def _context(request: SignedRequest, lookup: Lookup) -> dict[str, str | tuple[str, ...]]:
    """Return the condition keys of the request (Service Authorization Reference, list_awssecretsmanager)."""
    params = request.params
    found: dict[str, str | tuple[str, ...]] = {
        f"{_MANAGER}:{name}": str(params[name]) for name in _PARAMETERS if name in params
    }
    if key := params.get("KmsKeyId"):
        found[f"{_MANAGER}:KmsKeyId"] = str(key)
        named = lookup.key(str(key), request.region)
        found[f"{_MANAGER}:KmsKeyArn"] = named.arn if named else str(key)
    if replicas := params.get("AddReplicaRegions"):
        found[f"{_MANAGER}:AddReplicaRegions"] = tuple(each["Region"] for each in replicas)
    if removed := params.get("TagKeys"):
        found["aws:TagKeys"] = tuple(removed)
    if tags := params.get("Tags"):
        found["aws:TagKeys"] = tuple(tag["Key"] for tag in tags)
        found |= {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}
    return found


def _version(request: SignedRequest, target: SecretResource) -> str:
    """Return the version in the encryption context (UG:security-encryption)."""
    params = request.params
    if request.operation == "UpdateSecret" and not params.keys() & {"SecretString", "SecretBinary"}:
        return _VALIDATION  # "Validating access to the KMS key"
    if request.operation not in READS:
        return str(params.get("ClientRequestToken") or _VALIDATION)
    stage = str(params.get("VersionStage") or "AWSCURRENT")
    return str(params.get("VersionId") or target.stages.get(stage, _VALIDATION))


def _resource(request: SignedRequest) -> str:
    """Return the ARN of the resource that a request names; an asterisk if it names none."""
    pattern = _RESOURCES.get((request.service, request.operation))
    if pattern is None:
        return "*"
    before, parameter, after = re.split("[{}]", pattern)
    given = str(request.params.get(parameter, "*"))
    if given.startswith("arn:"):
        return given
    return f"arn:aws:{request.service}:{request.region}:{request.account}:{before}{given}{after}"


_RESOURCES = {
    ("cloudformation", "DescribeStacks"): "stack/{StackName}/local",
    ("ds", "ResetUserPassword"): "directory/{DirectoryId}",
    ("elasticache", "DescribeReplicationGroups"): "replicationgroup:{ReplicationGroupId}",
    ("elasticache", "DescribeUsers"): "user:{UserId}",
    ("elasticache", "ModifyReplicationGroup"): "replicationgroup:{ReplicationGroupId}",
    ("elasticache", "ModifyUser"): "user:{UserId}",
    ("iam", "SimulatePrincipalPolicy"): "{PolicySourceArn}",
    ("lambda", "GetFunctionConfiguration"): "function:{FunctionName}",
    ("lambda", "InvokeFunction"): "function:{FunctionName}",
    ("lambda", "GetPolicy"): "function:{FunctionName}",
    ("logs", "CreateLogStream"): "log-group:{logGroupName}:log-stream:",
    ("logs", "DescribeLogStreams"): "log-group:{logGroupName}:log-stream:",
    ("logs", "FilterLogEvents"): "log-group:{logGroupName}:log-stream:",
    ("memorydb", "DescribeUsers"): "user/{UserName}",
    ("memorydb", "UpdateUser"): "user/{UserName}",
    ("rds", "DescribeDBClusters"): "cluster:{DBClusterIdentifier}",
    ("rds", "DescribeDBInstances"): "db:{DBInstanceIdentifier}",
    ("sns", "Publish"): "{TopicArn}",
    ("sts", "AssumeRole"): "{RoleArn}",
}
"""The end of the ARN of a resource, with the parameter of the request that names it, by operation."""
