"""A pytest plugin that searches the logs and outputs of a run for every password of the run.

Each test process has separate servers and a separate local AWS. It searches for its own passwords after its
tests. Passwords stay in the memory of that process: only counts and masked lines are sent to the process
that reports.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from rotators.core.redaction import masked
from tests.spellings import spellings
from tests.world import SHORTEST, known_passwords, remembered, started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.local.aws import LocalAws
    from rotators.local.servers.activedirectory import ActiveDirectoryServer
    from rotators.local.servers.ldap import LdapServer
    from rotators.local.servers.mariadb import MariaDbServer
    from rotators.local.servers.postgres import PostgresServer
    from rotators.local.servers.redis import RedisServer

_WINDOW = 8
_TITLE = "no password is in clear text"
_OUTPUT = "clear_text"

recorded: list[tuple[str, str]] = []
"""Logs and outputs of this process's servers, functions and tests: pairs (source, text)."""


Cache = TypeVar("Cache", bound="RedisServer")


class Search:
    """Searches for many strings, in all their spellings.

    A string of 15 characters or more contains 8 characters that begin at a multiple of 8 in the text. So only
    the pieces of a text at multiples of 8 are looked up; shorter strings are searched for one by one.

    Args:
        passwords: each at least SHORTEST characters long.
    """

    def __init__(self, passwords: set[str]) -> None:
        self._short: set[str] = set()
        self._by_window: dict[str, set[str]] = defaultdict(set)
        for form in {form for password in passwords for form in spellings(password)}:
            if len(form) < 2 * _WINDOW - 1:
                self._short.add(form)
                continue
            for start in range(_WINDOW):
                self._by_window[form[start : start + _WINDOW]].add(form)

    def leaks(self, text: str) -> list[str]:
        """Return the lines of a text that contain a password, with the password masked."""
        found = {form for form in self._candidates(text) if form in text}
        if not found:
            return []
        return [masked(line, found) for line in text.splitlines() if any(form in line for form in found)]

    def _candidates(self, text: str) -> Iterator[str]:
        yield from self._short
        pieces = {
            piece
            for start in range(0, len(text), _WINDOW)
            if (piece := text[start : start + _WINDOW]) in self._by_window
        }
        for piece in pieces:
            yield from self._by_window[piece]


def record(where: str, text: str) -> None:
    """Keep a text for the search at the end."""
    recorded.append((where, text))


def record_functions(aws: LocalAws) -> None:
    """Search the logs of the local AWS's functions."""
    for name in ("rotate", "store", "retrieve", "operate"):
        record(f"the log of the function {name}", aws.logs(name))


def take_stored() -> None:
    """Remove all secrets from the local AWS, and search for their passwords."""
    from moto.secretsmanager.models import secretsmanager_backends  # noqa: PLC0415 - slow to import

    for regions in secretsmanager_backends.values():
        for backend in regions.values():
            for secret in backend.secrets.values():
                for version in secret.versions.values():
                    password = _password(version.get("secret_string"))
                    if len(password) >= SHORTEST:  # others would be found in any text
                        remembered(password)
            backend.secrets.clear()


def record_postgres(server: PostgresServer) -> None:
    """Search a server's log, statistics and settings."""
    record("the server's log", server.log())
    statistics = server.execute("SELECT query FROM pg_stat_statements")
    record("pg_stat_statements", "\n".join(row[0] for row in statistics))
    record("pg_db_role_setting", str(server.execute("SELECT * FROM pg_db_role_setting")))


def record_mariadb(server: MariaDbServer) -> None:
    """Search a server's logs and statistics."""
    statements = server.execute(
        "SELECT SQL_TEXT FROM performance_schema.events_statements_history_long WHERE SQL_TEXT IS NOT NULL"
    )
    record("the general log", server.general_log())
    record("MariaDB's error log", server.log())
    record("performance_schema", "\n".join(str(row[0]) for row in statements))


def logged_redis(server: Cache) -> Iterator[Cache]:
    """Run a server, and search its logs at the end."""
    yield started(server)
    record(f"the log of {server.engine}", server.log())
    record(f"the ACL log of {server.engine}", str(server.acl("LOG")))
    server.stop()


def record_ldap(server: LdapServer) -> None:
    """Search a server's log and the file of its database."""
    record("the log of OpenLDAP", server.log())
    record("the database of OpenLDAP", (server.directory / "data" / "data.mdb").read_text("latin-1"))


def record_samba(server: ActiveDirectoryServer) -> None:
    """Search a domain controller's log and the files of its database."""
    record("the log of Samba", server.log())
    for path in sorted((server.directory / "data" / "private" / "sam.ldb.d").glob("DC=ROT*.ldb")):
        record(f"Samba's {path.name}", path.read_text("latin-1"))


def _password(stored: object) -> str:
    try:
        value = json.loads(str(stored))
        return str(value.get("password") or value.get("awsSeamlessDomainPassword", ""))
    except (ValueError, AttributeError):
        return ""


class ClearText:
    """Records the output of the tests, and fails the run if it shows a password."""

    def __init__(self) -> None:
        self._results: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the output and the log of each test."""
        for title, text in report.sections:
            record(f"{report.nodeid} {report.when} {title}", text)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Receive the findings of another process; if that process died, its test has already failed."""
        if _OUTPUT in (output := getattr(node, "workeroutput", {})):
            self._results.append(output[_OUTPUT])

    @pytest.hookimpl(trylast=True)  # after the fixtures, which record the servers' logs
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Search in a process that has run tests; report in the main process."""
        if session.config.option.collectonly:
            return
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[_OUTPUT] = _searched()
            return
        if not self._results:
            self._results.append(_searched())
        if any(result["leaks"] for result in self._results):
            session.config.hook.pytest_runtest_logreport(report=self._failure())
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _failure(self) -> pytest.TestReport:
        leaks = [leak for result in self._results for leak in result["leaks"]]
        return pytest.TestReport(
            nodeid=_TITLE,
            location=("", None, _TITLE),
            keywords={},
            outcome="failed",
            longrepr="\n".join(leaks),
            when="call",
        )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Report the number of searched texts and passwords."""
        passwords, places = (sum(result[key] for result in self._results) for key in ("passwords", "places"))
        terminalreporter.write_line(f"Searched {places} logs and outputs for {passwords} passwords.")


def _searched() -> dict[str, Any]:
    passwords = {password for password in known_passwords if len(password) >= SHORTEST}
    search = Search(passwords)
    leaks = [f"{where}: {line}" for where, text in recorded for line in search.leaks(text)]
    return {"passwords": len(passwords), "places": len(recorded), "leaks": leaks}
