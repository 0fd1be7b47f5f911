"""The snippets of docs/how-to/iac.md can be parsed, all their properties exist, and the template deploys."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import hcl2
import pytest
from botocore import xform_name

from rotators.local.cloudformation.sam import translated
from tests.world import unique

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws

pytestmark = pytest.mark.processes

PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "iac.md").read_text()
MODEL = botocore.session.Session().get_service_model("secretsmanager")
ROTATE, RULES = (
    {xform_name(name) for name in getattr(MODEL.shape_for(shape), "members")}  # noqa: B009 - the stubs do not declare it
    for shape in ("RotateSecretRequest", "RotationRulesType")
)


def snippets(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found, language
    return found


def resources(snippet: str) -> dict[str, dict[str, Any]]:
    """The resources of a Terraform snippet by type, without the quotes that the parser keeps."""
    document = hcl2.loads(snippet)
    return {
        kind.strip('"'): body
        for resource in document["resource"]
        for kind, named in resource.items()
        if not kind.startswith("__")
        for name, body in named.items()
        if not name.startswith("__")
    }


def test_terraform_configures_rotation_with_arguments_of_the_api() -> None:
    rotation = resources(snippets("hcl")[0])["aws_secretsmanager_secret_rotation"]
    (rules,) = rotation["rotation_rules"]
    assert {name for name in rules if not name.startswith("__")} <= RULES
    assert rotation["rotation_lambda_arn"]
    assert "aws_secretsmanager_secret_version.shop" in str(rotation["depends_on"])


def test_no_terraform_snippet_writes_the_first_password_again() -> None:
    for snippet in snippets("hcl"):
        version = resources(snippet)["aws_secretsmanager_secret_version"]
        if "secret_string" in version:
            (lifecycle,) = version["lifecycle"]
            assert "secret_string" in str(lifecycle["ignore_changes"])
        else:
            assert {"secret_string_wo", "secret_string_wo_version"} <= set(version)


def test_cdk_names_properties_that_exist() -> None:
    tree = ast.parse(snippets("python")[0])
    calls = {
        node.func.attr: {keyword.arg for keyword in node.keywords}
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    known = {"secret_id", "rotation_rules", "rotation_lambda_arn", "rotate_immediately_on_update"}
    assert known - {"rotate_immediately_on_update"} <= ROTATE
    assert calls["CfnRotationSchedule"] == known
    assert calls["RotationRulesProperty"] <= RULES
    assert "add_rotation_schedule" not in calls


@pytest.fixture
def template(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "template.yaml"
    path.write_text(snippets("yaml")[0])
    return dict(translated(path, "us-east-1", "s3://none/none"))


def test_the_template_deploys_with_its_named_schedule(aws: LocalAws, template: dict[str, Any]) -> None:
    formation, secrets = aws.client("cloudformation"), aws.client("secretsmanager")
    name, secret = unique("iac").replace("_", "-"), template["Resources"]["Secret"]["Properties"]
    secret["Name"] = f"iac/{name}"
    given = {
        "RotateFunctionArn": aws.function_arn("rotate"),
        "KeyArn": aws.client("kms").create_key()["KeyMetadata"]["Arn"],
    }
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
    formation.create_stack(StackName=name, TemplateBody=json.dumps(template), Parameters=parameters)
    found = secrets.describe_secret(SecretId=f"iac/{name}")
    assert found["RotationLambdaARN"] == given["RotateFunctionArn"]
    assert found["RotationRules"]["ScheduleExpression"] == "cron(0 2 ? * SUN *)"
    assert json.loads(secrets.get_secret_value(SecretId=f"iac/{name}")["SecretString"])["password"]
