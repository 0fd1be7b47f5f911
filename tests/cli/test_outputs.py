"""`rotators outputs` against the local CloudFormation, and its export lines in bash."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from rotators.cli import cli
from rotators.cli.errors import StackNotFound
from rotators.core.errors import AccessDenied
from tests.world import unique

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws

pytestmark = pytest.mark.processes

AWKWARD = 'it\'s $HOME; `echo x` "y"'


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["outputs", *arguments])


@pytest.fixture
def stack(aws: LocalAws) -> Iterator[str]:
    """A stack with outputs of template.yaml, and one output that a shell would expand without quotes."""
    formation, name = aws.client("cloudformation"), unique("outputs").replace("_", "-")
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {
            "RotateFunctionArn": {"Value": "arn:aws:lambda:us-east-1:123456789012:function:x-rotate"},
            "KeyArn": {"Value": AWKWARD},
        },
    }
    formation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    yield name
    formation.delete_stack(StackName=name)


def test_the_outputs_are_a_table_and_json(stack: str) -> None:
    shown = run("--stack", stack)
    assert shown.exit_code == 0
    assert "RotateFunctionArn" in shown.output
    assert f'eval "$(rotators outputs --stack {stack} --shell)"' in shown.output
    assert list(json.loads(run("--stack", stack, "--json").output)) == ["KeyArn", "RotateFunctionArn"]


def test_the_export_lines_give_exact_values(stack: str) -> None:
    lines = run("--stack", stack, "--shell").output
    script = f'{lines}printf "%s|%s" "$ROTATE_FUNCTION_ARN" "$KEY_ARN"'
    said = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True).stdout
    assert said == f"arn:aws:lambda:us-east-1:123456789012:function:x-rotate|{AWKWARD}"


def test_a_missing_stack_is_reported_with_existing_ones(stack: str) -> None:
    error = run("--stack", "no-such-stack").exception
    assert isinstance(error, StackNotFound)
    assert stack in error.remedy


@pytest.mark.usefixtures("aws")
def test_without_a_stack_the_action_is_deploying() -> None:
    error = run("--stack", "no-such-stack").exception
    assert isinstance(error, StackNotFound)
    assert "deploying.md" in error.remedy


def test_a_denied_caller_sees_the_needed_policy(
    aws: LocalAws, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local-nobody")
    # Another retry mode requires a new client, which has the new credentials.
    monkeypatch.setenv("AWS_RETRY_MODE", "legacy")
    aws.watch({"nobody": []})
    try:
        error = run("--stack", stack).exception
    finally:
        aws.watch(None)
    assert isinstance(error, AccessDenied)
    assert "OperatorPolicyArn" in error.remedy


def test_two_forms_at_once_are_bad_usage() -> None:
    assert run("--shell", "--json").exit_code == 2
