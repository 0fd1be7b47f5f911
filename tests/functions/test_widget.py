"""The widget function: what CloudWatch gets for each event, in time, and if secrets cannot be listed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from functions import widget
from rotators.aws import clients
from tests.manage.pages import Pages, throttling, unanswered
from tests.world import new_password, unique

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

    from rotators.local.aws import LocalAws

EVENTS = Path(__file__).parents[2] / "events"
RESERVE = 5_000
THROTTLED = "ThrottlingException"


def read(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


@dataclass(frozen=True)
class Invocation:
    """Lambda's context of an invocation.

    Attributes:
        over: returns True if its time is over.
    """

    over: Callable[[], bool]

    def get_remaining_time_in_millis(self) -> int:
        return RESERVE if self.over() else RESERVE + 60_000


def secrets_shown(answer: str) -> int:
    return int(answer.partition("<li><b>")[2].partition("</b>secrets")[0])


def test_the_consoles_event_is_answered(
    manager: SecretsManagerClient, capsys: pytest.CaptureFixture[str]
) -> None:
    name, password = unique("shown"), new_password()
    manager.create_secret(Name=name, SecretString=json.dumps({"password": password}))
    answer = widget.handler(read("widget-dashboard"))
    assert answer.startswith('<div class="rotators-widget dark">')
    assert secrets_shown(answer) == 1
    printed = capsys.readouterr().out
    assert '"outcome":"succeeded"' in printed
    assert password not in answer + printed


def test_describing_calls_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    answer = widget.handler(read("widget-describe"))
    assert answer.startswith("## ")
    assert "<" not in answer
    assert '"outcome":"described"' in capsys.readouterr().out


def test_a_bad_event_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert "[invalid-event]" in widget.handler(read("widget-bad-not-an-object"))
    assert '"outcome":"failed"' in capsys.readouterr().out


@pytest.mark.usefixtures("aws")
def test_ten_thousand_secrets_are_listed_in_full() -> None:
    with Pages(10_000).serving() as pages:
        answer = widget.handler({})
    assert (pages.served, secrets_shown(answer)) == (100, 10_000)
    assert "the time limit ended" not in answer


@pytest.mark.usefixtures("aws")
def test_it_answers_before_its_time_is_over() -> None:
    with Pages(1_000).serving() as pages:
        answer = widget.handler({}, Invocation(lambda: pages.served == 3))
    assert pages.served == 3
    assert "Only 200 secrets are shown, because the time limit ended" in answer
    assert "?</b>failed rotations" in answer


@pytest.mark.usefixtures("aws")
def test_look_ups_end_before_the_time_is_over() -> None:
    with Pages(100).serving() as pages:
        assert "0</b>failed rotations" in widget.handler({}, Invocation(lambda: False))
        assert "?</b>failed rotations" in widget.handler({}, Invocation(lambda: pages.looked_up == 6))


@pytest.mark.usefixtures("aws")
def test_look_ups_without_an_answer_leave_failures_unknown() -> None:
    with Pages(300).serving(), unanswered(clients.cloudtrail_lister(), "cloudtrail.LookupEvents") as sent:
        answer = widget.handler(read("widget-dashboard"), Invocation(sent.is_set))
    assert secrets_shown(answer) == 300
    assert "the time limit ended" not in answer
    assert "?</b>failed rotations" in answer


@pytest.mark.usefixtures("aws")
def test_a_page_without_an_answer_is_reported() -> None:
    client = clients.secrets_lister()
    with Pages(300).serving(), unanswered(client, "secretsmanager.ListSecrets", after=1) as sent:
        answer = widget.handler({}, Invocation(sent.is_set))
    assert "Only 100 secrets are shown, because the time limit ended" in answer
    assert "?</b>failed rotations" in answer


@pytest.mark.usefixtures("aws")
def test_no_answer_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with unanswered(clients.secrets_lister(), "secretsmanager.ListSecrets") as sent:
        answer = widget.handler(read("widget-dashboard"), Invocation(sent.is_set))
    assert "[service-unavailable/timeout] ListSecrets got no answer in time" in answer
    assert "There is no secret" not in answer
    assert '"outcome":"failed"' in capsys.readouterr().out


@pytest.mark.usefixtures("aws")
def test_a_throttled_page_is_asked_for_again() -> None:
    with Pages(300, {1: [THROTTLED]}).serving() as pages:
        answer = widget.handler({})
    assert (pages.served, secrets_shown(answer)) == (3, 300)


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("code", [THROTTLED, "InternalServiceError", "AccessDeniedException"])
def test_a_failed_page_is_not_an_incomplete_widget(
    code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with Pages(300, {2: [code]}).serving():
        answer = widget.handler(read("widget-dashboard"))
    assert f"after the first 200 failed with {code}" in answer
    assert "</b>secrets" not in answer
    assert '"outcome":"failed"' in capsys.readouterr().out


@pytest.mark.usefixtures("aws")
def test_throttled_look_ups_leave_failures_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with throttling(clients.cloudtrail_lister(), "cloudtrail.LookupEvents", 1), Pages(100).serving():
        answer = widget.handler({})
    assert secrets_shown(answer) == 100
    assert "<b>?</b>failed rotations" in answer


@contextmanager
def allowed(aws: LocalAws, *actions: str) -> Iterator[None]:
    """Act as a principal with these actions only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "local-widget")
        clients._client.cache_clear()
        aws.watch({"widget": [{"Sid": "Some", "Effect": "Allow", "Action": list(actions), "Resource": "*"}]})
        try:
            yield
        finally:
            aws.watch(None)
            clients._client.cache_clear()


def test_a_missing_permission_is_named(aws: LocalAws) -> None:
    with allowed(aws, "cloudtrail:LookupEvents"):
        answer = widget.handler({})
    assert "[access-denied" in answer
    assert "secretsmanager:ListSecrets" in answer


def test_failures_need_no_permission(aws: LocalAws, manager: SecretsManagerClient) -> None:
    manager.create_secret(Name=unique("alone"), SecretString="x")
    with allowed(aws, "secretsmanager:ListSecrets"):
        answer = widget.handler({})
    assert secrets_shown(answer) == 1
    assert "cloudtrail:LookupEvents" in answer
