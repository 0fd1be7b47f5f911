"""The page about all secrets."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rotators.aws import clients
from rotators.aws.failures import FailedStep, LoggedStep, log_group
from rotators.aws.secrets import Version
from rotators.aws.views import FailedRotation
from rotators.manage.details import MOST_REPLICATED, MOST_VERSIONS, Details, Replica, Timeline
from rotators.manage.failures import FailedRotations
from rotators.manage.inventory import Entry
from rotators.manage.page import html
from rotators.manage.report import collect
from tests.manage.conftest import Fleet, run
from tests.manage.pages import answer
from tests.world import new_password, unique

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


def page_of(
    secrets: Sequence[Entry], details: Details | None = None, failures: FailedRotations | None = None
) -> str:
    return html(collect(secrets, failures, NOW), details or Details())


def failing(secret: Entry, message: str = "no route") -> FailedRotations:
    """The failed rotation of a secret."""
    return FailedRotations({secret.arn: FailedRotation("RotationFailed", NOW, message)})


def step(name: str, end: float, seconds: float, message: str = "") -> LoggedStep:
    """A step that ended some seconds after NOW; failed if there is a message."""
    failure = FailedStep("s", "t", name, "secret-format", message, retryable=False) if message else None
    return LoggedStep(name, NOW + dt.timedelta(seconds=end), name, seconds, failure)


def section(page: str, name: str) -> str:
    """A section of the page, without tags."""
    found = re.search(rf'<section aria-labelledby="{name}">(.*?)</section>', page, re.DOTALL)
    assert found
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[1])))


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
    others = entry("other"), entry("third")
    details = Details(
        [Timeline(secret, [step(HOSTILE, 1, 1, HOSTILE)]), Timeline(others[0], [step(HOSTILE, 1, 1)])],
        [(secret, [Version(HOSTILE, (HOSTILE,), NOW, keys=(HOSTILE,))])],
        [(secret, [Replica(HOSTILE, HOSTILE, HOSTILE, HOSTILE)])],
    )
    page = page_of([secret, *others], details, failing(secret, HOSTILE))
    found = Tags(page)
    assert "script" not in found.names
    assert {each for each in found.active if not each.startswith("href=#")} == set()
    assert r"&lt;script&gt;alert(1)&lt;/script&gt;\x1b[31m\u202e" in page
    assert not set(page) & {"\x1b", "\u202e"}


def test_the_most_urgent_secrets_come_first() -> None:
    overdue = entry("overdue", RotationEnabled=True, NextRotationDate=NOW - dt.timedelta(days=1))
    secrets = [entry("calm"), overdue, entry("failed"), entry("gone", DeletedDate=NOW)]
    page = page_of(secrets, failures=failing(secrets[2]))
    order = [page.index(f'<tr><th scope="row">{name}<') for name in ("failed", "overdue", "gone", "calm")]
    assert order == sorted(order)
    assert "RotationFailed: no route" in page
    assert f"rotators doctor {secrets[2].id}" in page


def test_charts_count_the_secrets() -> None:
    due = NOW + dt.timedelta(days=3)
    secrets = [entry(f"s{number}", RotationEnabled=True, NextRotationDate=due) for number in range(4)]
    page = page_of(secrets)
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
    page = page_of(secrets)
    rows = {
        found[1]: found[2].split("<td>")[-3:]
        for found in re.finditer(r'^<tr><th scope="row">(one|two|three)<td(.*)$', page, re.MULTILINE)
    }
    assert rows == {
        "one": ["3: AWSPENDING, mine", "2", "primary"],
        "two": ["1", "1", "of us-east-1"],
        "three": ["1", "1", "-"],
    }
    assert "alias/shop key 2 1" in section(page, "keys")


def test_ten_thousand_secrets_fit_into_two_megabytes() -> None:
    """All of them failed, and as many details as are read."""
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
    failures = FailedRotations({each.arn: FailedRotation("RotationFailed", NOW, long) for each in secrets})
    steps = [step("setSecret", number, 1, long * 3) for number in range(12)]
    versions = [Version(f"{long}{number}", ("AWSCURRENT",), NOW, keys=(long,)) for number in range(3)]
    details = Details(
        [Timeline(each, steps) for each in secrets[:24]],
        [(each, versions) for each in secrets[:MOST_VERSIONS]],
        [(each, [Replica("eu-west-1", "InSync", long, long)] * 3) for each in secrets[:MOST_REPLICATED]],
    )
    assert len(page_of(secrets, details, failures).encode()) < 2_000_000


def test_a_failure_has_its_cause_and_next_action() -> None:
    secret = entry("app", RotationEnabled=True)
    message = "[secret-format] no host. Next: Put a value."
    details = Details([Timeline(secret, [step("createSecret", 1, 1), step("setSecret", 3, 1, message)])])
    shown = section(page_of([secret], details, failing(secret)), "failures")
    assert "setSecret: [secret-format] no host." in shown
    assert f"Put a value. Details: rotators doctor {secret.id}" in shown


def test_a_failure_without_a_log_is_shown() -> None:
    secret = entry("app", RotationEnabled=True)
    shown = section(page_of([secret], failures=failing(secret)), "failures")
    assert f"RotationFailed: no route rotators doctor {secret.id}" in shown


def test_times_are_shown_in_utc() -> None:
    secret = entry("app", RotationEnabled=True)
    there = NOW.astimezone(dt.timezone(dt.timedelta(hours=5)))
    failures = FailedRotations({secret.arn: FailedRotation("RotationFailed", there, "no route")})
    assert "2026-11-26 12:00 RotationFailed" in section(page_of([secret], failures=failures), "failures")


@pytest.mark.parametrize(
    ("last", "message", "state"),
    [("finishSecret", "", "ended"), ("setSecret", "", "last step"), ("setSecret", "no route", "failed")],
)
def test_a_rotation_reports_its_state(last: str, message: str, state: str) -> None:
    timeline = Timeline(entry("app"), [step("createSecret", 1, 1), step(last, 2, 1, message)])
    shown = section(page_of([entry("app")], Details([timeline])), "rotations")
    assert f"app {state} 2026-11-26 12:00 , after 2.00 s" in shown


def test_a_repeated_step_that_succeeded_has_not_failed() -> None:
    timeline = Timeline(entry("app"), [step("createSecret", 1, 1, "no"), step("createSecret", 3, 1)])
    assert Details([timeline]).failed_step(entry("app")) is None


def test_steps_are_drawn_to_scale() -> None:
    secret = entry("app")
    details = Details([Timeline(secret, [step("createSecret", 1, 1), step("setSecret", 4, 2)])])
    page = page_of([secret], details)
    drawn = re.findall(r'aria-label="(from [^"]*)".*?<rect x="([^"]*)" width="([^"]*)"', page)
    assert drawn == [("from 0 ms to 1.00 s", "0.0", "250.0"), ("from 2.00 s to 4.00 s", "500.0", "500.0")]
    assert "createSecret 1.00 s setSecret 2.00 s" in section(page, "rotations")


def test_replicas_show_their_region_and_state() -> None:
    """Secrets with a problem are red, with a description of it."""
    secret = entry("app", PrimaryRegion="eu-west-1")
    replicas = [
        Replica("us-east-1", "InSync", "Replication succeeded", "alias/a"),
        Replica("us-east-2", "Failed", "Secret with this name already exists", None),
    ]
    shown = section(page_of([secret], Details(replicas=[(secret, replicas)])), "replicas")
    assert "us-east-1 InSync alias/a us-east-2 Failed: Secret with this name already exists -" in shown


def test_a_secret_without_versions_is_shown() -> None:
    page = page_of([entry("app")], Details(versions=[(entry("app"), [])]))
    assert "app none - - -" in section(page, "versions")


def test_old_versions_are_counted_and_not_shown() -> None:
    versions = [Version("current", ("AWSCURRENT",), NOW, keys=("DefaultEncryptionKey",))]
    versions += [Version(f"old-{number}", (), None) for number in range(5)]
    shown = section(page_of([entry("app")], Details(versions=[(entry("app"), versions)])), "versions")
    assert "current AWSCURRENT < 1 h key 1 old-0 none - -" in shown
    assert "old-2 none (2 more without a stage)" in shown
    assert "old-3" not in shown


@pytest.mark.parametrize(
    ("part", "said", "following"),
    [
        ("attention", "Nothing needs attention.", "rotators policy check"),
        ("failures", "No rotation failed", "rotators check"),
        ("due", "No rotation is due", "rotators schedule"),
        ("rotations", "No rotation is logged.", "rotators schedule"),
        ("replicas", "No secret of this Region has replicas.", "rotators replicate"),
    ],
)
def test_an_empty_section_names_the_next_action(part: str, said: str, following: str) -> None:
    shown = section(page_of([entry("app")], failures=FailedRotations({})), part)
    assert said in shown
    assert f"Next: {following}" in shown


def test_unread_logs_are_not_empty_logs() -> None:
    details = Details(unread=Counter({"logs:FilterLogEvents": 2}))
    shown = section(page_of([entry("app")], details), "rotations")
    assert "Logs of 2 secrets could not be read. Next: allow logs:FilterLogEvents" in shown
    assert "No rotation is logged" not in shown


def test_an_empty_account_has_a_page() -> None:
    page = page_of([], failures=FailedRotations({}))
    assert "<b>0</b>secrets" in page
    assert "Next: store one with <code>aws secretsmanager create-secret</code>" in page
    assert "<section" not in page


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


def written(fleet: Fleet, path: Path) -> str:
    """The page about the secrets of a group."""
    assert run("report", "--name", fleet.prefix, "-o", str(path)).exit_code == 0
    return path.read_text(encoding="utf-8")


def replicated(fleet: Fleet) -> tuple[str, str]:
    """Create a replicated secret with two versions, and return their ids, the newer one first."""
    name = fleet.add("app", AddReplicaRegions=[{"Region": "eu-west-1"}, {"Region": "eu-west-3"}])
    newer = fleet.secrets.put_secret_value(SecretId=name, SecretString="2")["VersionId"]
    stages = fleet.secrets.describe_secret(SecretId=name)["VersionIdsToStages"]
    return newer, next(each for each in stages if each != newer)


def test_a_page_can_be_piped(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = fleet.add("one")
    page = run("report", name, "-o", "-").stdout
    assert page.lower().startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert json.loads(run("export", name, "-o", "-").stdout) == {name: "value"}
    assert not list(tmp_path.iterdir())


def test_versions_and_replicas_are_read(fleet: Fleet, tmp_path: Path) -> None:
    newer, older = replicated(fleet)
    page = written(fleet, tmp_path / "secrets.html")
    shown = section(page, "versions")
    assert f"{newer[:8]} AWSCURRENT < 1 h key 1 {older[:8]} AWSPREVIOUS < 1 h key 1" in shown
    assert newer not in page
    assert re.search(r"eu-west-1 In\w+.* eu-west-3 In\w+", section(page, "replicas"))


def test_further_secrets_keep_their_versions_unread(fleet: Fleet, tmp_path: Path) -> None:
    for number in range(MOST_VERSIONS + 1):
        fleet.add(f"{number:02}")
    shown = section(written(fleet, tmp_path / "secrets.html"), "versions")
    assert shown.count("AWSCURRENT") == MOST_VERSIONS
    assert f"Versions of {MOST_VERSIONS} secrets are shown. Next: rotators show SECRET" in shown


@pytest.fixture
def viewer(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Secrets may be listed, and no more."""
    allowed = ["secretsmanager:ListSecrets", "secretsmanager:PutSecretValue", "secretsmanager:CreateSecret"]
    fleet.aws.watch({"viewer": [{"Effect": "Allow", "Action": allowed, "Resource": "*"}]})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local-viewer")
    clients._client.cache_clear()  # a client keeps its credentials
    yield
    clients._client.cache_clear()
    fleet.aws.watch(None)


@pytest.mark.usefixtures("viewer")
def test_unreadable_parts_are_named(fleet: Fleet, tmp_path: Path) -> None:
    newer, _ = replicated(fleet)
    page = written(fleet, tmp_path / "secrets.html")
    assert "Next: allow cloudtrail:LookupEvents" in section(page, "failures")
    shown = section(page, "versions")
    assert f"{newer[:8]} AWSCURRENT - -" in shown
    assert "versions of 1 secret could not be read. Next: allow secretsmanager:ListSecretVersionIds" in shown
    shown = section(page, "replicas")
    assert "app unknown" in shown
    assert "Next: allow secretsmanager:DescribeSecret" in shown


def test_logs_without_an_answer_are_asked_for_once(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each further question would take a minute."""
    for number in range(3):
        fleet.aws.enable_rotation(fleet.add(str(number)))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    asked: list[object] = []

    def unavailable(request: object, **_: object) -> object:
        asked.append(request)
        return answer(503, {"__type": "ServiceUnavailableException"})

    events = clients.logs().meta.events
    events.register_first("before-send.logs.FilterLogEvents", unavailable)
    page = written(fleet, tmp_path / "secrets.html")
    events.unregister("before-send.logs.FilterLogEvents", unavailable)
    assert len(asked) == 1
    assert "Logs of 3 secrets could not be read" in section(page, "rotations")


def test_steps_are_looked_for_since_the_version(fleet: Fleet, tmp_path: Path) -> None:
    """A log group has the rotations of all secrets: reading all of it would take minutes."""
    name = fleet.add("rotating")
    fleet.aws.enable_rotation(name)
    (token,) = fleet.secrets.describe_secret(SecretId=name)["VersionIdsToStages"]
    function = fleet.secrets.describe_secret(SecretId=name)["RotationLambdaARN"]
    group, stream = {"logGroupName": log_group(function)}, {"logStreamName": unique("stream")}
    logs, now = fleet.aws.client("logs"), time.time()
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(**group)
    logs.create_log_stream(**group, **stream)
    lines = [
        {
            "timestamp": int((now - days * 86400) * 1000),
            "message": json.dumps({"token": token, "step": step, "outcome": "succeeded"}),
        }
        for days, step in ((3, "createSecret"), (0.5, "setSecret"), (0, "finishSecret"))
    ]
    logs.put_log_events(**group, **stream, logEvents=lines)
    shown = section(written(fleet, tmp_path / "secrets.html"), "rotations")
    assert "setSecret" in shown
    assert "finishSecret" in shown
    assert "createSecret" not in shown


@pytest.mark.processes
def test_the_report_shows_steps_of_rotations(fleet: Fleet, tmp_path: Path) -> None:
    """A rotation that fails: its steps and its error are in the page."""
    name = fleet.add("broken", {"engine": "postgres"})
    fleet.aws.enable_rotation(name)
    run("rotate", name, "--timeout", "30")
    path = tmp_path / "secrets.html"
    run("report", name, "-o", str(path))
    page = path.read_text(encoding="utf-8")
    assert "createSecret: [secret-format]" in section(page, "failures")
    assert "failed: secret-format" in section(page, "rotations")
