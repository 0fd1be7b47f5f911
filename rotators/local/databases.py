"""RDS in the local CloudFormation, and the secrets that belong to it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from moto.cloudformation.exceptions import ValidationError

from rotators.local.options import Options
from rotators.local.resources import Make, Properties, Resource, as_numbers

# CFN/dynamic-references-secretsmanager; version stage and version id are not used here.
_REFERENCE = re.compile(
    r"\{\{resolve:secretsmanager:(?P<secret>arn:[^:]+:[^:]+:[^:]*:[^:]*:[^:]+:[^:]+|[^:]+)"
    r":SecretString:(?P<key>[^:}]+)(?::[^}]*)?\}\}"
)


# Where moto's record of a cluster keeps the host of the real server.
_HOST = "rotators_host"


def with_server(
    original: Callable[[Any, dict[str, Any]], Any], options: Options
) -> Callable[[Any, dict[str, Any]], Any]:
    """The creation of a cluster that leads to a real server.

    Args:
        original: moto's own.
        options: of the local AWS; they tell what gives host and port of the server, if there is one.
    """

    def create_db_cluster(backend: Any, kwargs: dict[str, Any]) -> Any:
        cluster = original(backend, kwargs)
        if server := options.database:
            host, cluster.port = server(kwargs)
            setattr(cluster, _HOST, host)
        return cluster

    return create_db_cluster


def with_host(original: Any) -> Callable[[Any], str]:
    """The address of a cluster: that of the real server, or moto's.

    Args:
        original: moto's own property.
    """

    def endpoint(cluster: Any) -> str:
        return str(getattr(cluster, _HOST, None) or original.fget(cluster))

    return endpoint


def with_secrets(client: Callable[[str], Any], value: Any) -> Any:
    """A resource's properties with their dynamic references to secrets replaced by values.

    Args:
        client: gives a client for a service.
        value: the properties, or a part of them.
    """
    if isinstance(value, dict):
        return {key: with_secrets(client, each) for key, each in value.items()}
    if isinstance(value, list):
        return [with_secrets(client, each) for each in value]
    if isinstance(value, str) and "{{resolve:secretsmanager:" in value:
        return _REFERENCE.sub(lambda found: _field(client, found["secret"], found["key"]), value)
    return value


def _field(client: Callable[[str], Any], secret: str, key: str) -> str:
    text = client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    return str(json.loads(text)[key])


def _target_attachment(client: Callable[[str], Any], _name: str, given: Properties) -> Resource:
    """CFN/aws-resource-secretsmanager-secrettargetattachment: the target's address goes into the JSON."""
    manager, rds, target = client("secretsmanager"), client("rds"), given["TargetId"]
    if given["TargetType"] == "AWS::RDS::DBCluster":
        found = rds.describe_db_clusters(DBClusterIdentifier=target)["DBClusters"][0]
        added = {"dbClusterIdentifier": target, "host": found["Endpoint"], "port": found["Port"]}
        dbname = found.get("DatabaseName")
    elif given["TargetType"] == "AWS::RDS::DBInstance":
        found = rds.describe_db_instances(DBInstanceIdentifier=target)["DBInstances"][0]
        endpoint = found["Endpoint"]
        added = {"dbInstanceIdentifier": target, "host": endpoint["Address"], "port": endpoint["Port"]}
        dbname = found.get("DBName")
    else:
        raise ValidationError(message=f"The local AWS attaches no {given['TargetType']}")
    added |= {"engine": found["Engine"].removeprefix("aurora-").replace("postgresql", "postgres")}
    added |= {"dbname": dbname} if dbname else {}
    value = json.loads(manager.get_secret_value(SecretId=given["SecretId"])["SecretString"])
    manager.put_secret_value(SecretId=given["SecretId"], SecretString=json.dumps(value | added))
    return Resource(given["SecretId"], {"Id": given["SecretId"]})


def _cluster(client: Callable[[str], Any], name: str, given: Properties) -> Resource:
    rds = client("rds")
    identifier = given.get("DBClusterIdentifier", name).lower()
    made = rds.create_db_cluster(**as_numbers({**given, "DBClusterIdentifier": identifier}))["DBCluster"]
    attributes = {
        "DBClusterArn": made["DBClusterArn"],
        "Endpoint.Address": made["Endpoint"],
        "Endpoint.Port": str(made["Port"]),
    }
    if secret := made.get("MasterUserSecret"):
        attributes["MasterUserSecret.SecretArn"] = secret["SecretArn"]
    delete = partial(rds.delete_db_cluster, DBClusterIdentifier=identifier, SkipFinalSnapshot=True)
    return Resource(identifier, attributes, delete)


def _instance(client: Callable[[str], Any], name: str, given: Properties) -> Resource:
    """Moto has instances, but none of a cluster."""
    rds = client("rds")
    identifier = given.get("DBInstanceIdentifier", name).lower()
    wanted = as_numbers({**given, "DBInstanceIdentifier": identifier})
    if cluster := given.get("DBClusterIdentifier"):
        found = rds.describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"][0]
        wanted["EngineVersion"] = found["EngineVersion"]
    made = rds.create_db_instance(**wanted)["DBInstance"]
    endpoint = made["Endpoint"]
    attributes = {"Endpoint.Address": endpoint["Address"], "Endpoint.Port": str(endpoint["Port"])}
    delete = partial(rds.delete_db_instance, DBInstanceIdentifier=identifier, SkipFinalSnapshot=True)
    return Resource(identifier, attributes, delete)


def _subnet_group(client: Callable[[str], Any], name: str, given: Properties) -> Resource:
    """Moto has subnet groups, but `Ref` of one gives no name."""
    rds = client("rds")
    name = given.get("DBSubnetGroupName", name).lower()
    rds.create_db_subnet_group(**{**given, "DBSubnetGroupName": name})
    return Resource(name, {}, partial(rds.delete_db_subnet_group, DBSubnetGroupName=name))


TYPES: dict[str, Make] = {
    "AWS::RDS::DBCluster": _cluster,
    "AWS::RDS::DBInstance": _instance,
    "AWS::RDS::DBSubnetGroup": _subnet_group,
    "AWS::SecretsManager::SecretTargetAttachment": _target_attachment,
}
