"""The world of the tests: started once per process, and searched for passwords at the end."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import settings

from rotators.core.errors import ServerNotFound
from rotators.core.passwords import PasswordPolicy
from rotators.local.aws import LocalAws
from rotators.local.servers.mariadb import MariaDbServer
from rotators.local.servers.mysql import MySqlServer
from rotators.local.servers.postgres import PostgresServer
from tests.clear_text import ClearText, record, record_mariadb, record_postgres, remember_stored
from tests.pgbouncer import PgBouncer
from tests.world import World, remembered, started

LOUD = {
    "log_statement": "all",
    "log_connections": "on",
    "log_min_duration_statement": "0",
    "log_min_error_statement": "info",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "all",
    "pg_stat_statements.track_utility": "on",
    "listen_addresses": "127.0.0.1,127.0.0.2",
}
"""A server that records all it can."""


# A deadline would make a busy machine fail tests.
settings.register_profile("rotators", deadline=None, max_examples=50)
settings.load_profile("rotators")


def pytest_configure(config: pytest.Config) -> None:
    """Search for passwords at the end, in every process."""
    config.pluginmanager.register(ClearText(), "clear-text")


_SERVERS = {"aws", "server", "clear_server", "pooler", "maria", "clear_maria", "mysql", "redis_server"}
"""Fixtures that start something."""


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need no server, and begin with the longest, so that all processes end together."""
    for item in items:
        needed = getattr(item, "fixturenames", ())
        if _SERVERS.isdisjoint(needed) and item.get_closest_marker("processes") is None:
            item.add_marker("unit")
    items.sort(key=_rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than processors, because tests wait for servers too."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long each lane took, added up over the processes."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                lane = next((name for name in ("unit", "processes") if name in report.keywords), "servers")
                seconds[lane] += round(report.duration * 1000)
    for lane, spent in seconds.most_common():
        terminalreporter.write_line(f"{spent / 1000:8.1f} s of tests: {lane}")


def _rank(item: pytest.Item) -> int:
    """Processes, the suites of the kit (which are classes), servers, and the rest."""
    if item.get_closest_marker("processes"):
        return 0
    if item.get_closest_marker("unit"):
        return 3
    return 1 if isinstance(item, pytest.Function) and item.cls else 2


@pytest.fixture(scope="session", autouse=True)
def generated_passwords() -> Iterator[None]:
    """Remember every password that is generated in this process."""
    with pytest.MonkeyPatch.context() as patch:
        generate = PasswordPolicy.generate
        patch.setattr(PasswordPolicy, "generate", lambda *args, **named: remembered(generate(*args, **named)))
        yield


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    """The local AWS; the process's environment points at it for the whole run."""
    with pytest.MonkeyPatch.context() as patch, LocalAws() as running:
        for name, value in running.exports().items():
            patch.setenv(name, value)
        yield running
        remember_stored(running)


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A private PostgreSQL that logs everything."""
    running = started(PostgresServer(settings=LOUD))
    running.execute("CREATE EXTENSION pg_stat_statements")
    yield running
    record_postgres(running)
    running.stop()


@pytest.fixture(scope="session")
def clear_server() -> Iterator[PostgresServer]:
    """A private PostgreSQL without TLS, where two users are not asked for a hashed password."""
    hba = [
        "host all trusted 127.0.0.1/32 trust",
        "host all asked_in_clear 127.0.0.1/32 password",
        "host all all 127.0.0.1/32 scram-sha-256",
    ]
    running = started(PostgresServer(settings={"ssl": "off"}, hba=hba))
    yield running
    record("the log of the server without TLS", running.log())
    running.stop()


@pytest.fixture(scope="session")
def pooler(server: PostgresServer) -> Iterator[PgBouncer]:
    """A private PgBouncer in front of the server that logs everything."""
    running = started(PgBouncer(server))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def maria() -> Iterator[MariaDbServer]:
    """A private MariaDB that logs everything."""
    settings = {
        "general-log": "1",
        "general-log-file": "general.log",
        "log-warnings": "9",
        "bind-address": "127.0.0.1,127.0.0.2",
        "performance-schema": "1",
        "performance-schema-consumer-events-statements-current": "ON",
        "performance-schema-consumer-events-statements-history-long": "ON",
    }
    running = started(MariaDbServer(settings=settings))
    yield running
    record_mariadb(running)
    running.stop()


@pytest.fixture(scope="session")
def clear_maria() -> Iterator[MariaDbServer]:
    """A private MariaDB without TLS."""
    running = started(MariaDbServer(tls=False, settings={"ssl": "0"}))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def mysql() -> Iterator[MySqlServer]:
    """A private MySQL that logs everything, where there is one; a missing one skips in CI too."""
    running = MySqlServer(settings={"general-log": "1", "general-log-file": "general.log"})
    try:
        running.start()
    except ServerNotFound as error:
        # Debian's releases have no package of it, so a gate that asked for it could not be run.
        pytest.skip(f"no MySQL here: {error}")
    yield running
    running.stop()


@pytest.fixture
def world(aws: LocalAws, server: PostgresServer) -> World:
    """The local AWS with the logging server."""
    return World(aws, server)


@pytest.fixture
def clear_world(aws: LocalAws, clear_server: PostgresServer) -> World:
    """The local AWS with the server without TLS."""
    return World(aws, clear_server)
