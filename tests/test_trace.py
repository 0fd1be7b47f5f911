"""Traces a rotation, `connect`, `doctor` and `check` on a real PostgreSQL: calls go to lower modules only."""

from __future__ import annotations

import sys
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Self

import psycopg
import pytest
from click.testing import CliRunner

from rotators.cli import cli
from rotators.client import Credentials, SecretCache
from tests.test_imports import ARROWS, ROOT, module_name, part_of

if TYPE_CHECKING:
    from types import FrameType

    from tests.world import World

CONTRACTS = {("core", "aws"), ("core", "strategies"), ("strategies", "engines")}
"""Calls in the opposite direction of an import: a layer calls a contract that another one implements."""

MOST_HOPS = 9
MOST_MODULES = 14
VALUES = {"rotators.core.audit", "rotators.core.errors", "rotators.core.secret", "rotators.core.visible"}
"""Modules that define values and texts, which all layers use."""


DECLARATIONS = {"rotators.core.contracts", "rotators.strategies.engine"}
"""Modules of protocols, whose functions read optional declarations and nothing else."""


class Trace:
    """The modules that call each other between ``start`` and ``stop``.

    Attributes:
        calls: module to the modules that it called.
        chain: the longest chain of modules, beginning at the entry.
    """

    def __init__(self) -> None:
        self.calls: dict[str, set[str]] = defaultdict(set)
        self.chain: list[str] = []
        self._names: dict[str, str] = {}

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        """See sys.setprofile."""
        if event != "call" or not self._name(frame):
            return
        chain: list[str] = []
        below: FrameType | None = frame
        while below is not None:
            name = self._name(below)
            if name and (not chain or chain[-1] != name):
                chain.append(name)
            below = below.f_back
        if len(chain) > 1:
            self.calls[chain[1]].add(chain[0])
        if len(chain) > len(self.chain):
            self.chain = chain[::-1]

    def _name(self, frame: FrameType) -> str:
        """The module of a frame; empty for third-party modules and for modules that only tests use."""
        file = frame.f_code.co_filename
        if file not in self._names:
            name = ""
            if file.startswith((f"{ROOT}/rotators/", f"{ROOT}/functions/")):
                name = module_name(ROOT / file)
            self._names[file] = "" if part_of(name) in {"local", "testing"} else name
        return self._names[file]

    def __enter__(self) -> Self:
        self._before = sys.getprofile()
        sys.setprofile(self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self._before)

    def back_up(self) -> list[str]:
        """The modules of one cycle of calls; empty if there is none."""
        try:
            TopologicalSorter(self.calls).prepare()
        except CycleError as circle:
            return [str(module) for module in circle.args[1]]
        return []

    def with_logic(self) -> set[str]:
        """The modules that call others, without those of values, errors and declarations."""
        return {module for module, called in self.calls.items() if called - VALUES} - DECLARATIONS


@pytest.fixture
def trace(world: World) -> Trace:
    """The trace of the second rotation of a secret, when modules and clients are loaded."""
    arn, found = world.secret(world.user()), Trace()
    world.rotate(arn)
    token = world.begin(arn)
    with found:
        for step in ("createSecret", "setSecret", "testSecret", "finishSecret"):
            world.step(step, arn, token)
    return found


@pytest.fixture
def used(world: World) -> str:
    """The ARN of a secret that was rotated."""
    arn = world.secret(world.user())
    world.rotate(arn)
    return arn


def test_calls_of_a_rotation_only_go_down(trace: Trace) -> None:
    assert not trace.back_up()


@pytest.mark.parametrize("command", ["doctor", "check"])
def test_calls_of_a_command_only_go_down(used: str, command: str) -> None:
    CliRunner().invoke(cli, [command, "--help"])  # imports the command
    with Trace() as found:
        done = CliRunner().invoke(cli, [command, used, "--json"])
    assert "rotators.recovery.faults" in found.calls, done.output
    assert not found.back_up()


def test_calls_of_connect_only_go_down(world: World, used: str) -> None:
    credentials = Credentials(used, cache=SecretCache(client=world.secrets))
    credentials.connect(psycopg.connect).close()  # loads the engine
    with Trace() as found:
        credentials.connect(psycopg.connect).close()
    assert "rotators.client._flow" in found.calls
    assert not found.back_up()


def test_calls_between_layers_follow_imports_or_contracts(trace: Trace) -> None:
    layers = {(part_of(module), part_of(each)) for module, called in trace.calls.items() for each in called}
    up = {
        (caller, called)
        for caller, called in layers - CONTRACTS
        if caller != called and called not in ARROWS[caller]
    }
    assert not up


def test_a_rotation_has_nine_hops_at_most(trace: Trace) -> None:
    assert len(trace.chain) - 1 <= MOST_HOPS, " → ".join(trace.chain)


def test_a_rotation_enters_few_modules_with_logic(trace: Trace) -> None:
    assert len(trace.with_logic()) <= MOST_MODULES, sorted(trace.with_logic())


def test_a_call_back_up_is_found() -> None:
    found = Trace()
    found.calls |= {"a": {"b"}, "b": {"c"}, "c": {"a"}}
    assert set(found.back_up()) == {"a", "b", "c"}
