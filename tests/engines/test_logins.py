"""Each way in which a login can fail has its own code and remedy, on every engine."""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rotators.core.errors import CredentialsRejected, TargetUnavailable
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.local.servers import private
from rotators.local.servers.tls import Validity, issue
from rotators.logins.causes import CAUSES, CONNECT_SECONDS
from rotators.logins.connecting import SESSION_SECONDS
from rotators.strategies.engine import Engine, remedies_of
from rotators.testing import Target
from rotators.testing._case import STEPS, Kit
from rotators.testing._suite import failure
from tests.engines.conftest import begun
from tests.world import log_in, login_failure, started, unique

_, SET, TEST, _ = STEPS

ROOTS = {"postgres": "PGSSLROOTCERT", "mariadb": "MYSQL_SSL_CA", "mysql": "MYSQL_SSL_CA"}
"""Engines with the variable of the driver that names trusted roots, if there is one."""


@pytest.fixture(scope="module")
def user(target: Target) -> dict[str, Any]:
    return target.create()


def test_a_wrong_password_is_a_rejection(facts: Engine, target: Target, user: dict[str, Any]) -> None:
    error = login_failure(facts, target.wrong(user))
    assert isinstance(error, CredentialsRejected)
    assert "rejected the password" in str(error)


def test_a_login_with_an_unknown_user_is_rejected(
    facts: Engine, target: Target, user: dict[str, Any]
) -> None:
    unknown = {**user, "username": target.username(unique("nobody"))}
    assert isinstance(login_failure(facts, unknown), CredentialsRejected)


def test_errors_add_the_engines_own_remedy(facts: Engine, target: Target, user: dict[str, Any]) -> None:
    error = login_failure(facts, target.wrong(user))
    own = remedies_of(facts).get("password", "")
    assert error.remedy == f"{CAUSES['password'].remedy} {own}".strip()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"port": 1}, "target-unavailable/closed-port"),
        ({"host": "no-such-host.invalid"}, "target-unavailable/unknown-host"),
        ({"host": "host\u0000name"}, "secret-format"),
        ({"host": "x" * 300}, "target-unavailable/unknown-host"),
        ({"host": "127.0.0.2"}, "target-unavailable/tls-host"),
        ({"dbname": "no_such_database"}, "target-refused/database"),
        ({"sslrootcert": "no/such/file.pem"}, "target-unavailable/tls-no-ca"),
    ],
)
def test_each_cause_has_its_own_code(
    facts: Engine, user: dict[str, Any], change: dict[str, object], code: str
) -> None:
    if "dbname" in change and "dbname" not in facts.target_defaults:
        pytest.skip("an engine without databases")
    if "dbname" in change and "mongodb" in facts.names:
        pytest.skip("in another database there is another user, whose login is rejected")
    assert login_failure(facts, {**user, **change}).full_code == code


def test_a_certificate_of_an_unknown_authority(facts: Engine, user: dict[str, Any], tmp_path: Path) -> None:
    error = login_failure(facts, {**user, "sslrootcert": str(issue(tmp_path).ca)})
    assert error.full_code == "target-unavailable/tls-untrusted"
    assert "SSL_ROOT_CERT" in error.remedy


def test_trusted_roots_come_from_a_setting_or_variable(
    engine: str, facts: Engine, user: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's roots are the default. The setting takes precedence over the driver's variable."""
    roots, unnamed = user["sslrootcert"], {key: user[key] for key in user if key != "sslrootcert"}
    for name in ROOTS.values():
        monkeypatch.delenv(name, raising=False)
    assert login_failure(facts, unnamed).full_code == "target-unavailable/tls-untrusted"
    if engine in ROOTS:
        monkeypatch.setenv(ROOTS[engine], roots)
        log_in(facts, unnamed)
    error = login_failure(facts, unnamed, ssl_root_cert="no/such/file.pem")
    assert error.full_code == "target-unavailable/tls-no-ca"
    log_in(facts, unnamed, ssl_root_cert=roots)


@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "empty"])
def test_trusted_roots_must_be_a_regular_file(
    facts: Engine, user: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "roots"
    {"fifo": os.mkfifo, "directory": os.mkdir}.get(kind, Path.touch)(path)
    roots = "/dev/zero" if kind == "device" else str(path)
    assert login_failure(facts, {**user, "sslrootcert": roots}).full_code == "target-unavailable/tls-no-ca"


@pytest.mark.processes
@pytest.mark.parametrize(
    ("validity", "code", "advice"),
    [
        (Validity(timedelta(days=-30), timedelta(days=-1)), "tls-expired", "Renew"),
        (Validity(timedelta(days=1), timedelta(days=30)), "tls-not-yet-valid", "clock"),
    ],
)
def test_certificates_outside_their_validity_have_separate_errors(
    facts: Engine,
    running: private.PrivateServer,
    user: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    validity: Validity,
    code: str,
    advice: str,
) -> None:
    monkeypatch.setattr(private, "issue", partial(issue, validity=validity))
    with started(type(running)()) as server:
        there = server.secret(user["username"], user["password"])
        error = login_failure(facts, {**user, "ssl": True, **there})
    assert error.full_code == f"target-unavailable/{code}"
    assert advice in error.remedy


@pytest.mark.usefixtures("impatient")
def test_a_silent_server_is_given_up(facts: Engine, user: dict[str, Any]) -> None:
    assert CONNECT_SECONDS < 6, "the limit of the product, which is shorter in this test"
    with socket.create_server(("127.0.0.1", 0)) as silent, given_limits() as limits:
        error = login_failure(facts, {**user, "port": silent.getsockname()[1]})
    assert error.full_code == "target-unavailable/timeout"
    assert error.retryable
    assert 0 < min(limits) < CONNECT_SECONDS


@contextmanager
def given_limits() -> Iterator[list[float]]:
    """Collect the time limits that the block gives to sockets."""
    limits: list[float] = []
    settimeout = socket.socket.settimeout

    def record(channel: socket.socket, seconds: float | None) -> None:
        limits.append(math.inf if seconds is None else seconds)
        settimeout(channel, seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "settimeout", record)
        yield limits


@contextmanager
def hanging_up() -> Iterator[tuple[int, list[object]]]:
    """Give the port of a server that closes every connection at once, and their clients' addresses."""
    clients: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):  # the end of the block
                while True:
                    channel, address = server.accept()
                    clients.append(address)
                    channel.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1], clients
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_timer_limits_each_session(facts: Engine, user: dict[str, Any]) -> None:
    """The timer closes the connection, so a statement without an answer ends."""
    others = set(threading.enumerate())
    with facts.login(Secret(user), Settings()):
        timers = [each for each in set(threading.enumerate()) - others if isinstance(each, threading.Timer)]
    assert 0 < min(timer.interval for timer in timers) <= SESSION_SECONDS


def test_an_unavailable_target_gets_one_login_per_step(any_strategy: Kit) -> None:
    with hanging_up() as (port, connections), any_strategy.case(port=port) as case:
        token = begun(case)
        for step in (SET, TEST):
            connections.clear()
            failure(TargetUnavailable, partial(case.step, step, token), f"{step} without a server")
            assert len(connections) == 1


def test_a_server_that_hangs_up_at_once(facts: Engine, user: dict[str, Any]) -> None:
    with hanging_up() as (port, _):
        error = login_failure(facts, {**user, "port": port})
    assert error.full_code == "target-unavailable/closed"
