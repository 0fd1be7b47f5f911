"""Where an admin's secret that RDS manages leads to.

RDS stores user name and password only. Which instance or cluster they open stands in a tag that RDS sets
and nobody else can (``aws:`` tags are the services' own), and the address in the RDS API.
Sources: User Guide, reference_secret_json_structure; RDS guide, rds-secrets-manager.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.core.errors import SecretFormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rotators.core.secret import Secret

_INSTANCE = "aws:rds:primarydbinstancearn"
_CLUSTER = "aws:rds:primarydbclusterarn"


def with_rds_address(admin: Secret, tags: Iterable[Mapping[str, Any]]) -> Secret:
    """The admin's value with engine, host and port of the instance or cluster that owns it.

    Args:
        admin: a value without ``host``.
        tags: the secret's tags, as DescribeSecret gives them.

    Raises:
        SecretFormatError: the secret is not RDS's, or the API knows no address for it.
        AccessDenied: the function lacks rds:DescribeDBInstances or rds:DescribeDBClusters.
    """
    # RDS writes primaryDBInstanceArn; AWS's pages also show it in small letters.
    owner = {str(tag.get("Key")).lower(): tag.get("Value") for tag in tags}
    if _CLUSTER in owner:
        engine, host, port = _cluster(str(owner[_CLUSTER]))
    elif _INSTANCE in owner:
        engine, host, port = _instance(str(owner[_INSTANCE]))
    else:
        raise SecretFormatError(
            "Key is missing from secret JSON: 'host' (behind masterarn; and RDS does not manage that secret)"
        )
    if not host:
        raise SecretFormatError(
            "the database of the admin's secret has no endpoint yet", remedy="Wait until it is available."
        )
    return admin.replace(engine=engine, host=host, port=port)


def _instance(arn: str) -> tuple[str, str, int]:
    with translated("DescribeDBInstances", arn):
        found = clients.rds().describe_db_instances(DBInstanceIdentifier=arn)["DBInstances"][0]
    endpoint = found.get("Endpoint", {})
    return found["Engine"], endpoint.get("Address", ""), endpoint.get("Port", 0)


def _cluster(arn: str) -> tuple[str, str, int]:
    with translated("DescribeDBClusters", arn):
        found = clients.rds().describe_db_clusters(DBClusterIdentifier=arn)["DBClusters"][0]
    return found["Engine"], found.get("Endpoint", ""), found.get("Port", 0)
