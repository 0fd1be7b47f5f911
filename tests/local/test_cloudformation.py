"""The project's template and templates of users create real resources in the local AWS."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rotators.local.aws import LocalAws
from rotators.local.cloudformation.sam import translated
from tests.inbox import Inbox

ROOT = Path(__file__).resolve().parent.parent.parent
WAIT = 300.0


@pytest.fixture(scope="module")
def code(aws: LocalAws) -> str:
    """Store a small function's archive in the local S3; return its location."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("functions/rotate.py", "def handler(event, context): return 1")
    storage = aws.client("s3")
    storage.create_bucket(Bucket="deployment")
    storage.put_object(Bucket="deployment", Key="code", Body=buffer.getvalue())
    return "s3://deployment/code"


@pytest.fixture
def formation(aws: LocalAws) -> Iterator[Any]:
    client = aws.client("cloudformation")
    yield client
    for stack in client.list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"]:
        client.delete_stack(StackName=stack["StackId"])


def create(formation: Any, name: str, template: dict[str, Any], **parameters: str) -> dict[str, str]:
    """Create a stack; return logical to physical ids."""
    formation.create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    found = formation.describe_stack_resources(StackName=name)["StackResources"]
    return {
        each["LogicalResourceId"]: each.get("PhysicalResourceId", "")
        for each in found
        if "LogicalResourceId" in each
    }


def secrets_template(**resources: dict[str, Any]) -> dict[str, Any]:
    secret = {
        "Type": "AWS::SecretsManager::Secret",
        "Properties": {
            "Description": "of a stack",
            "GenerateSecretString": {
                "SecretStringTemplate": '{"username": "app"}',
                "GenerateStringKey": "password",
                "PasswordLength": "20",
                "ExcludePunctuation": True,
            },
            "Tags": [{"Key": "team", "Value": "shop"}],
        },
    }
    return {"Resources": {"Secret": secret, **resources}}


def schedule(arn: str, **properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::SecretsManager::RotationSchedule",
        "Properties": {
            "SecretId": {"Ref": "Secret"},
            "RotationLambdaARN": arn,
            "RotationRules": {"AutomaticallyAfterDays": "30"},
            **properties,
        },
    }


ALL_PARAMETERS = {
    "AdminSecretArns": "arn:aws:secretsmanager:us-east-1:123456789012:secret:admin-AbCdEf",
    "AdminTagValue": "yes",
    "ElastiCacheUserArns": "arn:aws:elasticache:us-east-1:123456789012:user:app",
    "ReplicationGroupArns": "arn:aws:elasticache:us-east-1:123456789012:replicationgroup:app",
    "MemoryDbUserArns": "arn:aws:memorydb:us-east-1:123456789012:user/app",
    "DirectoryArns": "arn:aws:ds:us-east-1:123456789012:directory/d-1234567890",
    "AlarmEmail": "oncall@example.com",
    "FindRedshift": "true",
    "NoRotationDays": "7",
    "ReceiptRetentionDays": "1",
    "SubnetIds": "subnet-1,subnet-2",
    "SecurityGroupIds": "sg-1",
    "RetrieveCallers": "arn:aws:iam::123456789012:role/app=app/",
    "RetrieveTagValue": "app",
    "SealingKeyArns": "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-4111-8111-111111111111",
    "RotateTimeout": "900",
}


@pytest.mark.parametrize("parameters", [{}, ALL_PARAMETERS], ids=["defaults", "all"])
def test_every_resource_of_the_template_is_made(
    aws: LocalAws, formation: Any, code: str, parameters: dict[str, str]
) -> None:
    template = translated(ROOT / "template.yaml", "us-east-1", code)
    made = create(formation, "whole", template, **parameters)
    optional = {"AlarmSubscription", "ChangeCaches", "FindRedshiftServers", "NothingRotated"}
    optional |= {"CallerPolicy", "ReadAdmins", "ReadCaches", "ResetDirectoryUsers", "RetrieveUrl"}
    optional |= {each for each in template["Resources"] if "Receipt" in each} | {"SucceededRotations"}
    optional |= {"OpenSealedPolicy", "SealPolicy"}
    without = set() if parameters else optional
    assert set(made) == set(template["Resources"]) - without
    function = aws.client("lambda").get_function_configuration(FunctionName="whole-rotate")
    assert function["Timeout"] == int(parameters.get("RotateTimeout", "60"))
    assert function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == "whole"
    alarms = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="whole-")["MetricAlarms"]
    assert len(alarms) == (6 if parameters else 4)
    assert {tuple(alarm["AlarmActions"]) for alarm in alarms} == {(made["AlarmTopic"],)}
    group = aws.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/whole-rotate")["logGroups"]
    assert [(each["retentionInDays"], "kmsKeyId" in each) for each in group] == [(90, True)]
    formation.delete_stack(StackName="whole")
    assert not aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="whole-")["MetricAlarms"]


def test_a_stack_function_runs_its_code(
    aws: LocalAws, formation: Any, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests import artifact  # noqa: PLC0415 - it looks for a Python of Lambda's version

    monkeypatch.setenv("RUNTIME_PYTHON", artifact.runtime())
    create(formation, "own", translated(ROOT / "template.yaml", "us-east-1", code))
    answer = aws.client("lambda").invoke(FunctionName="own-rotate", Payload=b"{}")
    assert json.loads(answer["Payload"].read()) == 1
    policy = json.loads(aws.client("lambda").get_policy(FunctionName="own-rotate")["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "secretsmanager.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"AWS:SourceAccount": "123456789012"}}


def test_an_unsupported_type_fails_the_stack_by_name(formation: Any) -> None:
    template = {"Resources": {"Strange": {"Type": "AWS::Nobody::KnowsIt", "Properties": {}}}}
    with pytest.raises(ClientError, match="AWS::Nobody::KnowsIt"):
        create(formation, "strange", template)


def test_a_generated_secret_is_deleted_with_its_stack(aws: LocalAws, formation: Any, secrets: Any) -> None:
    arn = create(formation, "secret", secrets_template())["Secret"]
    value = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    assert value["username"] == "app"
    assert len(value["password"]) == 20
    assert value["password"].isalnum()
    assert secrets.describe_secret(SecretId=arn)["Tags"] == [{"Key": "team", "Value": "shop"}]
    formation.delete_stack(StackName="secret")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        secrets.describe_secret(SecretId=arn)


def test_a_stack_update_keeps_the_secret_value(formation: Any, secrets: Any) -> None:
    template = secrets_template()
    arn = create(formation, "kept", template)["Secret"]
    before = secrets.get_secret_value(SecretId=arn)["SecretString"]
    template["Resources"]["Secret"]["Properties"]["Description"] = "another"
    formation.update_stack(StackName="kept", TemplateBody=json.dumps(template))
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == before
    assert secrets.describe_secret(SecretId=arn)["Description"] == "another"


@pytest.mark.parametrize("at_once", [True, False])
def test_a_schedule_rotates_at_once_or_only_tests(
    aws: LocalAws, formation: Any, secrets: Any, at_once: bool
) -> None:
    """CFN/aws-resource-secretsmanager-rotationschedule: RotateImmediatelyOnUpdate is true by default."""
    properties = {} if at_once else {"RotateImmediatelyOnUpdate": False}
    template = secrets_template(Schedule=schedule(aws.function_arn("well"), **properties))
    arn = create(formation, f"schedule-{at_once}".lower(), template)["Secret"]
    described = secrets.describe_secret(SecretId=arn)
    assert described["RotationRules"] == {"AutomaticallyAfterDays": 30}
    assert described["RotationEnabled"] is True
    ended = aws.wait_for_event(arn, "RotationSucceeded", "TestRotationSucceeded")
    assert ended.name == ("RotationSucceeded" if at_once else "TestRotationSucceeded")


def test_a_stack_has_keys_of_both_kinds(aws: LocalAws, formation: Any) -> None:
    kms, key = aws.client("kms"), {"Type": "AWS::KMS::Key"}
    everything = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    common = {"KeyPolicy": {"Version": "2012-10-17", "Statement": [everything]}}
    rotated = {**common, "EnableKeyRotation": True, "RotationPeriodInDays": 100}
    signing = {**common, "KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}
    resources = {"Data": {**key, "Properties": rotated}, "Receipts": {**key, "Properties": signing}}
    made = create(formation, "keys", {"Resources": resources})
    status = kms.get_key_rotation_status(KeyId=made["Data"])
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 100)
    assert kms.get_public_key(KeyId=made["Receipts"])["SigningAlgorithms"] == ["ECDSA_SHA_256"]
    kms.schedule_key_deletion(KeyId=made["Data"])  # by another user, before the stack deletes it
    formation.delete_stack(StackName="keys")
    states = {kms.describe_key(KeyId=each)["KeyMetadata"]["KeyState"] for each in made.values()}
    assert states == {"PendingDeletion"}


def test_a_public_policy_fails_the_stack(formation: Any) -> None:
    policy = {
        "Type": "AWS::SecretsManager::ResourcePolicy",
        "Properties": {
            "SecretId": {"Ref": "Secret"},
            "BlockPublicPolicy": True,
            "ResourcePolicy": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": "*",
                        "Action": "secretsmanager:GetSecretValue",
                        "Resource": "*",
                    }
                ],
            },
        },
    }
    with pytest.raises(ClientError):
        create(formation, "public", secrets_template(Policy=policy))


def test_a_rule_reaches_topic_and_function_with_retries(
    aws: LocalAws, formation: Any, make: Any, rotate: Any
) -> None:
    """EventBridge invokes asynchronously; Lambda repeats a failed invocation twice (LG: invocation-async)."""
    rule = {"source": ["aws.secretsmanager"], "detail": {"eventName": ["RotationFailed"]}}
    target = aws.register("told", "tests.local.handlers.refuse_first")
    topic = aws.client("sns").create_topic(Name="told")["TopicArn"]
    inbox = Inbox(aws.client, topic, "told")
    targets = [{"Id": "function", "Arn": target}, {"Id": "topic", "Arn": topic}]
    template = {
        "Resources": {
            "Rule": {
                "Type": "AWS::Events::Rule",
                "Properties": {"EventPattern": rule, "Targets": targets},
            },
            "Permission": {
                "Type": "AWS::Lambda::Permission",
                "Properties": {
                    "Action": "lambda:InvokeFunction",
                    "FunctionName": target,
                    "Principal": "events.amazonaws.com",
                    "SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]},
                },
            },
        }
    }
    without = {"Resources": {"Rule": template["Resources"]["Rule"]}}
    create(formation, "unadmitted", without)
    unheard = make(fail="setSecret")
    assert not aws.wait_for_rotation(unheard, rotate(unheard), WAIT).ok
    create(formation, "admitted", template)
    heard = make(fail="setSecret")
    assert not aws.wait_for_rotation(heard, rotate(heard), WAIT).ok
    well = make()
    assert aws.wait_for_rotation(well, rotate(well), WAIT).ok
    log = aws.wait_for_log("told", "accepted", WAIT)
    lines = [line for line in log.splitlines() if line.startswith(("refused", "accepted"))]
    assert lines == [f"refused RotationFailed {heard}", f"accepted RotationFailed {heard}"]
    told = [json.loads(message.body)["detail"]["additionalEventData"]["SecretId"] for message in inbox.take()]
    assert told == [unheard, heard, heard], "both rules also have the topic, and it needs no permission here"
