"""Each way in which a login can fail has its own message and remedy, and none takes longer than 6 seconds."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from rotators.core.errors import CredentialsRejected, RotatorsError, TargetRefused, TargetUnavailable
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mysql import connection as mysql_connection
from rotators.engines.mysql.hashes import native_password
from rotators.engines.mysql.mariadb import MariaDbEngine
from rotators.local.servers.mariadb import MariaDbServer
from rotators.local.servers.tls import EXPIRED, NOT_YET_VALID, Validity, issue
from rotators.logins.causes import CONNECT_SECONDS
from tests.mysql.conftest import MariaDbWorld
from tests.world import new_password, unique

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def login(value: dict[str, Any], **settings: Any) -> None:
    with MariaDbEngine().login(Secret(value), Settings(**settings)) as session:
        session.check()


def failure(value: dict[str, Any], **settings: Any) -> RotatorsError:
    with pytest.raises(RotatorsError) as caught:
        login(value, **settings)
    assert str(value["password"]) not in str(caught.value)
    assert caught.value.remedy
    return caught.value


@contextmanager
def listener(greeting: bytes | None = None) -> Iterator[int]:
    """A port that takes connections; it says its greeting once and reads what comes, or never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            channel = server.accept()[0]
            with channel:
                channel.sendall(greeting or b"")
                heard.append(channel.recv(4096))
                channel.sendall(SWITCH)
                heard.append(channel.recv(4096))

        heard.clear()
        if greeting:
            threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]


heard: list[bytes] = []
# A server without TLS greets (protocol 10), and asks for the password in clear.
_GREETING = (
    b"\x0a8.0.0\0" + bytes(4) + b"a" * 8 + b"\0" + b"\xff\xf7\x21\x02\0\x0f\x80\x15" + bytes(10)
    + b"b" * 12 + b"\0mysql_native_password\0"
)  # fmt: skip
GREETING = len(_GREETING).to_bytes(3, "little") + b"\0" + _GREETING
SWITCH = b"\x16\0\0\x02\xfemysql_clear_password\0"


def test_a_wrong_password_and_an_unknown_user_are_rejections(world: MariaDbWorld) -> None:
    for change in ({"password": new_password()}, {"username": unique("nobody")}):
        error = failure({**world.account(), **change})
        assert isinstance(error, CredentialsRejected)
        assert "rejected the password" in str(error)


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        ({"port": 1}, TargetUnavailable, "target-unavailable/closed-port"),
        ({"host": "no-such-host.invalid"}, TargetUnavailable, "target-unavailable/unknown-host"),
        ({"dbname": "nowhere"}, TargetRefused, "target-refused/database"),
        ({"host": "127.0.0.2"}, TargetUnavailable, "target-unavailable/tls-host"),
        ({"sslrootcert": "no/such/file.pem"}, TargetUnavailable, "target-unavailable/tls-no-ca"),
    ],
)
def test_each_cause_has_its_own_code(
    world: MariaDbWorld, change: dict[str, object], kind: type[RotatorsError], code: str
) -> None:
    error = failure({**world.account(), **change})
    assert isinstance(error, kind)
    assert error.full_code == code


def test_a_certificate_of_an_unknown_authority(world: MariaDbWorld, tmp_path: Path) -> None:
    error = failure({**world.account(), "sslrootcert": str(issue(tmp_path).ca)})
    assert error.full_code == "target-unavailable/tls-untrusted"


@pytest.fixture
def own_server(maria: MariaDbServer) -> Iterator[MariaDbServer]:
    """A server whose certificate a test may replace; skipped where there is none."""
    del maria
    with MariaDbServer() as running:
        yield running


@pytest.mark.processes
@pytest.mark.parametrize(
    ("validity", "code"), [(EXPIRED, "tls-expired"), (NOT_YET_VALID, "tls-not-yet-valid")]
)
def test_a_certificate_out_of_its_time_is_not_called_untrusted(
    own_server: MariaDbServer, tmp_path: Path, validity: Validity, code: str
) -> None:
    secret = own_server.secret()
    files = issue(tmp_path, validity=validity)
    for file in (files.certificate, files.key):
        (own_server.directory / file.name).write_bytes(file.read_bytes())
    own_server.execute("FLUSH SSL")
    error = failure({**secret, "sslrootcert": str(files.ca)})
    assert error.full_code == f"target-unavailable/{code}"


def test_without_any_named_authority_the_systems_are_used_and_do_not_know_ours(
    world: MariaDbWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = world.account()
    roots = user.pop("sslrootcert")
    assert failure(user).full_code == "target-unavailable/tls-untrusted"
    monkeypatch.setenv("MYSQL_SSL_CA", roots)
    login(user)


def test_a_server_without_tls_is_never_talked_to_in_clear_unless_the_secret_says_so(
    clear_world: MariaDbWorld,
) -> None:
    user = {**clear_world.account(), "ssl": True, "sslrootcert": clear_world.some_authority()}
    assert failure(user).full_code == "target-unavailable/tls-unsupported"
    login({**user, "ssl": False})


def test_a_server_that_asks_for_a_clear_text_password_does_not_get_it(world: MariaDbWorld) -> None:
    with listener(GREETING) as port:
        value = {**world.account(), "ssl": False, "host": "127.0.0.1", "port": port}
        error = failure(value)
    assert error.full_code == "target-refused/auth-method"
    assert heard
    assert not any(value["password"].encode() in said for said in heard)


def test_a_locked_account(world: MariaDbWorld) -> None:
    user = world.account(options="ACCOUNT LOCK")
    assert failure(user).full_code == "target-refused/locked"


def test_too_many_connections(world: MariaDbWorld) -> None:
    user = world.account(options="WITH MAX_USER_CONNECTIONS 1")
    with world.open(user):
        assert failure(user).full_code == "target-unavailable/user-connections"


def test_an_anonymous_user_is_not_taken_for_the_one_that_was_asked_for(world: MariaDbWorld) -> None:
    value = world.maria.secret(unique("nobody"), new_password())
    hash_of_it = native_password(value["password"])
    world.run(f"CREATE USER ''@'%' IDENTIFIED VIA mysql_native_password USING '{hash_of_it}'")
    try:
        with pytest.raises(TargetRefused, match="another user"):
            login(value)
    finally:
        world.run("DROP USER ''@'%'")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shorter limit for logins; six seconds are promised."""
    assert CONNECT_SECONDS < 6
    monkeypatch.setattr("rotators.engines.mysql.connection.CONNECT_SECONDS", 1.0)


@pytest.mark.usefixtures("impatient")
def test_a_silent_server_is_given_up(world: MariaDbWorld) -> None:
    with listener() as port:
        error = failure({**world.account(), "port": port})
    assert error.full_code == "target-unavailable/timeout"
    assert error.retryable


def test_a_server_that_falls_silent_during_a_statement_is_cut(
    world: MariaDbWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql_connection, "SESSION_SECONDS", 0.5)
    with (
        pytest.raises(TargetUnavailable, match="silent"),
        MariaDbEngine().login(Secret(world.account()), Settings()) as session,
    ):
        session._run("SELECT SLEEP(20)")


def test_a_read_only_server_such_as_a_reader_endpoint(world: MariaDbWorld) -> None:
    user = world.account()
    arn = world.secret(user)
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    world.run("SET GLOBAL read_only = 1")
    try:
        with pytest.raises(TargetRefused, match="read-only"):
            world.step("setSecret", arn, token)
    finally:
        world.run("SET GLOBAL read_only = 0")
    assert world.logs_in(user)


def test_the_text_of_a_syntax_error_is_left_out(world: MariaDbWorld) -> None:
    with (
        pytest.raises(TargetRefused) as caught,
        MariaDbEngine().login(Secret(world.account()), Settings()) as session,
    ):
        session._run("SELECT oops oops oops")
    assert "oops" not in str(caught.value)
