"""The first screen of the report as a widget of a CloudWatch dashboard."""

from __future__ import annotations

import datetime as dt
import json
import re

from rotators.aws.views import FailedRotation
from rotators.core.errors import AccessDenied
from rotators.manage.details import Details
from rotators.manage.failures import FailedRotations
from rotators.manage.page import html
from rotators.manage.report import InventoryReport, collect
from rotators.manage.widget import notice, shown
from tests.manage.test_report import HOSTILE, NOW, Tags, entry

LAMBDAS_LARGEST_ANSWER = 6_291_556
"""Bytes (LG: gettingstarted-limits; boto3 names this number in its error)."""

LONGEST_SHOWN = "\U000e0001"
"""An invisible character: shown as ten, more than any other."""

REMOVED_BY_CLOUDWATCH = {"script", "iframe", "use"}
"""CloudWatch User Guide, add_custom_widget_dashboard_security."""


def fleet(secrets: int, message: str) -> InventoryReport:
    """Secrets whose last rotations failed with a message."""
    entries = [
        entry(
            f"{'department/' * 40}database-{number:05}",
            RotationEnabled=True,
            NextRotationDate=NOW + dt.timedelta(days=number % 40),
        )
        for number in range(secrets)
    ]
    failure = FailedRotation("RotationFailed", NOW, message)
    return collect(entries, FailedRotations({each.arn: failure for each in entries}), NOW)


def test_the_widget_is_the_reports_collect() -> None:
    secrets = [entry("calm"), entry("overdue", RotationEnabled=True, NextRotationDate=NOW - dt.timedelta(1))]
    failures = FailedRotations({secrets[0].arn: FailedRotation("RotationFailed", NOW, "no route")})
    widget = shown(collect(secrets, failures, NOW), dark=False)
    screen = widget[widget.index('<ul class="tiles">') : widget.rindex("</section>")]
    assert screen in html(collect(secrets, failures, NOW), Details())
    doctor = f"rotators doctor {secrets[0].id}"
    for part in ("RotationFailed: no route", doctor, "Age of the values", "Rotations due"):
        assert part in screen


def test_texts_from_outside_are_never_markup() -> None:
    secret = entry(HOSTILE)
    failures = FailedRotations({secret.arn: FailedRotation("RotationFailed", NOW, HOSTILE)})
    for widget in (
        shown(collect([secret], failures, NOW), dark=True),
        notice(AccessDenied(HOSTILE), dark=True),
    ):
        found = Tags(widget)
        assert not found.names & REMOVED_BY_CLOUDWATCH
        assert not found.active
        assert r"&lt;script&gt;alert(1)&lt;/script&gt;\x1b[31m\u202e" in widget
        assert not set(widget) & {"\x1b", "\u202e"}


def test_many_long_failures_fit_into_an_answer() -> None:
    answer = shown(fleet(10_000, LONGEST_SHOWN * 2_000), dark=False)
    assert len(json.dumps(answer).encode()) < LAMBDAS_LARGEST_ANSWER
    assert "<b>10000</b>failed rotations" in answer.replace(' class="bad"', "")
    assert "9980 more" in answer
    assert "`rotators list` shows the others" in answer
    assert "The newest 200 of 10000" in answer


def test_its_style_stays_inside_the_widget() -> None:
    style = shown(fleet(1, "failed"), dark=False).partition("<style>")[2].partition("</style>")[0]
    selectors = [each for rule in re.findall(r"([^{}]+)\{", style) for each in rule.split(",")]
    assert selectors
    assert all(each.strip().startswith(".rotators-widget") for each in selectors)


def test_it_follows_the_theme_of_the_console() -> None:
    report = fleet(1, "failed")
    assert shown(report, dark=True).startswith('<div class="rotators-widget dark">')
    assert shown(report, dark=False).startswith('<div class="rotators-widget">')


def test_missing_secrets_are_reported() -> None:
    report = fleet(3, "failed")
    assert "Only 3 secrets are shown" not in shown(report, dark=False)
    incomplete = InventoryReport(
        NOW, report.region, report.account, report.rows, failures_known=False, complete=False
    )
    widget = shown(incomplete, dark=False)
    assert "Only 3 secrets are shown" in widget
    assert "cloudtrail:LookupEvents" in widget
    assert "?</b>failed rotations" in widget
