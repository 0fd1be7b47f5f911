"""Runs last: no password that anybody had during the whole run stands in any log, statistics or output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from rotators.core.redaction import masked
from tests.world import World, known_passwords, outputs

if TYPE_CHECKING:
    from rotators.local.mariadb import MariaDbServer
    from rotators.local.postgres import PostgresServer

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


def leaks(text: str, passwords: set[str]) -> list[str]:
    """The lines of a text that hold a password in any of its spellings, with it masked."""
    if masked(text, passwords) == text:
        return []
    return [masked(line, passwords) for line in text.splitlines() if masked(line, passwords) != line]


@pytest.mark.last
def test_no_password_of_the_run_is_in_any_log_statistics_or_output(
    world: World, server: PostgresServer, clear_server: PostgresServer
) -> None:
    passwords = {
        password for password in known_passwords | stored_passwords(world) if len(password) >= _SHORTEST
    }
    assert len(passwords) > 20
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
    found = {place: leaks(text, passwords) for place, text in places.items()}
    assert not {place: lines for place, lines in found.items() if lines}


@pytest.mark.last
def test_no_password_of_the_run_is_in_mariadbs_logs_or_statistics(world: World, maria: MariaDbServer) -> None:
    passwords = {
        password for password in known_passwords | stored_passwords(world) if len(password) >= _SHORTEST
    }
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
    found = {place: leaks(text, passwords) for place, text in places.items()}
    assert not {place: lines for place, lines in found.items() if lines}
