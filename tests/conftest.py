"""The environment of the tests: started once per process, and searched for passwords at the end."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections import Counter
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from rotators.core.passwords import PasswordPolicy
from rotators.local.aws import LocalAws
from rotators.local.servers.activedirectory import ActiveDirectoryServer
from rotators.local.servers.ldap import LdapServer
from rotators.local.servers.mariadb import MariaDbServer
from rotators.local.servers.mongodb import MongoServer
from rotators.local.servers.mysql import MySqlServer
from rotators.local.servers.postgres import PostgresServer
from rotators.local.servers.redis import RedisServer
from rotators.local.servers.redshift import RedshiftStandIn
from rotators.local.servers.valkey import ValkeyServer
from tests.clear_text import (
    ClearText,
    logged_redis,
    record,
    record_functions,
    record_ldap,
    record_mariadb,
    record_postgres,
    record_samba,
    take_stored,
)
from tests.pgbouncer import PgBouncer
from tests.shuffling import shuffled
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
"""Settings of a server that logs as much as possible."""


# With a deadline, tests would fail on a busy machine.
settings.register_profile("rotators", deadline=None, max_examples=50)
settings.load_profile("rotators")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for a random order."""
    parser.addoption("--shuffle", metavar="SEED", help="Run the tests in a random order, which SEED decides.")


def pytest_configure(config: pytest.Config) -> None:
    """Search for passwords at the end, in every process."""
    config.pluginmanager.register(ClearText(), "clear-text")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Exclude the objects of the collection from garbage collection, because all of them stay.

    Later ones are rarer than by default, because they took up to a tenth of the processor time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.set_threshold(20_000, 20, 20)
        gc.enable()
        gc.freeze()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Keep ``::`` out of ids: xdist takes the text before the last one for the name of the module."""
    return re.sub(":(?=:)", ":.", val) if isinstance(val, str) and "::" in val else None


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Mark the tests without servers, and start the longest first, so that all processes end together."""
    for item in items:
        marked = any(item.get_closest_marker(name) for name in ("processes", "duckdb"))
        if not marked and not _needs_server(item):
            item.add_marker("unit")
    items.sort(key=_rank)
    yield  # -m selects, and pytest sorts by fixtures
    if seed := config.getoption("shuffle"):
        items[:] = shuffled(items, seed)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two more than the number of processors, but at most one for each 2 GiB of memory, for their servers.

    The unit tests wait for no server and have none, so they run in as many processes as there are processors.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return count if config.option.markexpr == "unit" else max(1, min(count + 2, memory // 2**31))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report the time of each lane, summed over the processes."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                lane = next((name for name in ("unit", "processes") if name in report.keywords), "servers")
                seconds[lane] += round(report.duration * 1000)
    for lane, spent in seconds.most_common():
        terminalreporter.write_line(f"{spent / 1000:8.1f} s of tests: {lane}")


def _needs_server(item: pytest.Item) -> bool:
    """Return True if a test uses a fixture that starts something: those below that the whole run shares."""
    if not isinstance(item, pytest.Function):
        return False
    definitions = item._fixtureinfo.name2fixturedefs
    used = (definitions[name][-1] for name in item.fixturenames if name in definitions)
    return any(
        each.scope == "session" and each.func.__module__ == __name__ and each.argname != "generated_passwords"
        for each in used
    )


def _rank(item: pytest.Item) -> int:
    """Processes, the suites of the kit (which are classes), servers, and the rest."""
    if item.get_closest_marker("processes"):
        return 0
    if item.get_closest_marker("unit"):
        return 3
    return 1 if isinstance(item, pytest.Function) and item.cls else 2


@pytest.fixture(scope="session", autouse=True)
def generated_passwords() -> Iterator[None]:
    """Record every password that is generated in this process."""
    with pytest.MonkeyPatch.context() as patch:
        generate = PasswordPolicy.generate
        patch.setattr(PasswordPolicy, "generate", lambda *args, **named: remembered(generate(*args, **named)))
        yield


@pytest.fixture(scope="module", autouse=True)
def no_secrets_left() -> Iterator[None]:
    """Remove the secrets of each module: commands about all secrets would look at those of all modules."""
    yield
    if "moto.secretsmanager.models" in sys.modules:  # otherwise no local AWS has started
        take_stored()


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    """The local AWS; the process's environment names it for the whole run."""
    with pytest.MonkeyPatch.context() as patch, LocalAws() as running:
        for name, value in running.exports().items():
            patch.setenv(name, value)
        yield running
        record_functions(running)


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A private PostgreSQL that logs everything."""
    running = started(PostgresServer(settings=LOUD))
    running.execute("CREATE EXTENSION pg_stat_statements")
    yield running
    record_postgres(running)
    running.stop()


@pytest.fixture(scope="session")
def redshift() -> Iterator[RedshiftStandIn]:
    """A private PostgreSQL that logs everything, in place of Amazon Redshift."""
    running = started(RedshiftStandIn(LOUD))
    running.execute("CREATE EXTENSION pg_stat_statements")
    yield running
    record_postgres(running)
    running.stop()


@pytest.fixture(scope="session")
def clear_server() -> Iterator[PostgresServer]:
    """A private PostgreSQL without TLS."""
    running = started(PostgresServer(tls=False))
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
def redis_server() -> Iterator[RedisServer]:
    """A private Redis."""
    yield from logged_redis(RedisServer())


@pytest.fixture(scope="session")
def ldap_server() -> Iterator[LdapServer]:
    """A private OpenLDAP."""
    running = started(LdapServer())
    yield running
    record_ldap(running)
    running.stop()


@pytest.fixture(scope="session")
def activedirectory() -> Iterator[ActiveDirectoryServer]:
    """A private Samba domain controller."""
    running = started(ActiveDirectoryServer())
    yield running
    record_samba(running)
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
    running = started(MariaDbServer(tls=False))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def mongodb() -> Iterator[MongoServer]:
    """A private server with MongoDB's protocol."""
    running = started(MongoServer())
    yield running
    record("the log of the gateway of MongoDB", running.log())
    record("the log of the store of MongoDB", running.store_log())
    running.stop()


@pytest.fixture(scope="session")
def mysql() -> Iterator[MySqlServer]:
    """A private MySQL that logs everything."""
    settings = {
        "general-log": "1",
        "general-log-file": "general.log",
        "bind-address": "127.0.0.1,127.0.0.2",
        "performance-schema": "ON",
        "performance-schema-consumer-events-statements-history-long": "ON",
    }
    running = started(MySqlServer(settings=settings))
    yield running
    record_mariadb(running)
    running.stop()


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """A private Valkey."""
    yield from logged_redis(ValkeyServer())


@pytest.fixture
def world(aws: LocalAws, server: PostgresServer) -> World:
    """The local AWS with the logging server."""
    return World(aws, server)


@pytest.fixture
def clear_world(aws: LocalAws, clear_server: PostgresServer) -> World:
    """The local AWS with the server without TLS."""
    return World(aws, clear_server)
