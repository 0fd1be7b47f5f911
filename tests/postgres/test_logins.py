"""Each way in which a login can fail has its own message and remedy, and none takes longer than 6 seconds."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from rotators.core.errors import CredentialsRejected, RotatorsError, TargetRefused, TargetUnavailable
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.postgres import PostgresEngine
from rotators.local.servers.postgres import PostgresServer
from rotators.local.servers.process import identity
from rotators.local.servers.tls import EXPIRED, NOT_YET_VALID, Validity, issue
from rotators.logins.causes import CONNECT_SECONDS
from tests.world import World, new_password, unique

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def login(value: dict[str, Any], **settings: Any) -> None:
    with PostgresEngine().login(Secret(value), Settings(**settings)) as session:
        session.check()


def failure(value: dict[str, Any], **settings: Any) -> RotatorsError:
    with pytest.raises(RotatorsError) as caught:
        login(value, **settings)
    assert str(value["password"]) not in str(caught.value)
    assert caught.value.remedy
    return caught.value


@contextmanager
def listener() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_wrong_password(world: World) -> None:
    error = failure({**world.user(), "password": new_password()})
    assert isinstance(error, CredentialsRejected)
    assert "rejected the password" in str(error)


@pytest.mark.parametrize("name", ["long", "missing"])
def test_without_a_place_for_a_local_socket_the_error_names_tmpdir(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place = tmp_path / ("x" * 120 if name == "long" else "missing")
    if name == "long":
        place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    error = failure(world.user())
    assert error.full_code == "target-unavailable/local-socket"
    assert "TMPDIR" in error.remedy


def test_a_user_that_does_not_exist_is_a_rejection_like_any_other(world: World) -> None:
    assert isinstance(failure({**world.user(), "username": unique("nobody")}), CredentialsRejected)


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        ({"port": 1}, TargetUnavailable, "target-unavailable/closed-port"),
        ({"host": "no-such-host.invalid"}, TargetUnavailable, "target-unavailable/unknown-host"),
        ({"host": "host\u0000name"}, RotatorsError, "secret-format"),
        ({"host": "x" * 300}, TargetUnavailable, "target-unavailable/unknown-host"),
        ({"sslrootcert": "no/such/file.pem"}, TargetUnavailable, "target-unavailable/tls-no-ca"),
        ({"dbname": "no_such_database"}, TargetRefused, "target-refused/database"),
        ({"dbname": "host=elsewhere.invalid dbname=postgres"}, TargetRefused, "target-refused/database"),
        ({"ssl": False}, TargetRefused, "target-refused/access-rule"),
    ],
)
def test_each_cause_has_its_own_code(
    world: World, change: dict[str, object], kind: type[RotatorsError], code: str
) -> None:
    error = failure({**world.user(), **change})
    assert isinstance(error, kind)
    assert error.full_code == code


def test_a_certificate_of_an_unknown_authority(world: World, tmp_path: Path) -> None:
    other = issue(tmp_path)
    error = failure({**world.user(), "sslrootcert": str(other.ca)})
    assert error.full_code == "target-unavailable/tls-untrusted"
    assert "SSL_ROOT_CERT" in error.remedy


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server whose certificates the tests may replace."""
    with PostgresServer() as running:
        yield running


@pytest.mark.processes
@pytest.mark.parametrize(
    ("validity", "code", "advice"),
    [(EXPIRED, "tls-expired", "Renew"), (NOT_YET_VALID, "tls-not-yet-valid", "clock")],
)
def test_a_certificate_out_of_its_time_is_not_called_untrusted(
    own_server: PostgresServer, tmp_path: Path, validity: Validity, code: str, advice: str
) -> None:
    files = issue(tmp_path, validity=validity)
    for file in (files.certificate, files.key):
        (own_server.directory / "data" / file.name).write_bytes(file.read_bytes())
    secret = {**own_server.secret(), "sslrootcert": str(files.ca)}
    own_server.restart()
    error = failure(secret)
    assert error.full_code == f"target-unavailable/{code}"
    assert advice in error.remedy


def test_without_any_named_authority_the_systems_are_used_and_do_not_know_ours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)
    user = {key: value for key, value in world.user().items() if key != "sslrootcert"}
    assert failure(user).full_code == "target-unavailable/tls-untrusted"


def test_the_roots_of_the_function_and_of_the_driver_are_used_in_that_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = world.user()
    roots = user.pop("sslrootcert")
    monkeypatch.setenv("PGSSLROOTCERT", roots)
    login(user)
    assert failure(user, ssl_root_cert="no/such/file.pem").full_code == "target-unavailable/tls-no-ca"
    login(user, ssl_root_cert=roots)


def test_a_certificate_for_another_host_name(world: World) -> None:
    error = failure({**world.user(), "host": world.other_host_name()})
    assert error.full_code == "target-unavailable/tls-host"


def test_a_server_without_tls_is_never_talked_to_in_clear_unless_the_secret_says_so(
    clear_world: World,
) -> None:
    user = {**clear_world.user(), "ssl": True}
    user["sslrootcert"] = clear_world.some_authority()
    assert failure(user).full_code == "target-unavailable/tls-unsupported"
    login({**user, "ssl": False})
    login({**user, "ssl": "false"})


def test_a_server_that_asks_for_a_clear_text_password_does_not_get_it(clear_world: World) -> None:
    user = {**clear_world.user("asked_in_clear"), "ssl": False}
    error = failure(user)
    assert error.full_code == "target-refused/auth-method"


def test_a_server_that_trusts_everybody_proves_nothing(clear_world: World) -> None:
    user = {**clear_world.user("trusted"), "ssl": False}
    assert failure(user).full_code == "target-refused/auth-method"


def test_a_user_without_the_right_to_log_in(world: World) -> None:
    user = world.user()
    world.sql(f'ALTER ROLE "{user["username"]}" NOLOGIN')
    assert failure(user).full_code == "target-refused/no-login"


def test_too_many_connections(world: World) -> None:
    user = world.user(options="CONNECTION LIMIT 0")
    assert failure(user).full_code == "target-unavailable/user-connections"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shorter limit for logins; six seconds are promised."""
    assert CONNECT_SECONDS < 6
    monkeypatch.setattr("rotators.engines.postgres.session.CONNECT_SECONDS", 1.0)


@pytest.mark.usefixtures("impatient")
def test_a_silent_server_is_given_up(world: World) -> None:
    with listener() as port:
        error = failure({**world.user(), "port": port})
    assert error.full_code == "target-unavailable/timeout"
    assert isinstance(error, TargetUnavailable)
    assert error.retryable


def test_a_server_that_hangs_up_at_once(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def hang_up() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        error = failure({**world.user(), "port": port})
        thread.join()
    assert error.full_code == "target-unavailable/closed"


class Standby(PostgresServer):
    """A hot standby, as a reader endpoint is: a copy of a server that only reads."""

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
def test_a_read_only_server_such_as_a_reader_endpoint_is_told_from_others() -> None:
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


@pytest.mark.usefixtures("impatient")
def test_an_unreachable_server_ends_the_walk_at_once(world: World) -> None:
    """Silence is no rejection: the previous password must not be tried because of it."""
    with listener() as port:
        user = {**world.user(), "port": port}
        arn = world.secret(user)
        token = world.begin(arn)
        world.step("createSecret", arn, token)
        with pytest.raises(TargetUnavailable):
            world.step("setSecret", arn, token)
