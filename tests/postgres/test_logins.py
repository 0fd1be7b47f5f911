"""Causes of failed logins that only PostgreSQL has; tests/engines contains the others."""

from __future__ import annotations

import subprocess
import tempfile
from typing import TYPE_CHECKING

import pytest

from rotators.core.errors import TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.postgres import PostgresEngine
from rotators.local.servers.postgres import PostgresServer
from rotators.local.servers.process import identity
from tests.world import World, log_in, login_failure, new_password

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["long", "missing"])
def test_a_local_socket_error_names_tmpdir(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place = tmp_path / ("x" * 120 if name == "long" else "missing")
    if name == "long":
        place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    error = login_failure(PostgresEngine(), world.user())
    assert error.full_code == "target-unavailable/local-socket"
    assert "TMPDIR" in error.remedy


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"dbname": "host=elsewhere.invalid dbname=postgres"}, "target-refused/database"),
        ({"ssl": False}, "target-refused/access-rule"),
    ],
)
def test_causes_of_postgresql_have_their_own_codes(
    world: World, change: dict[str, object], code: str
) -> None:
    assert login_failure(PostgresEngine(), {**world.user(), **change}).full_code == code


def test_unencrypted_connections_need_permission_in_the_secret(
    clear_world: World,
) -> None:
    user = {**clear_world.user(), "ssl": True}
    user["sslrootcert"] = clear_world.some_authority()
    assert login_failure(PostgresEngine(), user).full_code == "target-unavailable/tls-unsupported"
    log_in(PostgresEngine(), {**user, "ssl": False})
    log_in(PostgresEngine(), {**user, "ssl": "false"})


def test_a_user_without_the_right_to_log_in(world: World) -> None:
    user = world.user()
    world.sql(f'ALTER ROLE "{user["username"]}" NOLOGIN')
    assert login_failure(PostgresEngine(), user).full_code == "target-refused/no-login"


def test_too_many_connections(world: World) -> None:
    user = world.user(options="CONNECTION LIMIT 0")
    assert login_failure(PostgresEngine(), user).full_code == "target-unavailable/user-connections"


class Standby(PostgresServer):
    """A hot standby, like the server of a reader endpoint: a read-only copy of a server."""

    def __init__(self, primary: PostgresServer) -> None:
        super().__init__()
        self._primary = primary
        self.superuser, self.password = primary.superuser, primary.password

    def _initialise(self, binaries: Path) -> None:
        target = f"host=localhost port={self._primary.port} user=postgres sslmode=verify-full"
        subprocess.run(
            [binaries / "pg_basebackup", "-D", "data", "-X", "stream", "-c", "fast", "-d", target],
            cwd=self.directory,
            env={"PGPASSWORD": self.password, "PGSSLROOTCERT": str(self._primary.ca)},
            check=True,
            **identity(self._uid),
        )
        (self.directory / "data" / "standby.signal").touch()


@pytest.mark.processes
def test_a_read_only_error_names_the_writers_endpoint() -> None:
    hba = ["hostssl replication all 127.0.0.1/32 scram-sha-256"]
    with PostgresServer(hba=hba) as primary, Standby(primary) as reader:
        secret = Secret({**reader.secret(), "sslrootcert": reader.ca})
        with PostgresEngine().login(secret, Settings()) as session:
            session.check()
        with (
            pytest.raises(TargetRefused, match="read-only") as caught,
            PostgresEngine().login(secret, Settings()) as session,
        ):
            session.set_credential("postgres", new_password())
        assert caught.value.full_code == "target-refused/read-only"
        assert "writer's endpoint" in caught.value.remedy
