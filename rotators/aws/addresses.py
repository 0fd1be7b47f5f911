"""Addresses of targets that a secret names by an identifier, or AWS by a tag of an admin's secret.

A service that manages an admin's secret stores user name and password only. A tag names the instance, cluster
or namespace (only services can set ``aws:`` tags), and the service's API gives its address.
Sources: User Guide, reference_secret_json_structure; RDS guide, rds-secrets-manager; Redshift management
guide, redshift-secrets-manager-integration. Amazon DocumentDB's clusters are in the API of RDS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.core.errors import (
    AccessDenied,
    RequestRefused,
    SecretFormatError,
    ServiceThrottled,
    ServiceUnavailable,
)
from rotators.core.secret import Secret

_REDSHIFT = "redshift"


class _Endpoint(NamedTuple):
    engine: str
    host: str
    port: int


def with_address(value: Secret) -> Secret:
    """Return a value with host and port of the Redshift cluster or workgroup that it names.

    Args:
        value: value of a secret; returned as it is if it has a ``host``, or names none of these.

    Raises:
        SecretFormatError: the API has no target of this name, or more than one.
        ServiceUnavailable: the target has no address yet, or the API did not answer.
        AccessDenied: the caller lacks redshift:DescribeClusters or redshift-serverless:ListWorkgroups.
        RequestRefused: the API refused the call for another reason.
    """
    if "host" in value or value.get("engine") != _REDSHIFT:
        return value
    found = _by_identifier(value, _REDSHIFT_KEYS)
    return value if found is None else value.replace(host=found.host, port=found.port)


def with_admin_address(admin: Secret, tags: Iterable[Mapping[str, Any]]) -> Secret:
    """Return an admin's value with engine, host and port of its server.

    The address never comes from another secret, because the writer of a user's secret could name any host.

    Args:
        admin: a value without ``host``.
        tags: the secret's tags, as DescribeSecret returns them.

    Raises:
        SecretFormatError: neither a tag of a service nor the value names an existing server, or the server
            belongs to another account or Region.
        ServiceUnavailable: the server has no address yet, or the API did not answer.
        AccessDenied: the caller lacks the action of RDS or Redshift that the error names.
        RequestRefused: the API refused the call for another reason.
    """
    named = {str(tag.get("Key")): str(tag.get("Value")) for tag in tags}
    # RDS writes primaryDBInstanceArn; AWS's pages also show it in lower case. Only services can set keys
    # that begin with "aws:" in lower case, so this prefix is compared exactly.
    owners = {key.lower(): value for key, value in named.items() if key.startswith("aws:")}
    tagged = next((look(owners[tag]) for tag, look in _TAGS.items() if tag in owners), None)
    keys = _REDSHIFT_KEYS if admin.get("engine") == _REDSHIFT else _RDS_KEYS
    found = tagged or _by_identifier(admin, keys)
    if found is None:
        raise SecretFormatError(
            "Key is missing from secret JSON: 'host' (in the secret that masterarn names, which "
            "no service manages)",
            remedy="Add host and port to the admin's secret, or let masterarn name a secret that RDS or"
            " Redshift manages.",
        )
    return admin.replace(engine=found.engine, host=found.host, port=found.port)


def _by_identifier(value: Secret, keys: Mapping[str, Callable[[str], _Endpoint]]) -> _Endpoint | None:
    return next((look(value.text(key)) for key, look in keys.items() if key in value), None)


def _complete(engine: str, endpoint: Mapping[str, Any] | None, name: str) -> _Endpoint:
    """Return the endpoint in a response. Names of members begin with an upper-case or a lower-case letter."""
    said = {key.lower(): member for key, member in (endpoint or {}).items()}
    if not said.get("address") or not said.get("port"):
        raise ServiceUnavailable(
            f"{name} has no endpoint yet", remedy="Wait until it is available.", reason="no-endpoint"
        )
    return _Endpoint(_ENGINES.get(engine, engine), str(said["address"]), int(said["port"]))


@contextmanager
def _asking(operation: str, name: str, grant: str) -> Iterator[None]:
    """Run calls of an API that returns addresses; their errors say that the look-up failed."""
    try:
        with translated(operation, name), _naming(name):
            yield
    except AccessDenied as error:
        if error.reason is not None:  # about the credentials
            raise
        raise AccessDenied(error.cause, remedy=grant) from None
    except (ServiceUnavailable, ServiceThrottled) as error:
        raise ServiceUnavailable(
            f"the server's address could not be looked up: {error.cause}",
            remedy=error.remedy,
            reason="address",
        ) from None
    except RequestRefused as error:
        raise RequestRefused(
            f"the server's address could not be looked up: {error.cause}",
            remedy=error.remedy,
            reason="address",
        ) from None


@contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _UNKNOWN_CODES:
            raise _unknown(name) from None
        raise


def _first(found: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    if not found:
        raise _unknown(name)
    return found[0]


def _instance(name: str) -> _Endpoint:
    with _asking("DescribeDBInstances", name, _GRANT_RDS):
        instances = clients.rds().describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        found = _first(instances, name)
        engine = found["Engine"]
    return _complete(engine, found.get("Endpoint"), name)


def _cluster(name: str) -> _Endpoint:
    with _asking("DescribeDBClusters", name, _GRANT_RDS):
        found = _first(clients.rds().describe_db_clusters(DBClusterIdentifier=name)["DBClusters"], name)
        engine = found["Engine"]
    return _complete(engine, {"address": found.get("Endpoint"), "port": found.get("Port")}, name)


def _redshift_cluster(name: str) -> _Endpoint:
    owner, _, cluster = name.rpartition(":")  # the API does not accept an ARN
    with _asking("DescribeClusters", cluster, _GRANT_REDSHIFT):
        found = _first(clients.redshift().describe_clusters(ClusterIdentifier=cluster)["Clusters"], cluster)
        if owner and _account(name) != _account(found["ClusterNamespaceArn"]):
            raise SecretFormatError(
                f"{name} belongs to another account or Region than the cluster {cluster} that was found",
                remedy="Let masterarn name the secret of this cluster's admin, or set TARGET_ROLE_ARN to a"
                " role of the other account.",
                reason="address",
            )
    return _complete(_REDSHIFT, found.get("Endpoint"), cluster)


def _account(arn: str) -> list[str]:
    """Return partition, service, Region and account of an ARN."""
    return arn.split(":")[1:5]


def _namespace_arn(arn: str) -> _Endpoint:
    found = _first([each for each in _listed("namespaces") if each.get("namespaceArn") == arn], arn)
    return _of_workgroup("namespaceName", found["namespaceName"])


def _of_workgroup(key: str, name: str) -> _Endpoint:
    found = [each for each in _listed("workgroups") if each.get(key) == name]
    if len(found) > 1:
        raise SecretFormatError(
            f"the namespace {name} has {len(found)} workgroups",
            remedy="Name one of them in the secret's key workgroupName, or its address in host and port.",
            reason="address",
        )
    return _complete(_REDSHIFT, _first(found, name).get("endpoint"), name)


def _listed(kind: str) -> list[dict[str, Any]]:
    operation = f"List{kind.title()}"
    found: list[dict[str, Any]] = []
    with _asking(operation, "Redshift Serverless", _GRANT_REDSHIFT):
        for page in clients.redshift_serverless().get_paginator(f"list_{kind}").paginate():
            found += page[kind]
    return found


def _unknown(name: str) -> SecretFormatError:
    return SecretFormatError(
        f"there is no cluster, instance or workgroup {name} in this account and Region",
        remedy="Correct the name in the secret, or name the server's address in host and port.",
        reason="address",
    )


_UNKNOWN_CODES = {
    "ClusterNotFound",
    "ClusterNotFoundFault",
    "DBClusterNotFoundFault",
    "DBInstanceNotFound",
    "DBInstanceNotFoundFault",
    "InvalidParameterValue",
}
"""Codes of RDS and Redshift for a name that does not exist, or that is not valid."""

_GRANT_REDSHIFT = (
    "Set the stack's parameter FindRedshift to true and deploy again, or grant the caller the named action."
)
_GRANT_RDS = (
    "Name the admin's secret in the stack's parameter AdminSecretArns and deploy again, or grant the caller"
    " the named action."
)

_ENGINES = {"docdb": "documentdb"}
"""Engines that have another name in the API than in secrets."""

_TAGS = {
    "aws:rds:primarydbclusterarn": _cluster,
    "aws:rds:primarydbinstancearn": _instance,
    "aws:redshift:primaryclusterarn": _redshift_cluster,
    "aws:redshift-serverless:namespacearn": _namespace_arn,
}
_RDS_KEYS = {"dbInstanceIdentifier": _instance, "dbClusterIdentifier": _cluster}
_REDSHIFT_KEYS: Mapping[str, Callable[[str], _Endpoint]] = {
    "clusterIdentifier": _redshift_cluster,
    "dbClusterIdentifier": _redshift_cluster,
    "workgroupName": partial(_of_workgroup, "workgroupName"),
    "namespaceName": partial(_of_workgroup, "namespaceName"),
}
