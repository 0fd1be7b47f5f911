"""Functions whose code comes in the request, as a zip file (Lambda's API:CreateFunction, Code.ZipFile)."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rotators.local.aws import LocalAws
from tests.local.handlers import uploaded
from tests.world import unique

ROTATION = """
import boto3
secrets = boto3.client("secretsmanager")
def handler(event, context):
    arn, token = event["SecretId"], event["ClientRequestToken"]
    if event["Step"] == "createSecret":
        secrets.put_secret_value(
            SecretId=arn, ClientRequestToken=token, SecretString="new", VersionStages=["AWSPENDING"]
        )
    if event["Step"] == "finishSecret":
        current = secrets.get_secret_value(SecretId=arn)["VersionId"]
        secrets.update_secret_version_stage(
            SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
        )
"""
PATHS = """
import os, environment, rotators
def handler(event, context):
    return [environment.OWN, rotators.OWN, os.getcwd() == os.environ["LAMBDA_TASK_ROOT"]]
"""


@pytest.fixture(scope="module")
def functions(aws: LocalAws) -> Any:
    return aws.client("lambda")


def answer_of(functions: Any, name: str) -> Any:
    return json.loads(functions.invoke(FunctionName=name)["Payload"].read())


def test_an_uploaded_function_rotates(aws: LocalAws, functions: Any, secrets: Any) -> None:
    """UG:rotate-secrets_turn-on-for-other: any function with the permission."""
    name = unique("uploaded").replace("/", "-")
    arn = functions.create_function(**uploaded(name, ROTATION))["FunctionArn"]
    functions.add_permission(
        FunctionName=name,
        StatementId="manager",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
    )
    secret = secrets.create_secret(Name=name, SecretString="old")["ARN"]
    token = secrets.rotate_secret(SecretId=secret, RotationLambdaARN=arn)["VersionId"]
    assert aws.wait_for_rotation(secret, token).ok
    assert secrets.get_secret_value(SecretId=secret)["SecretString"] == "new"


def test_uploaded_code_hides_the_local_aws(functions: Any) -> None:
    """Lambda guide, python-package: the task root comes first on the import path."""
    own = {"environment": "OWN = 1", "rotators": "OWN = 2"}
    functions.create_function(**uploaded("hides", PATHS, **own))
    assert answer_of(functions, "hides") == [1, 2, True]


def test_updated_code_replaces_the_container(functions: Any) -> None:
    """Lambda's API:UpdateFunctionCode."""
    code = "def handler(event, context): return {}"
    functions.create_function(**uploaded("updated", code.format("1")))
    assert answer_of(functions, "updated") == 1
    functions.update_function_code(FunctionName="updated", **uploaded("updated", code.format("2"))["Code"])
    assert answer_of(functions, "updated") == 2


def test_a_missing_module_is_an_import_error(functions: Any) -> None:
    functions.create_function(**{**uploaded("astray", ""), "Handler": "elsewhere.handler"})
    answer = answer_of(functions, "astray")
    assert answer["errorType"] == "Runtime.ImportModuleError"
    assert answer["errorMessage"].startswith("Unable to import module 'elsewhere'")


def test_inline_code_of_a_stack_runs(aws: LocalAws, functions: Any) -> None:
    """CFN/aws-properties-lambda-function-code, ZipFile: the source of a module `index`."""
    given = uploaded("inline", "")
    given["Code"] = {"ZipFile": "def handler(event, context): return 'inline'"}
    resource = {"Type": "AWS::Lambda::Function", "Properties": {**given, "Handler": "index.handler"}}
    template = {"Resources": {"Function": resource}}
    formation = aws.client("cloudformation")
    formation.create_stack(StackName="inline", TemplateBody=json.dumps(template))
    assert answer_of(functions, "inline") == "inline"
    formation.delete_stack(StackName="inline")


def _archive(write: Callable[[zipfile.ZipFile], object]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        write(archive)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (b"no archive", "Could not unzip uploaded file. Please check your file, then try to upload again."),
        (
            _archive(lambda archive: archive.writestr("a.py", "content")).replace(b"content", b"changed"),
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ),
        (_archive(lambda _: None), "Uploaded file must be a non-empty zip"),
    ],
)
def test_an_unusable_archive_is_refused(functions: Any, archive: bytes, message: str) -> None:
    """Recorded by LocalStack's tests (test_lambda_api); empty: adieuadieu/serverless-chrome#331."""
    with pytest.raises(ClientError) as caught:
        functions.create_function(**{**uploaded("unusable", ""), "Code": {"ZipFile": archive}})
    error = caught.value.response
    assert (error["Error"]["Code"], error["Error"]["Message"]) == ("InvalidParameterValueException", message)
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert "unusable" not in [each["FunctionName"] for each in functions.list_functions()["Functions"]]


def test_a_refused_update_keeps_the_code(functions: Any) -> None:
    """Lambda's API:UpdateFunctionCode."""
    functions.create_function(**uploaded("kept", "def handler(event, context): return 'kept'"))
    with pytest.raises(ClientError, match="Could not unzip"):
        functions.update_function_code(FunctionName="kept", ZipFile=b"no archive")
    assert answer_of(functions, "kept") == "kept"
