"""The search for passwords at the end of each run (clear_text.py) finds passwords."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests import clear_text
from tests.clear_text import Search, record_mariadb, record_postgres
from tests.world import unique

if TYPE_CHECKING:
    from rotators.local.servers.mariadb import MariaDbServer
    from rotators.local.servers.postgres import PostgresServer

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("password", ["pa's\"w\\rd/é%+ü", "pw-0123456789abcdef01234567"])
def test_the_search_finds_every_spelling(password: str) -> None:
    search = Search({password, "another-one"})
    for form in (password, repr(password), json.dumps(password), quote(password, safe="")):
        for before in range(9):
            text = f"a line\nwith {'x' * before}{form} in it\nand one more"
            assert len(search.leaks(text)) == 1
            assert form not in search.leaks(text)[0]
    assert search.leaks("pa's another- one pw-0123456") == []


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Texts that are recorded in a test and not searched at the end."""
    texts: list[tuple[str, str]] = []
    monkeypatch.setattr(clear_text, "recorded", texts)
    return texts


def test_postgres_records_its_statements(server: PostgresServer, recorded: list[tuple[str, str]]) -> None:
    # Two statements, because the constants of a utility statement stay in the statistics.
    name = unique("told")
    server.execute(f"CREATE ROLE {name} PASSWORD 'SCRAM-SHA-256-{name}-{'x' * 8}'")
    server.execute(f"ALTER ROLE {name} SET search_path = '{name}-setting'")
    record_postgres(server)
    server.execute(f"DROP ROLE {name}")
    texts = dict(recorded)
    assert f"SCRAM-SHA-256-{name}" in texts["the server's log"]
    assert f"SCRAM-SHA-256-{name}" in texts["pg_stat_statements"]
    assert f"{name}-setting" in texts["pg_db_role_setting"]


def test_mariadb_records_its_statements(maria: MariaDbServer, recorded: list[tuple[str, str]]) -> None:
    statement = f"SELECT '{unique('told')}'"
    maria.execute(statement)
    record_mariadb(maria)
    texts = dict(recorded)
    assert statement in texts["the general log"]
    assert statement in texts["performance_schema"]


@pytest.mark.processes
@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize(("printed", "status"), [("known", 1), ("known[:-1]", 0)])
def test_a_printed_password_fails_the_run(tmp_path: Path, processes: str, printed: str, status: int) -> None:
    (tmp_path / "conftest.py").write_text(
        "from tests.clear_text import ClearText\n"
        "def pytest_configure(config):\n    config.pluginmanager.register(ClearText())\n"
    )
    (tmp_path / "test_one.py").write_text(
        "from tests.world import new_password\n"
        f"def test_one():\n    known = new_password()\n    print({printed})\n"
        "def test_two():\n    pass\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "xdist",
            "-n",
            processes,
            "-p",
            "no:cacheprovider",
            "-c",
            os.devnull,
            tmp_path,
        ],
        cwd=ROOT,
        # Without the other plugins, whose imports take half of the time.
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert ("test_one.py::test_one call Captured stdout call: " in done.stdout) == bool(status)
    assert "pw-" not in done.stdout
