"""Calls of AWS by the names of their operations, in the Region that an ARN names, with translated errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore import xform_name

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.aws.secrets import Version, describe, list_versions


def call(client: Any, operation: str, about: str, member: str | None = None, **parameters: Any) -> Any:
    """Call an operation.

    Args:
        client: a boto3 client.
        operation: name of the operation, such as ``DescribeKey``.
        about: name or ARN that the call is about, for errors.
        member: required member of the answer, which is returned.
        **parameters: parameters of the operation.

    Returns:
        The member; the whole answer if ``member`` is not passed.

    Raises:
        StoreError: the service refused the call.
    """
    with translated(operation, about):
        answer = getattr(client, xform_name(operation))(**parameters)
        return answer if member is None else answer[member]


def elements(client: Any, operation: str, about: str, member: str, **parameters: Any) -> list[Any]:
    """Call an operation that answers in pages, and join a list of all pages.

    Args:
        client: a boto3 client.
        operation: name of the operation, such as ``ListKeys``.
        about: name or ARN that the call is about, for errors.
        member: member with the list, which every answer of AWS has.
        **parameters: parameters of the operation.

    Returns:
        The elements of the lists.

    Raises:
        StoreError: the service refused a call.
    """
    with translated(operation, about):
        pages = client.get_paginator(xform_name(operation)).paginate(**parameters)
        return [each for page in pages for each in page[member]]


def looked_up(key: str, value: str, about: str, **parameters: Any) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Look up events in CloudTrail.

    Args:
        key: attribute of the events, such as ``EventName``.
        value: value of the attribute.
        about: name or ARN that the call is about, for errors.
        **parameters: parameters of LookupEvents in addition.

    Yields:
        The events of each answer, which may have none, newest first.

    Raises:
        AccessDenied: the caller may not use cloudtrail:LookupEvents.
        ServiceThrottled: others use up CloudTrail's two lookups per second; try again.
    """
    wanted = [{"AttributeKey": key, "AttributeValue": value}]
    pages = clients.cloudtrail_lister().get_paginator("lookup_events")
    with translated("LookupEvents", about):
        for page in pages.paginate(LookupAttributes=wanted, **parameters):
            yield page["Events"]


def call_secrets_manager(secret_id: str, operation: str, **parameters: Any) -> Any:
    """Call Secrets Manager about a secret, in the Region of the secret.

    Args:
        secret_id: name or ARN of the secret.
        operation: name of the operation, such as ``TagResource``.
        **parameters: parameters of the operation; ``SecretId`` is ``secret_id`` if it is left out.

    Returns:
        The service's answer.

    Raises:
        StoreError: the service refused the call.
    """
    with clients.in_region_of(secret_id):
        return call(clients.secrets_lister(), operation, secret_id, **{"SecretId": secret_id, **parameters})


def description_of(secret_id: str) -> Mapping[str, Any]:
    """Return the answer of DescribeSecret.

    Args:
        secret_id: name or ARN of the secret.

    Returns:
        The response as boto3 parses it.

    Raises:
        StoreError: the secret cannot be described.
    """
    with clients.in_region_of(secret_id):
        return describe(secret_id, clients.secrets_lister())


def replicas_of(secret_id: str) -> Sequence[Mapping[str, Any]]:
    """Return the replicas of a secret, as DescribeSecret answers them.

    Args:
        secret_id: name or ARN of the secret.

    Returns:
        Elements of ``ReplicationStatus``; empty without replicas.

    Raises:
        StoreError: the secret cannot be described.
    """
    found: Sequence[Mapping[str, Any]] = description_of(secret_id).get("ReplicationStatus", ())
    return found


def versions_of(arn: str) -> Sequence[Version]:
    """Return the versions of a secret, newest first.

    Args:
        arn: ARN of the secret.

    Returns:
        All versions, including those without a stage.

    Raises:
        StoreError: they cannot be listed.
    """
    with clients.in_region_of(arn):
        return list_versions(arn, clients.secrets_lister())


def policy_of(arn: str) -> str | None:
    """Return the resource policy of a secret in JSON; None without one.

    Args:
        arn: ARN of the secret.

    Raises:
        StoreError: it cannot be read.
    """
    found: str | None = call_secrets_manager(arn, "GetResourcePolicy").get("ResourcePolicy")
    return found


def faults_of_policy(arn: str, policy: str) -> list[str] | None:
    """Let Secrets Manager validate a resource policy; nothing is changed.

    Args:
        arn: ARN of the secret.
        policy: the policy in JSON.

    Returns:
        The messages of the service about faults; None if there are no faults.

    Raises:
        AccessDenied: the caller lacks secretsmanager:ValidateResourcePolicy or PutResourcePolicy.
        StoreError: the service refused the call.
    """
    with translated("ValidateResourcePolicy", arn):
        answer = call_secrets_manager(arn, "ValidateResourcePolicy", ResourcePolicy=policy)
        if answer["PolicyValidationPassed"]:
            return None
    return [each.get("ErrorMessage", "") for each in answer.get("ValidationErrors", ())]
