"""The operate function: every event file has the stated effect, and no answer or log contains a value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from functions import operate
from rotators.core.errors import InvalidEvent, SecretNotFound
from tests.world import World, unique

EVENTS = Path(__file__).parents[2] / "events"


def files(*, bad: bool) -> list[Any]:
    found = sorted(path for path in EVENTS.glob("operate-*.json") if ("-bad-" in path.name) == bad)
    assert found
    return [pytest.param(path, id=path.stem) for path in found]


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


@pytest.mark.parametrize("path", files(bad=False))
def test_an_event_is_answered_with_a_document(
    path: Path, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    value = world.user()
    arn = world.secret(value)
    answer = operate.handler({**read(path), "SecretId": arn})
    assert answer["arn"] == arn
    assert answer["state"] in {"healthy", "ready"}
    assert json.loads(json.dumps(answer)) == answer
    printed = json.dumps(answer) + capsys.readouterr().out
    assert value["password"] not in printed
    assert read(path)["Action"] in printed


@pytest.mark.parametrize("path", files(bad=True))
def test_a_bad_event_is_refused(path: Path) -> None:
    with pytest.raises(InvalidEvent):
        operate.handler(read(path))


@pytest.mark.parametrize("action", ["doctor", "repair", "check"])
def test_an_unknown_secret_is_named(world: World, action: str) -> None:
    del world
    name = unique("missing")
    with pytest.raises(SecretNotFound, match=name):
        operate.handler({"Action": action, "SecretId": name})
