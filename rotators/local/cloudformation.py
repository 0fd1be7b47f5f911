"""Resources that moto's CloudFormation leaves out, made through the local AWS's own API.

moto skips a type that it does not know, and calls the stack complete. Here such a type fails the stack, by
name. Each type is one function below: it makes the resource from the template's properties and says what
`Ref` and `GetAtt` give, and how it is removed. An update makes it anew over the old one, which for all of
these is a call that overwrites; of a secret, only description and key change.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.cloudformation.exceptions import ValidationError

from rotators.local import databases, network
from rotators.local.resources import Make, Properties, Resource, as_numbers

Client = Callable[..., Any]
_STACK_DELETES_AT_ONCE = {"ForceDeleteWithoutRecovery": True}


class Kind:
    """A type of resource, in the place of moto's class for it.

    Args:
        make: makes one, from a function that gives clients, a made-up name, and the properties.
        client: gives a client for a Region, a service and an account.
    """

    def __init__(self, make: Make, client: Client) -> None:
        self._make = make
        self._client = client

    def has_cfn_attr(self, _attribute: str) -> bool:
        """Whether outputs may name the attribute; a wrong one fails when it is looked up."""
        return True

    def create_from_cloudformation_json(
        self, name: str, definition: dict[str, Any], account: str, region: str, **_: Any
    ) -> Resource:
        """Make one.

        Raises:
            ValidationError: the service refused it; its words are in the message.
        """
        return self._made(region, account, name, definition)

    def update_from_cloudformation_json(
        self,
        original_resource: Resource,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> Resource:
        """Make it anew over the old one; raises as for a new one."""
        del new_resource_name
        name = original_resource.physical_resource_id
        return self._made(region_name, account_id, name, cloudformation_json)

    def _made(self, region: str, account: str, name: str, definition: dict[str, Any]) -> Resource:
        def client(service: str) -> Any:
            return self._client(region, service, account)

        try:
            return self._make(client, name, databases.with_secrets(client, definition.get("Properties", {})))
        except (BotoCoreError, ClientError) as error:
            raise ValidationError(message=f"{definition.get('Type')}: {error}") from None


def completed(original: Callable[[str], Any], client: Client) -> Callable[[str], Any]:
    """What tells moto's CloudFormation the class of a type.

    Args:
        original: moto's own.
        client: gives a client for a Region, a service and an account.

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
    """What resolves a template's functions.

    AWS::NoValue takes its item out of a list, where moto leaves a hole. In YAML's short form an attribute of
    two words, `!GetAtt Cluster.Endpoint.Port`, is one attribute, where moto takes its first word.

    Args:
        original: moto's own, which calls itself by name and so calls this.
    """

    def clean_json(resource_json: Any, resources_map: Any) -> Any:
        if isinstance(resource_json, dict) and isinstance(named := resource_json.get("Fn::GetAtt"), list):
            resource_json = {"Fn::GetAtt": [named[0], ".".join(named[1:])]}
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
        for definition in resources._resource_json_map.values():  # noqa: SLF001 - checked by tests/local/moto_names.py
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
    password: str = manager.get_random_password(**as_numbers(rules))["RandomPassword"]
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
        RotationRules=as_numbers(given.get("RotationRules", {})),
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


def _alarm(client: Callable[[str], Any], name: str, given: Properties) -> Resource:
    watch = client("cloudwatch")
    name = given.get("AlarmName", name)
    watch.put_metric_alarm(**as_numbers({**given, "AlarmName": name}))
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


def _key(client: Callable[[str], Any], name: str, given: Properties) -> Resource:
    """Moto has keys, but fails on their tags. Deletion waits thirty days (CFN/aws-resource-kms-key)."""
    kms = client("kms")
    with contextlib.suppress(kms.exceptions.NotFoundException):
        key = kms.describe_key(KeyId=name)["KeyMetadata"]
        kms.put_key_policy(KeyId=name, PolicyName="default", Policy=json.dumps(given["KeyPolicy"]))
        return _made_key(kms, key)
    key = kms.create_key(
        Policy=json.dumps(given["KeyPolicy"]),
        Description=given.get("Description", ""),
        Tags=[{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in given.get("Tags", [])],
    )["KeyMetadata"]
    if str(given.get("EnableKeyRotation", False)).lower() == "true":
        kms.enable_key_rotation(KeyId=key["KeyId"])
    return _made_key(kms, key)


def _made_key(kms: Any, key: Properties) -> Resource:
    delete = partial(kms.schedule_key_deletion, KeyId=key["KeyId"])
    return Resource(key["KeyId"], {"Arn": key["Arn"], "KeyId": key["KeyId"]}, delete)


def _managed_policy(client: Callable[[str], Any], name: str, given: Properties) -> Resource:
    iam = client("iam")
    name = given.get("ManagedPolicyName", name.rpartition("/")[2])
    document = json.dumps(given["PolicyDocument"])
    pages = iam.get_paginator("list_policies").paginate(Scope="Local")
    existing = {each["PolicyName"]: str(each["Arn"]) for page in pages for each in page["Policies"]}
    if arn := existing.get(name):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    else:
        description = given.get("Description", "")
        made = iam.create_policy(PolicyName=name, PolicyDocument=document, Description=description)
        arn = made["Policy"]["Arn"]
    roles = given.get("Roles", [])
    for role in roles:
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)

    def remove() -> None:
        for role in roles:
            with contextlib.suppress(iam.exceptions.NoSuchEntityException):
                iam.detach_role_policy(RoleName=role, PolicyArn=arn)
        iam.delete_policy(PolicyArn=arn)

    return Resource(arn, {"PolicyArn": arn}, remove)


_TYPES: dict[str, Make] = {
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::Dashboard": _dashboard,
    "AWS::IAM::ManagedPolicy": _managed_policy,
    "AWS::IAM::Role": _role,
    "AWS::KMS::Key": _key,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::SNS::Subscription": _subscription,
    "AWS::SNS::TopicPolicy": _topic_policy,
    "AWS::SecretsManager::ResourcePolicy": _resource_policy,
    "AWS::SecretsManager::RotationSchedule": _rotation_schedule,
    "AWS::SecretsManager::Secret": _secret,
    **databases.TYPES,
    **network.TYPES,
}
