"""The page about all secrets."""

from __future__ import annotations

import datetime as dt
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rotators.aws.views import FailedRotation
from rotators.manage.failures import FailedRotations
from rotators.manage.inventory import Entry
from rotators.manage.report import collect, html
from tests.manage.conftest import Fleet, run
from tests.world import new_password

NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e'\"&"


def entry(name: str, **members: object) -> Entry:
    """An entry of the inventory, as ListSecrets describes a secret."""
    listed = {
        "ARN": f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-AbCdEf",
        "Name": name,
        "CreatedDate": NOW - dt.timedelta(days=10),
        "SecretVersionsToStages": {"a": ["AWSCURRENT"]},
    }
    return Entry.of({**listed, **members})


class Tags(HTMLParser):
    """Names of the elements of a page, and the values of their attributes that load or run something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.active: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.active |= {
            f"{key}={value}" for key, value in attrs if key.startswith("on") or key in {"src", "href"}
        }


def test_texts_from_outside_are_shown_as_they_are() -> None:
    secret = entry(HOSTILE, KmsKeyId=HOSTILE, OwningService=HOSTILE)
    failures = FailedRotations({secret.arn: FailedRotation("RotationFailed", NOW, HOSTILE)})
    page = html(collect([secret], failures, NOW))
    found = Tags(page)
    assert "script" not in found.names
    assert {each for each in found.active if not each.startswith("href=#")} == set()
    assert r"&lt;script&gt;alert(1)&lt;/script&gt;\x1b[31m\u202e" in page
    assert not set(page) & {"\x1b", "\u202e"}


def test_the_most_urgent_secrets_come_first() -> None:
    overdue = entry("overdue", RotationEnabled=True, NextRotationDate=NOW - dt.timedelta(days=1))
    secrets = [entry("calm"), overdue, entry("failed"), entry("gone", DeletedDate=NOW)]
    failures = FailedRotations({secrets[2].arn: FailedRotation("RotationFailed", NOW, "no route")})
    page = html(collect(secrets, failures, NOW))
    order = [page.index(f'<th scope="row">{name}<') for name in ("failed", "overdue", "gone", "calm")]
    assert order == sorted(order)
    assert "RotationFailed: no route" in page
    assert "rotators doctor failed" in page


def test_charts_count_the_secrets() -> None:
    due = NOW + dt.timedelta(days=3)
    secrets = [entry(f"s{number}", RotationEnabled=True, NextRotationDate=due) for number in range(4)]
    page = html(collect(secrets, None, NOW))
    assert "<title>value ≤ 30 days: 4</title>" in page
    assert "<title>2026-11-29: 4</title>" in page
    assert "Failed rotations are unknown" in page


def test_each_secret_has_its_details() -> None:
    stages = {"a": ["AWSCURRENT"], "b": ["AWSPREVIOUS"], "c": ["AWSPENDING", "mine"]}
    secrets = [
        entry("one", KmsKeyId="alias/shop", SecretVersionsToStages=stages, PrimaryRegion="eu-west-1"),
        entry("two", PrimaryRegion="us-east-1"),
        entry("three"),
    ]
    page = html(collect(secrets, None, NOW))
    rows = {
        found[1]: found[2].split("<td>")[-3:]
        for found in re.finditer(r'^<tr><th scope="row">(one|two|three)<td(.*)$', page, re.MULTILINE)
    }
    assert rows == {
        "one": ["3: AWSPENDING, mine", "2", "primary"],
        "two": ["1", "1", "of us-east-1"],
        "three": ["1", "1", "-"],
    }
    assert '<td>2</td><th scope="row"><code>alias/shop</code>' in page


def test_ten_thousand_secrets_fit_into_two_megabytes() -> None:
    long = "prod/some-department/some-service/database-"
    secrets = [
        entry(
            f"{long}{number:05}",
            RotationEnabled=True,
            NextRotationDate=NOW,
            LastAccessedDate=NOW,
            LastRotatedDate=NOW,
        )
        for number in range(10_000)
    ]
    assert len(html(collect(secrets, FailedRotations({}), NOW)).encode()) < 2_000_000


def test_an_empty_account_has_a_page() -> None:
    assert "<b>0</b>secrets" in html(collect([], FailedRotations({}), NOW))


def test_the_command_writes_a_page_without_values(fleet: Fleet, tmp_path: Path) -> None:
    password = new_password()
    name = fleet.add("app", {"engine": "postgres", "password": password})
    path = tmp_path / "secrets.html"
    result = run("report", "--name", fleet.prefix, "-o", str(path))
    assert result.exit_code == 0
    page = path.read_text(encoding="utf-8")
    assert name in page
    assert password not in page
    assert re.search(r"Next: open .*secrets\.html", result.output)


@pytest.mark.processes
def test_the_report_shows_steps_of_rotations(fleet: Fleet, tmp_path: Path) -> None:
    """A rotation that fails: its steps and its error are in the page."""
    name = fleet.add("broken", {"engine": "postgres"})
    fleet.aws.enable_rotation(name)
    run("rotate", name, "--timeout", "30")
    path = tmp_path / "secrets.html"
    run("report", name, "-o", str(path))
    page = path.read_text(encoding="utf-8")
    assert "RotationFailed" in page
    assert "secret-format" in page
