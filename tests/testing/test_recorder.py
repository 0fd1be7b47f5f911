"""The recorder records the right calls, stops at the right places, and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from rotators.testing._recorder import Recorder, Stop, StopAt, When, words
from rotators.testing._targets.postgres import POSTGRES_OPERATIONS, PostgresTarget


def work(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        connection.execute("SELECT 1")


def names(recorder: Recorder) -> list[str]:
    return [operation.name for operation in recorder.operations]


def test_it_records_steps_only_and_removes_hooks(target: PostgresTarget) -> None:
    before = psycopg.connect, psycopg.Cursor.execute, psycopg.Transaction.__exit__
    with Recorder(POSTGRES_OPERATIONS) as recorder, target._server.connect(target.admin()) as connection:
        work(connection)
        assert names(recorder) == []
        with recorder.step("setSecret"):
            work(connection)
        assert names(recorder) == ["BEGIN", "SELECT", "COMMIT"]
    assert before == (psycopg.connect, psycopg.Cursor.execute, psycopg.Transaction.__exit__)


@pytest.mark.parametrize(("when", "done"), [(When.BEFORE, False), (When.AFTER, True)])
def test_before_means_not_done_and_after_means_done(target: PostgresTarget, when: When, done: bool) -> None:
    user = target.create()
    footprint = target.footprint(user)
    with Recorder(POSTGRES_OPERATIONS) as recorder:
        connection = target._server.connect(target.admin())
        recorder.begin(StopAt(2, when))
        with pytest.raises(Stop), recorder.step("setSecret"), connection.transaction():
            connection.execute(f"ALTER ROLE {user['username']} CONNECTION LIMIT 7".encode())
        connection.close()
    assert names(recorder) == ["BEGIN", "ALTER ROLE", "COMMIT"]
    assert (target.footprint(user) != footprint) == done
    target.remove(user)


def test_a_stopped_step_does_nothing_more(target: PostgresTarget) -> None:
    with Recorder(POSTGRES_OPERATIONS) as recorder, target._server.connect(target.admin()) as connection:
        recorder.begin(StopAt(0, When.BEFORE))
        for _ in range(2):
            with pytest.raises(Stop), recorder.step("setSecret"):
                connection.execute("SELECT 1")
        recorder.begin()


def test_the_name_of_a_statement_holds_no_value() -> None:
    assert words("ALTER ROLE \"x\" PASSWORD 'secret'") == "ALTER ROLE"
    assert words("SET LOCAL statement_timeout = '5s'; ALTER ROLE \"a; b\" PASSWORD 'x'") == "ALTER ROLE"
    assert words("SET PASSWORD = '*0123'") == "SET PASSWORD"
    assert words("CREATE OR REPLACE ROLE `mark`") == "CREATE OR REPLACE ROLE"
    assert words("SET DEFAULT ROLE `reader` FOR 'app'@'%'") == "SET DEFAULT ROLE"
    assert words("SELECT DEFAULT_ROLE_USER FROM mysql.default_roles") == "SELECT"
    assert words("GRANT `role` TO 'app'@'%'") == "GRANT"
