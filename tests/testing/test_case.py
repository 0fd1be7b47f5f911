from __future__ import annotations

from pathlib import Path

import pytest

from rotators.local.aws import LocalAws
from rotators.testing._case import STEPS, Kit
from rotators.testing._targets.postgres import PostgresTarget
from tests.testing.faulty import Sound
from tests.world import small_server


def test_a_rotation_begins_with_the_given_steps(aws: LocalAws, target: PostgresTarget) -> None:
    with Kit(aws, target, strategy="single") as kit, kit.case() as case:
        for done in range(len(STEPS)):
            kit.recorder.begin()
            token = case.begin(*STEPS[:done])
            assert {operation.step for operation in kit.recorder.operations} == set(STEPS[:done])
            assert case.stages()[token] == ["AWSPENDING"]


class Declaring(Sound):
    credential_members = ("password", "pin")


def test_short_declared_credentials_are_searched_for(aws: LocalAws, target: PostgresTarget) -> None:
    value = {**target.create(), "pin": "~7z", "unit": "kB"}
    with Kit(aws, target, rotator=Declaring()) as kit, kit.case(value=value) as case:
        assert case.sensitive() & {"~7z", "kB"} == {"~7z"}


def test_a_missing_server_skips_its_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("VALKEY_BIN", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="valkey-server"):
        small_server("valkey")
