"""Every file events/rotate-*.json: valid events rotate a real user, invalid ones change nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from functions import rotate
from rotators.core.errors import InvalidEvent, SecretNotFound
from tests.world import World

EVENTS = Path(__file__).parents[2] / "events"
BAD = {path.stem: path for path in sorted(EVENTS.glob("rotate-bad-*.json"))}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize("strategy", ["single", "alternating"])
def test_four_events_rotate_a_secret(world: World, strategy: str) -> None:
    paths = sorted(EVENTS.glob(f"rotate-{strategy}-*.json"))
    assert [path.stem.rsplit("-", 1)[1] for path in paths] == [
        "createSecret",
        "setSecret",
        "testSecret",
        "finishSecret",
    ]
    old = {**world.user(), "strategy": strategy}
    if strategy == "alternating":
        old["masterarn"] = world.admin_secret()
    arn = world.secret(old)
    token = read(paths[0])["ClientRequestToken"]
    world.aws.stage(arn, token)
    for path in paths:
        rotate.handler({**read(path), "SecretId": arn}, None)
    assert world.stages(arn)[token] >= {"AWSCURRENT"}
    assert world.value(arn)["password"] != old["password"]
    assert world.logs_in(world.value(arn))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_event_is_refused(world: World, name: str) -> None:
    with pytest.raises((InvalidEvent, SecretNotFound)) as caught:
        rotate.handler(read(BAD[name]), None)
    assert (type(caught.value) is SecretNotFound) is name.endswith("unknown-secret")


def test_there_are_bad_events_to_replay() -> None:
    assert len(BAD) >= 5
