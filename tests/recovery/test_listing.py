"""The calls with which doctor lists the versions of a secret."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from rotators.aws import clients
from rotators.cli import cli
from rotators.core.errors import AccessDenied
from tests.world import World, new_password


@pytest.fixture
def calls(world: World) -> Iterator[Counter[str]]:
    """The number of calls to Secrets Manager by operation."""
    del world  # the local AWS must run before the client is created
    counter: Counter[str] = Counter()

    def count(model: Any, **_: object) -> None:
        counter[model.name] += 1

    events = clients.secrets_manager().meta.events
    events.register("before-call.secrets-manager", count, unique_id="listing-count")
    yield counter
    events.unregister("before-call.secrets-manager", count, unique_id="listing-count")


def broken(world: World) -> str:
    """A secret whose current value is wrong, with a young pending version and one without a stage."""
    works = world.user()
    arn = world.secret(works)
    for _ in range(2):
        value = json.dumps({**works, "password": new_password()})
        world.secrets.put_secret_value(SecretId=arn, SecretString=value)
    token = world.begin(arn)
    world.put_pending(arn, token, works)
    return arn


def doctor(arn: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(CliRunner().invoke(cli, ["doctor", arn, "--json"]).stdout)
    return document


def test_doctor_describes_and_lists_once(world: World, calls: Counter[str]) -> None:
    arn = broken(world)
    calls.clear()
    assert len(doctor(arn)["versions"]) == 4
    assert calls["ListSecretVersionIds"] == 1
    assert calls["DescribeSecret"] == 1


def test_doctor_works_without_the_right_to_list(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = broken(world)

    def denied(*_: object) -> None:
        raise AccessDenied("no right")

    monkeypatch.setattr("rotators.aws.views.list_versions", denied)
    versions = doctor(arn)["versions"]
    assert {stage for each in versions for stage in each["stages"]} == {
        "AWSCURRENT",
        "AWSPENDING",
        "AWSPREVIOUS",
    }
