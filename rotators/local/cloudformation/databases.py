"""RDS in the local CloudFormation, and the secrets that belong to it."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

from moto.cloudformation.exceptions import ValidationError

from rotators.local.cloudformation.resource import (
    Client,
    Make,
    Properties,
    StackResource,
    as_numbers,
    with_texts,
)

# CFN/dynamic-references-secretsmanager; version stage and version id are not used here.
_REFERENCE = re.compile(
    r"\{\{resolve:secretsmanager:(?P<secret>arn:[^:]+:[^:]+:[^:]*:[^:]*:[^:]+:[^:]+|[^:]+)"
    r":SecretString:(?P<key>[^:}]+)(?::[^}]*)?\}\}"
)


def with_secrets(client: Client, value: Any) -> Any:
    """Replace the dynamic references to secrets in a resource's properties by values.

    Args:
        client: Returns a client for a service.
        value: The properties, or a part of them.

    Returns:
        The same structure with values.
    """
    return with_texts(
        value, lambda text: _REFERENCE.sub(lambda found: _field(client, found["secret"], found["key"]), text)
    )


def _field(client: Client, secret: str, key: str) -> str:
    text = client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    return str(json.loads(text)[key])


def _target_attachment(client: Client, _name: str, given: Properties) -> StackResource:
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
        raise ValidationError(message=f"The local AWS does not attach {given['TargetType']}")
    added |= {"engine": found["Engine"].removeprefix("aurora-").replace("postgresql", "postgres")}
    added |= {"dbname": dbname} if dbname else {}
    value = json.loads(manager.get_secret_value(SecretId=given["SecretId"])["SecretString"])
    manager.put_secret_value(SecretId=given["SecretId"], SecretString=json.dumps(value | added))
    return StackResource(given["SecretId"], {"Id": given["SecretId"]})


def _cluster(client: Client, name: str, given: Properties) -> StackResource:
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
    return StackResource(identifier, attributes, delete)


def _instance(client: Client, name: str, given: Properties) -> StackResource:
    """Create an instance of a cluster. Moto has only other instances."""
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
    return StackResource(identifier, attributes, delete)


def _subnet_group(client: Client, name: str, given: Properties) -> StackResource:
    """Create a subnet group. Moto has them, but `Ref` does not return the name."""
    rds = client("rds")
    name = given.get("DBSubnetGroupName", name).lower()
    rds.create_db_subnet_group(**{**given, "DBSubnetGroupName": name})
    return StackResource(name, {}, partial(rds.delete_db_subnet_group, DBSubnetGroupName=name))


TYPES: dict[str, Make] = {
    "AWS::RDS::DBCluster": _cluster,
    "AWS::RDS::DBInstance": _instance,
    "AWS::RDS::DBSubnetGroup": _subnet_group,
    "AWS::SecretsManager::SecretTargetAttachment": _target_attachment,
}
