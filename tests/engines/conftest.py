"""The kit for every engine with a target. To test a new engine, add a target for it."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from functools import cache, wraps
from importlib import import_module
from typing import Any

import pytest

from rotators.core.registry import load
from rotators.local.aws import LocalAws
from rotators.local.servers.private import PrivateServer
from rotators.strategies.engine import Engine
from rotators.strategies.rotator import engine_of
from rotators.testing import Kind, Target, _targets
from rotators.testing._case import STEPS, Case, Kit
from tests.world import remembered, small_server, started

LOUD = {"postgres": "server", "mariadb": "maria", "redis": "redis_server", "ldap": "ldap_server"}
"""Engines with the fixture of a server that logs everything, if the fixture has another name."""


FIXTURES = {"single": "single", "helped": "single", "alternating": "alternating", "dual": "dual"}
"""Fixtures below that return a kit, with their strategies."""


def begun(case: Case) -> str:
    """The token of a rotation after its createSecret."""
    token = case.begin()
    case.step(STEPS[0], token)
    return token


def store(case: Case, value: dict[str, Any]) -> None:
    """Store a value as AWSCURRENT, as anyone with write access to the secret can."""
    case.put(value, str(uuid.uuid4()), "AWSCURRENT")


def require_admins(kit: Kit) -> None:
    """Skip the test on a target without admins."""
    if not kit.target.administered:
        pytest.skip("only AWS changes the credentials of this target")


def logins(kit: Kit) -> int:
    """The logins since the last ``kit.recorder.begin()``."""
    return sum(operation.kind is Kind.CONNECT for operation in kit.recorder.operations)


@cache
def declared(engine: str) -> Engine:
    """The declarations of an engine."""
    found = engine_of(load(engine))
    assert found is not None
    return found


OF_THE_SERVICE = {"test_failing_api_calls", "test_a_read_that_lags", "test_a_value_put_by_hand"}
"""Tests of the kit that disturb Secrets Manager, not the target: they run on one engine for each strategy."""

CRASHING = {"mariadb", "postgres"}
"""Engines whose clones are stopped at many places here. The gate's matrix stops rotations of every engine."""

FIRST_ENGINE = {"single": "postgres", "alternating": "postgres", "dual": "redis"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test on each engine; a test with a strategy runs on the engines that declare it."""
    if "strategy" in metafunc.fixturenames:
        pairs = [(engine, each.name) for engine in _targets.names() for each in declared(engine).strategies]
        metafunc.parametrize(("engine", "strategy"), pairs, scope="module")
    elif "engine" in metafunc.fixturenames:
        engines = [engine for engine in _targets.names() if _fits(engine, metafunc)]
        if metafunc.function.__name__ in OF_THE_SERVICE:
            engines = [engine for engine in engines if engine == FIRST_ENGINE[metafunc.cls.strategy]]
        if metafunc.function.__name__ == "test_no_crash_loses_a_credential":
            engines = sorted(CRASHING)
        metafunc.parametrize("engine", engines, scope="module")


def _fits(engine: str, metafunc: pytest.Metafunc) -> bool:
    """Return True if an engine has the strategy of a test, without an admin if the test has none."""
    wanted, with_admin = getattr(metafunc.cls, "strategy", None), getattr(metafunc.cls, "with_admin", True)
    for fixture, strategy in FIXTURES.items():
        if fixture in metafunc.fixturenames:
            wanted, with_admin = strategy, fixture != "single"
    needs_admin = {each.name: each.needs_admin for each in declared(engine).strategies}
    return wanted is None or (wanted in needs_admin and (with_admin or not needs_admin[wanted]))


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest, engine: str) -> PrivateServer:
    """A server of the engine; if it logs everything, its logs are searched for passwords."""
    server: PrivateServer
    try:
        server = request.getfixturevalue(LOUD.get(engine, engine))
    except pytest.FixtureLookupError:
        server = started(small_server(engine))
        request.addfinalizer(server.stop)  # noqa: PT021 - only if it was started here
    return server


@pytest.fixture(scope="module")
def target(aws: LocalAws, engine: str, running: PrivateServer) -> Iterator[Target]:
    """Users of the server."""
    users = _targets.target_on(engine, running)
    users.use(aws)
    for name in ("create", "create_named", "reset"):
        setattr(users, name, _remembering(getattr(users, name)))
    yield users
    users.close()


def _remembering(make: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    @wraps(make)
    def remembering(*args: Any, **named: Any) -> dict[str, Any]:
        value = make(*args, **named)
        remembered(value["password"])
        return value

    return remembering


@pytest.fixture
def facts(engine: str) -> Engine:
    """The declarations of the engine."""
    return declared(engine)


@pytest.fixture
def single(aws: LocalAws, target: Target) -> Iterator[Kit]:
    """Secrets with one user and no admin."""
    with Kit(aws, target, strategy="single") as kit:
        yield kit


@pytest.fixture
def helped(aws: LocalAws, target: Target) -> Iterator[Kit]:
    """Secrets with one user and an admin."""
    with Kit(aws, target, strategy="single", with_admin=True) as kit:
        yield kit


@pytest.fixture
def alternating(aws: LocalAws, target: Target) -> Iterator[Kit]:
    """Secrets with two users and an admin."""
    with Kit(aws, target, strategy="alternating", with_admin=True) as kit:
        yield kit


@pytest.fixture
def dual(aws: LocalAws, target: Target) -> Iterator[Kit]:
    """Secrets with one user, two passwords and an admin."""
    with Kit(aws, target, strategy="dual", with_admin=True) as kit:
        yield kit


@pytest.fixture
def any_strategy(aws: LocalAws, target: Target, strategy: str) -> Iterator[Kit]:
    """Secrets with an admin; the test runs with each strategy of the engine."""
    with Kit(aws, target, strategy=strategy, with_admin=True) as kit:
        yield kit


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, facts: Engine) -> None:
    """Shorter deadlines of the product. Tests of the engine's logins use the real deadlines."""
    del facts  # imports the engine
    import_module("rotators.logins.channel")  # which an engine's login imports with its driver
    for name, module in list(sys.modules.items()):
        if name.startswith(("rotators.engines.", "rotators.logins.channel")):
            for limit, seconds in (("SESSION_SECONDS", 2.5), ("CONNECT_SECONDS", 2.5)):
                if limit in vars(module):
                    monkeypatch.setattr(module, limit, seconds)
