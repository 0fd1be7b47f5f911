"""Security Hub's controls for Secrets Manager and Config's rule for keys, on the template and the examples.

Source: Security Hub user guide, secretsmanager-controls; Config, secretsmanager-using-cmk. Controls at run
time (.2, .3) are checked as far as a template permits; docs/reference/controls.md describes how.
"""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rotators.local.cloudformation.sam import translated

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = [ROOT / "template.yaml", *sorted((ROOT / "examples").glob("*/template.yaml"))]
MOST_DAYS = 90
"""The default of SecretsManager.4, and the schedule that satisfies .1 and .4."""


translation = cache(translated)


def resources(path: Path, kind: str) -> dict[str, dict[str, Any]]:
    """The resources of a type, by name."""
    found = translation(path, "us-east-1")["Resources"]
    return {name: each.get("Properties", {}) for name, each in found.items() if each["Type"] == kind}


def names(path: Path) -> list[str]:
    """The names of the secrets, without translating the template, which takes a second."""
    return re.findall(r"^  (\w+):\n    Type: AWS::SecretsManager::Secret$", path.read_text(), re.MULTILINE)


SECRETS = [
    pytest.param(path, name, id=f"{path.parent.name}-{name}") for path in TEMPLATES for name in names(path)
]


def test_there_are_secrets_to_look_at() -> None:
    assert len(SECRETS) >= 3
    for path in TEMPLATES:
        assert names(path) == list(resources(path, "AWS::SecretsManager::Secret"))


def schedules(path: Path, name: str) -> list[dict[str, Any]]:
    return [
        each
        for each in resources(path, "AWS::SecretsManager::RotationSchedule").values()
        if each["SecretId"] == {"Ref": name}
    ]


@pytest.mark.parametrize(("path", "name"), SECRETS)
def test_secretsmanager_1_rotation_is_on(path: Path, name: str) -> None:
    (schedule,) = schedules(path, name)
    assert schedule["RotationLambdaARN"] == {"Ref": "RotateFunctionArn"}


def test_secretsmanager_2_failed_rotations_are_reported() -> None:
    rule = resources(ROOT / "template.yaml", "AWS::Events::Rule")["FailedRotations"]
    assert "RotationFailed" in rule["EventPattern"]["detail"]["eventName"]
    assert len(resources(ROOT / "template.yaml", "AWS::CloudWatch::Alarm")) == 6


def test_only_rules_invoke_functions_of_events() -> None:
    permissions = resources(ROOT / "template.yaml", "AWS::Lambda::Permission")
    assert permissions["NotifyPermission"] == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": {"Fn::GetAtt": ["NotifyFunction", "Arn"]},
        "Principal": "events.amazonaws.com",
        "SourceArn": {"Fn::GetAtt": ["FailedRotations", "Arn"]},
    }
    for name, rule in (
        ("ReceiptPermission", "SucceededRotations"),
        ("ReceiptRunPermission", "DailyReceipts"),
    ):
        assert permissions[name] == {
            **permissions["NotifyPermission"],
            "FunctionName": {"Fn::GetAtt": ["ReceiptFunction", "Arn"]},
            "SourceArn": {"Fn::GetAtt": [rule, "Arn"]},
        }


def test_messages_and_alarms_go_to_the_same_topic() -> None:
    functions = resources(ROOT / "template.yaml", "AWS::Lambda::Function")
    topic = functions["NotifyFunction"]["Environment"]["Variables"]["ALARM_TOPIC_ARN"]
    for alarm in resources(ROOT / "template.yaml", "AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == [topic]


def test_only_cloudwatch_needs_the_topics_policy_and_key() -> None:
    """The notify function sends with its own role."""
    (topic,) = resources(ROOT / "template.yaml", "AWS::SNS::TopicPolicy").values()
    key = resources(ROOT / "template.yaml", "AWS::KMS::Key")["SecretsKey"]
    policies = [topic["PolicyDocument"], key["KeyPolicy"]]
    alarms = [item for policy in policies for item in policy["Statement"] if item["Sid"] == "Alarms"]
    assert [item["Principal"]["Service"] for item in alarms] == ["cloudwatch.amazonaws.com"] * 2
    assert "events.amazonaws.com" not in str(policies)


@pytest.mark.parametrize(("path", "name"), SECRETS)
def test_secretsmanager_4_secrets_are_rotated_often_enough(path: Path, name: str) -> None:
    (schedule,) = schedules(path, name)
    assert days(schedule["RotationRules"]) <= MOST_DAYS


def days(rules: dict[str, Any]) -> int:
    """The longest time between two rotations, for the schedules that these templates use."""
    if "AutomaticallyAfterDays" in rules:
        return int(rules["AutomaticallyAfterDays"])
    weekly = re.fullmatch(r"cron\(0 \d+ \? \* [A-Z]{3} \*\)", rules["ScheduleExpression"])
    assert weekly, rules
    return 7


@pytest.mark.parametrize(("path", "name"), SECRETS)
def test_secretsmanager_5_secrets_have_tags(path: Path, name: str) -> None:
    assert resources(path, "AWS::SecretsManager::Secret")[name]["Tags"]


@pytest.mark.parametrize(("path", "name"), SECRETS)
def test_secretsmanager_using_cmk(path: Path, name: str) -> None:
    key = resources(path, "AWS::SecretsManager::Secret")[name]["KmsKeyId"]
    assert key == {"Fn::GetAtt": ["Key", "Arn"]} or key["Fn::If"][1] == {"Ref": "KmsKeyArn"}


@pytest.mark.parametrize(("path", "name"), SECRETS)
def test_no_secret_of_ours_can_be_made_public(path: Path, name: str) -> None:
    policies = resources(path, "AWS::SecretsManager::ResourcePolicy").values()
    (policy,) = [each for each in policies if each["SecretId"] == {"Ref": name}]
    assert policy["BlockPublicPolicy"] is True


@pytest.mark.processes
def test_the_linter_of_templates_finds_nothing_at_all() -> None:
    """All rules, informational ones too, without an exception."""
    linter = str(Path(sys.executable).parent / "cfn-lint")
    command = [linter, "--include-checks", "I", "--", *map(str, TEMPLATES)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
