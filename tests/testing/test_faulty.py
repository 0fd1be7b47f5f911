"""Each seeded bug is found by its check, and no check fails for a correct rotator."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from rotators.local.aws import LocalAws
from rotators.testing._case import Kit
from rotators.testing._crash import CrashMatrix, Plan
from rotators.testing._hostile import RotatorContractV2
from rotators.testing._recorder import Kind
from rotators.testing._targets.postgres import PostgresTarget
from tests.testing.faulty import EXPECTED, Faulty, ResetsARightPassword, Sound, SoundWithAdmin

pytestmark = pytest.mark.usefixtures("impatient")

CONTRACT = sorted({check for check in EXPECTED.values() if check.startswith("test_")})

caught: dict[str, str] = {}


class Contract(RotatorContractV2):
    timeout = math.inf  # a busy machine prolongs each step


def kit_of(faulty: Faulty, aws: LocalAws, target: PostgresTarget) -> Kit:
    return Kit(aws, target, rotator=faulty(), strategy=faulty.strategy, with_admin=faulty.with_admin)


def fails(check: str, kit: Kit) -> str | None:
    """The error of a contract check for a kit's rotator; None if the check passes."""
    try:
        getattr(Contract(), check)(kit)
    except Exception as error:  # noqa: BLE001 - a check may fail by any error of the rotator
        return f"{type(error).__name__}: {error}"
    return None


def reaches(outcome: str, kit: Kit) -> bool:
    """True if a stop in the target's part of a rotation has this outcome."""
    matrix = CrashMatrix("faulty", kit)
    kinds = {Kind.STATEMENT, Kind.COMMIT}
    touching = {each.index for each in matrix.undisturbed(0).operations if each.kind in kinds}
    found = any(
        matrix.stop(point).outcome == outcome
        for point in matrix.points(Plan(starts=[0]))
        if point.operation.index in touching
        and point.operation.step == "setSecret"
        and point.container == "fresh"
    )
    matrix.close()
    return found


@pytest.mark.parametrize("faulty", EXPECTED, ids=lambda faulty: faulty.__name__)
def test_the_bug_is_caught(
    faulty: Faulty, aws: LocalAws, target: PostgresTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The last login of a step uses a random older value; the correct one would hide some bugs.
    monkeypatch.setattr("rotators.core.tries.secrets", SimpleNamespace(choice=lambda values: values[0]))
    expected = EXPECTED[faulty]
    with kit_of(faulty, aws, target) as kit:
        if expected.startswith("test_"):
            assert fails(expected, kit) is not None
        else:
            assert reaches(expected.removeprefix("crash matrix: "), kit)
    caught[faulty.__name__] = expected


@pytest.mark.parametrize("check", CONTRACT)
def test_a_sound_rotator_is_not_accused(check: str, aws: LocalAws, target: PostgresTarget) -> None:
    needs_admin = check == EXPECTED[ResetsARightPassword]
    with kit_of(SoundWithAdmin if needs_admin else Sound, aws, target) as kit:
        assert fails(check, kit) is None


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Prints each bug with the check that found it (shown with `pytest -rA` or `-s`)."""
    yield
    for bug, check in caught.items():
        print(f"{bug:<28} {check}")
