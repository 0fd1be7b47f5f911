"""Rotation rules through the HTTP API, and the next date. UG:rotate-secrets_schedule, API:RotateSecret."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from rotators.local.aws import LocalAws
from rotators.local.secretsmanager.schedules import check_rules, next_rotation

WAIT = 300.0
Make = Callable[..., str]


@pytest.mark.parametrize(
    "rules",
    [
        {"AutomaticallyAfterDays": 30},
        {"ScheduleExpression": "rate(10 days)", "Duration": "3h"},
        {"ScheduleExpression": "cron(0 4 ? * MON#1 *)"},
    ],
)
def test_rules_are_stored_returned_and_switch_rotation_on(
    aws: LocalAws, secrets: Any, make: Make, rotate: Make, rules: dict[str, Any]
) -> None:
    """Moto 6: ScheduleExpression and Duration are dropped; RotationEnabled only with days."""
    arn = make()
    aws.wait_for_rotation(arn, rotate(arn, RotationRules=rules), WAIT)
    found = secrets.describe_secret(SecretId=arn)
    assert found["RotationEnabled"] is True
    assert found["RotationRules"] == rules
    assert found["NextRotationDate"] > dt.datetime.now(dt.UTC)


def test_only_a_call_with_rules_replaces_the_schedule(
    aws: LocalAws, secrets: Any, make: Make, rotate: Make
) -> None:
    """Moto 6: the schedule is lost."""
    arn = make()
    aws.wait_for_rotation(arn, rotate(arn, RotationRules={"ScheduleExpression": "rate(7 days)"}), WAIT)
    aws.wait_for_rotation(arn, rotate(arn), WAIT)
    assert secrets.describe_secret(SecretId=arn)["RotationRules"] == {"ScheduleExpression": "rate(7 days)"}
    token = secrets.rotate_secret(SecretId=arn, RotationRules={"AutomaticallyAfterDays": 5})["VersionId"]
    aws.wait_for_rotation(arn, token, WAIT)
    assert secrets.describe_secret(SecretId=arn)["RotationRules"] == {"AutomaticallyAfterDays": 5}


def test_list_secrets_shows_the_rotation_too(aws: LocalAws, secrets: Any, make: Make, rotate: Make) -> None:
    arn = make()
    token = rotate(arn, RotationRules={"ScheduleExpression": "rate(7 days)"})
    aws.wait_for_rotation(arn, token, WAIT)
    listed = secrets.list_secrets(Filters=[{"Key": "all", "Values": [arn.split(":")[-1][:-7]]}])["SecretList"]
    (found,) = [entry for entry in listed if entry["ARN"] == arn]
    assert found["RotationEnabled"] is True
    assert found["SecretVersionsToStages"][token] == ["AWSCURRENT"]


@pytest.mark.parametrize(
    "rules",
    [
        {"AutomaticallyAfterDays": 30, "ScheduleExpression": "rate(30 days)"},
        {"ScheduleExpression": "every month"},
        {"ScheduleExpression": "rate(3 hours)"},
        {"ScheduleExpression": "rate(1000 days)"},
        {"ScheduleExpression": "cron(5 4 * * ? *)"},
        {"ScheduleExpression": "cron(0 4 * * ? 2027)"},
        {"ScheduleExpression": "cron(0 4 * * * *)"},
        {"ScheduleExpression": "cron(0 24 * * ? *)"},
        {"ScheduleExpression": "cron(0 4 ? * NOD *)"},
        {"ScheduleExpression": "cron(0 4 ? * 0 *)"},
        {"ScheduleExpression": "cron(0 4 ? * 8 *)"},
        {"ScheduleExpression": "cron(0 4 31 2 ? *)"},
        {"AutomaticallyAfterDays": 30, "Duration": "90m"},
        {"AutomaticallyAfterDays": 30, "Duration": "25h"},
    ],
)
def test_rules_that_the_service_refuses_are_refused(
    aws: LocalAws, secrets: Any, make: Make, refused: Make, rules: dict[str, Any]
) -> None:
    """Either schedule or days, limits and cron's fixed fields; moto checks only the range of the days."""
    arn = make()
    answer = refused(
        secrets.rotate_secret,
        SecretId=arn,
        RotationLambdaARN=aws.function_arn("well"),
        RotationRules=rules,
    )
    assert answer.startswith("InvalidParameterException")
    assert "RotationEnabled" not in secrets.describe_secret(SecretId=arn)


NOW = dt.datetime(2026, 11, 23, 12, 30, tzinfo=dt.UTC)  # a Monday


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("rate(10 days)", "2026-12-03T23:59:59"),
        ("rate(4 hours)", "2026-11-23T16:59:59"),
        ("cron(0 13 * * ? *)", "2026-11-23T23:59:59"),
        ("cron(0 12 * * ? *)", "2026-11-24T23:59:59"),
        ("cron(0 0/6 * * ? *)", "2026-11-23T18:59:59"),
        ("cron(0 */8 * * ? *)", "2026-11-23T16:59:59"),
        ("cron(0 8 1,15 * ? *)", "2026-12-01T23:59:59"),
        ("cron(0 0 L * ? *)", "2026-11-30T23:59:59"),
        ("cron(0 16 ? * SUN *)", "2026-11-29T23:59:59"),
        ("cron(0 16 ? * 2-6 *)", "2026-11-23T23:59:59"),
        ("cron(0 0 ? 1 MON#1 *)", "2027-01-04T23:59:59"),
        ("cron(0 0 ? FEB 6L *)", "2027-02-26T23:59:59"),
        ("cron(0 0 29 2 ? *)", "2028-02-29T23:59:59"),
        ("cron(0 0 ? * 1 *)", "2026-11-29T23:59:59"),
        ("cron(0 0 ? * L *)", "2026-11-28T23:59:59"),
        ("cron(0 0 ? * TUE,L *)", "2026-11-24T23:59:59"),
        ("cron(0 0 ? * 4/2 *)", "2026-11-25T23:59:59"),
        ("cron(0 0 ? * 7/3 *)", "2026-11-28T23:59:59"),
    ],
)
def test_the_next_date_ends_a_window(expression: str, due: str) -> None:
    """API:DescribeSecret, NextRotationDate: the latest date; API:RotationRulesType: when windows end."""
    rules = {"ScheduleExpression": expression}
    check_rules(rules)
    assert next_rotation(rules, NOW, NOW) == dt.datetime.fromisoformat(due).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("rules", "due"),
    [
        ({"ScheduleExpression": "cron(0 16 1,15 * ? *)", "Duration": "2h"}, "2026-12-01T17:59:59"),
        ({"ScheduleExpression": "rate(10 days)", "Duration": "3h"}, "2026-12-03T02:59:59"),
        ({"AutomaticallyAfterDays": 30}, "2026-12-23T23:59:59"),
        ({"AutomaticallyAfterDays": 1000}, "2029-08-19T23:59:59"),
    ],
)
def test_a_duration_ends_the_window(rules: dict[str, Any], due: str) -> None:
    """API:DescribeSecret, the sample answer: 17:59:59 for a window of two hours from 16:00."""
    check_rules(rules)
    assert next_rotation(rules, NOW, NOW) == dt.datetime.fromisoformat(due).replace(tzinfo=dt.UTC)
