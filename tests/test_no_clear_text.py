"""Runs last: no password that anybody had during the whole run stands in any log, statistics or output."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from rotators.core.redaction import masked
from tests.spellings import spellings
from tests.world import World, known_passwords, outputs

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws
    from rotators.local.servers.mariadb import MariaDbServer
    from rotators.local.servers.postgres import PostgresServer

# Shorter ones may stand in any text by chance.
_SHORTEST = 8


def stored_passwords(world: World) -> set[str]:
    """The passwords of all versions of all secrets in the local AWS."""
    found = set()
    for page in world.secrets.get_paginator("list_secrets").paginate():
        for secret in page["SecretList"]:
            for version in world.secrets.list_secret_version_ids(
                SecretId=secret["ARN"], IncludeDeprecated=True
            )["Versions"]:
                try:
                    value = world.secrets.get_secret_value(
                        SecretId=secret["ARN"], VersionId=version["VersionId"]
                    )
                    found.add(str(json.loads(value.get("SecretString", "{}")).get("password", "")))
                except (world.secrets.exceptions.ResourceNotFoundException, ValueError, AttributeError):
                    continue
    return found


class Search:
    """Looks for many strings, in all their spellings, in one pass over a text.

    Args:
        passwords: each at least _SHORTEST characters long.
    """

    def __init__(self, passwords: set[str]) -> None:
        self._by_start: dict[str, list[str]] = defaultdict(list)
        for form in {form for password in passwords for form in spellings(password)}:
            self._by_start[form[:_SHORTEST]].append(form)

    def leaks(self, text: str) -> list[str]:
        """The lines of a text that hold one, with it masked."""
        found = []
        for line in text.splitlines():
            shown = {form for start in range(len(line)) for form in self._at(line, start)}
            if shown:
                found.append(masked(line, shown))
        return found

    def _at(self, line: str, start: int) -> list[str]:
        forms = self._by_start.get(line[start : start + _SHORTEST], ())
        return [form for form in forms if line.startswith(form, start)]


def test_the_search_finds_every_spelling() -> None:
    password = "pa's\"w\\rd/é%+ü"
    search = Search({password, "another-one"})
    for form in (password, repr(password), json.dumps(password), quote(password, safe="")):
        assert len(search.leaks(f"a line\nwith {form} in it\nand one more")) == 1
    assert search.leaks("pa's another- one") == []


@pytest.fixture(scope="module")
def search(aws: LocalAws, server: PostgresServer) -> Search:
    """Looks for every password that anybody had in this run."""
    everybodys = known_passwords | stored_passwords(World(aws, server))
    passwords = {password for password in everybodys if len(password) >= _SHORTEST}
    assert len(passwords) > 20
    return Search(passwords)


@pytest.mark.last
@pytest.mark.timeout(600)
def test_no_password_of_the_run_is_in_any_log_statistics_or_output(
    search: Search, world: World, server: PostgresServer, clear_server: PostgresServer
) -> None:
    statistics = server.execute("SELECT query FROM pg_stat_statements")
    places = {
        "the server's log": server.log(),
        "the log of the server without TLS": clear_server.log(),
        "pg_stat_statements": "\n".join(row[0] for row in statistics),
        "pg_roles and settings": str(server.execute("SELECT * FROM pg_db_role_setting")),
        **{
            f"the log of the function {name}": world.aws.logs(name)
            for name in ("rotate", "store", "retrieve")
        },
        **dict(outputs),
    }
    assert "SCRAM-SHA-256" in places["the server's log"]
    assert "ALTER ROLE" in places["pg_stat_statements"]
    found = {place: search.leaks(text) for place, text in places.items()}
    assert not {place: lines for place, lines in found.items() if lines}


@pytest.mark.last
def test_no_password_of_the_run_is_in_mariadbs_logs_or_statistics(
    search: Search, maria: MariaDbServer
) -> None:
    statements = maria.execute(
        "SELECT SQL_TEXT FROM performance_schema.events_statements_history_long WHERE SQL_TEXT IS NOT NULL"
    )
    places = {
        "the general log": maria.general_log(),
        "the error log": maria.log(),
        "performance_schema": "\n".join(str(row[0]) for row in statements),
    }
    assert "SET PASSWORD" in places["the general log"]
    assert "IDENTIFIED VIA mysql_native_password USING '*" in places["the general log"]
    found = {place: search.leaks(text) for place, text in places.items()}
    assert not {place: lines for place, lines in found.items() if lines}
