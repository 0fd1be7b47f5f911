"""Updates and change sets of stacks, and references from stacks to real servers and code."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rotators.local.aws import LocalAws
from tests.world import unique

WAIT = 300.0


@pytest.fixture
def formation(aws: LocalAws) -> Iterator[Any]:
    client = aws.client("cloudformation")
    yield client
    for stack in client.describe_stacks()["Stacks"]:
        if stack["StackName"].startswith("updates-"):
            client.delete_stack(StackName=stack["StackId"])


TEMPLATE = {
    "Parameters": {
        "Function": {"Type": "String", "Default": ""},
        "Names": {"Type": "CommaDelimitedList", "Default": "a,b"},
    },
    "Conditions": {"HasFunction": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Function"}, ""]}]}},
    "Resources": {
        "Secret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {
                "Description": {"Fn::If": ["HasFunction", "rotated", "not rotated"]},
                "SecretString": "{}",
            },
        },
        "Schedule": {
            "Type": "AWS::SecretsManager::RotationSchedule",
            "Condition": "HasFunction",
            "Properties": {
                "SecretId": {"Ref": "Secret"},
                "RotationLambdaARN": {"Ref": "Function"},
                "RotationRules": {"AutomaticallyAfterDays": 30},
            },
        },
    },
    "Outputs": {
        "Arn": {"Value": {"Ref": "Secret"}},
        "Joined": {"Value": {"Fn::Join": ["-", {"Ref": "Names"}]}},
        "Function": {"Value": {"Ref": "Function"}},
    },
}


def deploy(formation: Any, name: str, template: Mapping[str, Any], *previous: str, **parameters: str) -> str:
    """Make the calls of `aws cloudformation deploy`; return the change set's status."""
    given: list[dict[str, Any]] = [
        {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
    ]
    given += [{"ParameterKey": key, "UsePreviousValue": True} for key in previous]
    there = {stack["StackName"] for stack in formation.describe_stacks()["Stacks"]}
    made = formation.create_change_set(
        StackName=name,
        ChangeSetName="deploy",
        ChangeSetType="UPDATE" if name in there else "CREATE",
        TemplateBody=json.dumps(template),
        Parameters=given,
    )
    status = str(formation.describe_change_set(ChangeSetName=made["Id"])["Status"])
    if status != "FAILED":
        formation.execute_change_set(ChangeSetName=made["Id"])
    return status


def outputs(formation: Any, name: str) -> dict[str, str]:
    found = formation.describe_stacks(StackName=name)["Stacks"][0].get("Outputs", [])
    return {each["OutputKey"]: each["OutputValue"] for each in found}


def test_a_change_set_updates_the_outputs(formation: Any) -> None:
    deploy(formation, "updates-outputs", TEMPLATE, Names="x,y")
    assert outputs(formation, "updates-outputs")["Joined"] == "x-y"
    deploy(formation, "updates-outputs", TEMPLATE, "Function", Names="z")
    assert outputs(formation, "updates-outputs")["Joined"] == "z"


def test_list_parameters_keep_defaults_and_previous_values(aws: LocalAws, formation: Any) -> None:
    deploy(formation, "updates-lists", TEMPLATE)
    assert outputs(formation, "updates-lists")["Joined"] == "a-b"
    deploy(formation, "updates-lists", TEMPLATE, "Names", Function=aws.function_arn("well"))
    assert outputs(formation, "updates-lists")["Joined"] == "a-b"


def test_a_changed_condition_creates_and_removes_resources(
    aws: LocalAws, formation: Any, secrets: Any
) -> None:
    deploy(formation, "updates-condition", TEMPLATE)
    arn = outputs(formation, "updates-condition")["Arn"]
    described = secrets.describe_secret(SecretId=arn)
    assert described["Description"] == "not rotated"
    assert "RotationLambdaARN" not in described
    deploy(formation, "updates-condition", TEMPLATE, Function=aws.function_arn("well"))
    described = secrets.describe_secret(SecretId=arn)
    assert described["Description"] == "rotated"
    assert described["RotationEnabled"]
    aws.wait_for_event(arn, "RotationSucceeded")
    assert [event.name for event in aws.service_events(arn)].count("RotationStarted") == 1
    deploy(formation, "updates-condition", TEMPLATE, Function="")
    assert not secrets.describe_secret(SecretId=arn).get("RotationEnabled")


def test_nothing_to_change_fails_the_change_set(formation: Any) -> None:
    deploy(formation, "updates-same", TEMPLATE, Function="", Names="a")
    assert deploy(formation, "updates-same", TEMPLATE, Function="", Names="a") == "FAILED"


def test_a_cluster_leads_to_the_real_server(
    aws: LocalAws, formation: Any, secrets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = secrets.create_secret(Name=unique("admin"), SecretString='{"password": "of-the-secret"}')[
        "ARN"
    ]
    template = {
        "Resources": {
            "Cluster": {
                "Type": "AWS::RDS::DBCluster",
                "Properties": {
                    "Engine": "aurora-postgresql",
                    "MasterUsername": "dbadmin",
                    "MasterUserPassword": f"{{{{resolve:secretsmanager:{password}:SecretString:password}}}}",
                },
            }
        },
        "Outputs": {
            "Address": {"Value": {"Fn::GetAtt": ["Cluster", "Endpoint.Address"]}},
            "Port": {"Value": {"Fn::GetAtt": ["Cluster", "Endpoint.Port"]}},
        },
    }
    asked = []

    def database(given: Mapping[str, Any]) -> tuple[str, int]:
        asked.append((given["master_username"], given["master_user_password"]))
        return "localhost", 15432

    monkeypatch.setattr(aws, "database", database)
    deploy(formation, "updates-cluster", template)
    assert asked == [("dbadmin", "of-the-secret")]
    assert outputs(formation, "updates-cluster") == {"Address": "localhost", "Port": "15432"}


def test_one_private_dns_endpoint_per_service_and_vpc(aws: LocalAws, formation: Any) -> None:
    vpc = aws.client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = aws.client("ec2").create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    template = {
        "Resources": {
            name: {
                "Type": "AWS::EC2::VPCEndpoint",
                "Properties": {
                    "VpcEndpointType": "Interface",
                    "ServiceName": "com.amazonaws.us-east-1.secretsmanager",
                    "VpcId": vpc,
                    "SubnetIds": [subnet],
                    "PrivateDnsEnabled": True,
                    "PolicyDocument": {"Statement": []},
                },
            }
            for name in ("First", "Second")
        }
    }
    with pytest.raises(ClientError, match="conflicting DNS domain"):
        deploy(formation, "updates-endpoints", template)


def test_a_function_imports_what_its_layers_have(aws: LocalAws) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("python/in_a_layer.py", "def handler(event, context): return 'from the layer'")
    functions = aws.client("lambda")
    layer = functions.publish_layer_version(LayerName="mine", Content={"ZipFile": buffer.getvalue()})
    arn = aws.register("layered", "in_a_layer.handler")
    functions.update_function_configuration(FunctionName=arn, Layers=[layer["LayerVersionArn"]])
    answer = functions.invoke(FunctionName=arn)
    assert json.loads(answer["Payload"].read()) == "from the layer"
