"""Resources that moto's CloudFormation leaves out, made through the local AWS's own API.

moto skips a type that it does not know, and calls the stack complete. Here such a type fails the stack, by
name. Each type is one function below: it makes the resource from the template's properties and says what
`Ref` and `GetAtt` give, and how it is removed. An update makes it anew over the old one, which for all of
these is a call that overwrites; of a secret, only description and key change.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.cloudformation.exceptions import ValidationError

Properties = dict[str, Any]
Client = Callable[[str, str], Any]
Make = Callable[[Callable[[str], Any], str, Properties], "Resource"]
_STACK_DELETES_AT_ONCE = {"ForceDeleteWithoutRecovery": True}


@dataclass
class Resource:
    """A made resource, as moto keeps it.

    Attributes:
        physical_resource_id: what `Ref` gives.
        attributes: what `GetAtt` gives, by name.
        remove: deletes it; None for what goes with another resource.
    """

    physical_resource_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    remove: Callable[[], object] | None = None

    def get_cfn_attribute(self, name: str) -> str:
        """What `GetAtt` gives.

        Raises:
            ValidationError: it has no such attribute.
        """
        if name not in self.attributes:
            raise ValidationError(message=f"{self.physical_resource_id} has no attribute {name}")
        return self.attributes[name]

    def delete(self, _account: str, _region: str) -> None:
        """Delete it."""
        if self.remove:
            self.remove()

    def is_created(self) -> bool:
        """Whether it is ready: at once."""
        return True


class Kind:
    """A type of resource, in the place of moto's class for it.

    Args:
        make: makes one, from a function that gives clients, a made-up name, and the properties.
        client: gives a client for a service in a Region.
    """

    def __init__(self, make: Make, client: Client) -> None:
        self._make = make
        self._client = client

    def has_cfn_attr(self, _attribute: str) -> bool:
        """Whether outputs may name the attribute; a wrong one fails when it is looked up."""
        return True

    def create_from_cloudformation_json(
        self, name: str, definition: dict[str, Any], _account: str, region: str, **_: Any
    ) -> Resource:
        """Make one.

        Raises:
            ValidationError: the service refused it; its words are in the message.
        """
        return self._made(region, name, definition)

    def update_from_cloudformation_json(
        self,
        original_resource: Resource,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> Resource:
        """Make it anew over the old one; raises as for a new one."""
        del new_resource_name, account_id
        return self._made(region_name, original_resource.physical_resource_id, cloudformation_json)

    def _made(self, region: str, name: str, definition: dict[str, Any]) -> Resource:
        try:
            return self._make(partial(self._client, region), name, definition.get("Properties", {}))
        except (BotoCoreError, ClientError) as error:
            raise ValidationError(message=f"{definition.get('Type')}: {error}") from None


def completed(original: Callable[[str], Any], client: Client) -> Callable[[str], Any]:
    """What tells moto's CloudFormation the class of a type.

    Args:
        original: moto's own.
        client: gives a client for a Region and a service.

    Returns:
        Ours for the types below, moto's for those it has; for any other it raises a ValidationError, which
        fails the stack.
    """
    kinds = {name: Kind(make, client) for name, make in _TYPES.items()}

    def resource_class_from_type(resource_type: str) -> Any:
        if resource_type in kinds:
            return kinds[resource_type]
        found = original(resource_type)
        if found is None:
            raise ValidationError(message=f"The local AWS cannot make resources of type {resource_type}")
        return found

    return resource_class_from_type


def without_gaps(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """What resolves a template's functions: AWS::NoValue takes its item out of a list; moto leaves a hole.

    Args:
        original: moto's own, which calls itself by name and so calls this.
    """

    def clean_json(resource_json: Any, resources_map: Any) -> Any:
        resolved = original(resource_json, resources_map)
        if isinstance(resolved, list):
            return [item for item in resolved if item is not None]
        return resolved

    return clean_json


def with_retention(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """The deletion of a stack's resources that keeps those whose policy is RetainExceptOnCreate.

    moto knows Retain only. Both keep the resource of a stack that was created
    (CFN/aws-attribute-deletionpolicy).

    Args:
        original: moto's own.
    """

    def delete(resources: Any) -> None:
        for definition in resources._resource_json_map.values():  # noqa: SLF001 - held by RELIED_ON
            if definition.get("DeletionPolicy") == "RetainExceptOnCreate":
                definition["DeletionPolicy"] = "Retain"
        original(resources)

    return delete


def _secret(client: Callable[[str], Any], name: str, given: Properties) -> Resource:
    manager = client("secretsmanager")
    name = given.get("Name", name)
    settings = {key: given[key] for key in ("Description", "KmsKeyId") if key in given}
    try:
        arn = manager.describe_secret(SecretId=name)["ARN"]
        if settings:
            manager.update_secret(SecretId=arn, **settings)
    except manager.exceptions.ResourceNotFoundException:
        value = given.get("SecretString") or _generated(manager, given.get("GenerateSecretString", {}))
        tags = given.get("Tags", [])
        arn = manager.create_secret(Name=name, SecretString=value, Tags=tags, **settings)["ARN"]
    delete = partial(manager.delete_secret, SecretId=arn, **_STACK_DELETES_AT_ONCE)
    return Resource(arn, {"Id": arn}, delete)


def _generated(manager: Any, wanted: Properties) -> str:
    """CFN/aws-properties-secretsmanager-secret-generatesecretstring."""
    rules = {key: value for key, value in wanted.items() if key not in _TEMPLATE}
    password: str = manager.get_random_password(**_numbers(rules))["RandomPassword"]
    if "GenerateStringKey" not in wanted:
        return password
    return json.dumps({**json.loads(wanted["SecretStringTemplate"]), wanted["GenerateStringKey"]: password})


_TEMPLATE = ("GenerateStringKey", "SecretStringTemplate")


def _rotation_schedule(client: Callable[[str], Any], _name: str, given: Properties) -> Resource:
    """CFN/aws-resource-secretsmanager-rotationschedule; it rotates at once unless told otherwise."""
    manager, secret = client("secretsmanager"), given["SecretId"]
    if "HostedRotationLambda" in given:
        raise ValidationError(message="The local AWS has no HostedRotationLambda")
    manager.rotate_secret(
        SecretId=secret,
        RotationLambdaARN=given["RotationLambdaARN"],
        RotationRules=_numbers(given.get("RotationRules", {})),
        RotateImmediately=str(given.get("RotateImmediatelyOnUpdate", True)).lower() == "true",
    )
    return Resource(secret, {"Id": secret}, _unless_gone(manager, "cancel_rotate_secret", secret))


def _resource_policy(client: Callable[[str], Any], _name: str, given: Properties) -> Resource:
    manager, secret = client("secretsmanager"), given["SecretId"]
    manager.put_resource_policy(
        SecretId=secret,
        ResourcePolicy=json.dumps(given["ResourcePolicy"]),
        BlockPublicPolicy=str(given.get("BlockPublicPolicy", False)).lower() == "true",
    )
    return Resource(secret, {"Id": secret}, _unless_gone(manager, "delete_resource_policy", secret))


def _unless_gone(manager: Any, operation: str, secret: str) -> Callable[[], None]:
    """An operation on a secret, for when its stack goes: the secret may have gone first."""

    def remove() -> None:
        with contextlib.suppress(manager.exceptions.ResourceNotFoundException):
            getattr(manager, operation)(SecretId=secret)

    return remove


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


def _alarm(client: Callable[[str], Any], name: str, given: Properties) -> Resource:
    watch = client("cloudwatch")
    name = given.get("AlarmName", name)
    watch.put_metric_alarm(**_numbers({**given, "AlarmName": name}))
    arn = watch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["AlarmArn"]
    return Resource(name, {"Arn": arn}, partial(watch.delete_alarms, AlarmNames=[name]))


def _dashboard(client: Callable[[str], Any], name: str, given: Properties) -> Resource:
    watch = client("cloudwatch")
    name = given.get("DashboardName", name)
    watch.put_dashboard(DashboardName=name, DashboardBody=given["DashboardBody"])
    return Resource(name, {}, partial(watch.delete_dashboards, DashboardNames=[name]))


def _log_group(client: Callable[[str], Any], name: str, given: Properties) -> Resource:
    logs = client("logs")
    name = given.get("LogGroupName", name)
    key = {"kmsKeyId": given["KmsKeyId"]} if "KmsKeyId" in given else {}
    with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=name, **key)
    if "RetentionInDays" in given:
        logs.put_retention_policy(logGroupName=name, retentionInDays=int(given["RetentionInDays"]))
    arn = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["arn"]
    return Resource(name, {"Arn": arn}, partial(logs.delete_log_group, logGroupName=name))


def _topic_policy(client: Callable[[str], Any], name: str, given: Properties) -> Resource:
    document = json.dumps(given["PolicyDocument"])
    for topic in given["Topics"]:
        client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=document)
    return Resource(name)


def _subscription(client: Callable[[str], Any], _name: str, given: Properties) -> Resource:
    sns = client("sns")
    arn = sns.subscribe(**given, ReturnSubscriptionArn=True)["SubscriptionArn"]
    return Resource(arn, {}, partial(sns.unsubscribe, SubscriptionArn=arn))


def _cluster(client: Callable[[str], Any], name: str, given: Properties) -> Resource:
    rds = client("rds")
    identifier = given.get("DBClusterIdentifier", name).lower()
    made = rds.create_db_cluster(**_numbers({**given, "DBClusterIdentifier": identifier}))["DBCluster"]
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
    wanted = _numbers({**given, "DBInstanceIdentifier": identifier})
    if cluster := given.get("DBClusterIdentifier"):
        found = rds.describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"][0]
        wanted["EngineVersion"] = found["EngineVersion"]
    made = rds.create_db_instance(**wanted)["DBInstance"]
    endpoint = made["Endpoint"]
    attributes = {"Endpoint.Address": endpoint["Address"], "Endpoint.Port": str(endpoint["Port"])}
    delete = partial(rds.delete_db_instance, DBInstanceIdentifier=identifier, SkipFinalSnapshot=True)
    return Resource(identifier, attributes, delete)


def _role(client: Callable[[str], Any], name: str, given: Properties) -> Resource:
    """Moto has roles, but stores their policies in a form that is no JSON."""
    iam = client("iam")
    name = given.get("RoleName", name)
    trust = json.dumps(given["AssumeRolePolicyDocument"])
    try:
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)
        role = iam.get_role(RoleName=name)["Role"]
    inline = [policy["PolicyName"] for policy in given.get("Policies", [])]
    for policy in given.get("Policies", []):
        document = json.dumps(policy["PolicyDocument"])
        iam.put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=document)
    managed = given.get("ManagedPolicyArns", [])
    for arn in managed:
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)

    def remove() -> None:
        # moto tries again when something is still attached, so what has gone already must not stop it.
        for policy in inline:
            with contextlib.suppress(iam.exceptions.NoSuchEntityException):
                iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for arn in managed:
            with contextlib.suppress(iam.exceptions.NoSuchEntityException):
                iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        iam.delete_role(RoleName=name)

    return Resource(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]}, remove)


def _key(client: Callable[[str], Any], _name: str, given: Properties) -> Resource:
    """Moto has keys, but fails on their tags. Deletion waits thirty days (CFN/aws-resource-kms-key)."""
    kms = client("kms")
    key = kms.create_key(
        Policy=json.dumps(given["KeyPolicy"]),
        Description=given.get("Description", ""),
        Tags=[{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in given.get("Tags", [])],
    )["KeyMetadata"]
    if str(given.get("EnableKeyRotation", False)).lower() == "true":
        kms.enable_key_rotation(KeyId=key["KeyId"])
    delete = partial(kms.schedule_key_deletion, KeyId=key["KeyId"])
    return Resource(key["KeyId"], {"Arn": key["Arn"], "KeyId": key["KeyId"]}, delete)


def _managed_policy(client: Callable[[str], Any], name: str, given: Properties) -> Resource:
    iam = client("iam")
    name = given.get("ManagedPolicyName", name.rpartition("/")[2])
    document = json.dumps(given["PolicyDocument"])
    arn = iam.create_policy(
        PolicyName=name, PolicyDocument=document, Description=given.get("Description", "")
    )["Policy"]["Arn"]
    roles = given.get("Roles", [])
    for role in roles:
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)

    def remove() -> None:
        for role in roles:
            with contextlib.suppress(iam.exceptions.NoSuchEntityException):
                iam.detach_role_policy(RoleName=role, PolicyArn=arn)
        iam.delete_policy(PolicyArn=arn)

    return Resource(arn, {"PolicyArn": arn}, remove)


def _numbers(value: Any) -> Any:
    """Templates write numbers and truth as they like; boto3 wants them as they are."""
    if isinstance(value, dict):
        return {key: _numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


_TYPES: dict[str, Make] = {
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::Dashboard": _dashboard,
    "AWS::IAM::ManagedPolicy": _managed_policy,
    "AWS::IAM::Role": _role,
    "AWS::KMS::Key": _key,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::RDS::DBCluster": _cluster,
    "AWS::RDS::DBInstance": _instance,
    "AWS::SNS::Subscription": _subscription,
    "AWS::SNS::TopicPolicy": _topic_policy,
    "AWS::SecretsManager::ResourcePolicy": _resource_policy,
    "AWS::SecretsManager::RotationSchedule": _rotation_schedule,
    "AWS::SecretsManager::Secret": _secret,
    "AWS::SecretsManager::SecretTargetAttachment": _target_attachment,
}
