"""The statements that sessions send to a MySQL server, and their handling of its errors.

The server is a small test server that answers from a table. MySQL's manual describes the effects of the
statements. tests/mysql/test_mysql.py runs them on a real server, if there is one (MYSQL_BIN).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from rotators.core.errors import RotatorsError, TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mysql import MySqlEngine
from rotators.engines.mysql.accounts import AccountSession
from rotators.engines.mysql.hashes import caching_sha2, is_password, native_password, sha256_password
from tests.mysql.fake_server import OK, Channel, fake_server, greeting
from tests.world import new_password

ADMIN = {
    "engine": "mysql",
    "host": "127.0.0.1",
    "username": "admin",
    "password": new_password(),
    "ssl": False,
}
STORED: dict[str, Callable[[str], str]] = {
    "caching_sha2_password": lambda password: caching_sha2(password).decode(),
    "sha256_password": sha256_password,
    "mysql_native_password": native_password,
}

Answers = dict[str, Sequence[tuple[str, ...]]]


@contextmanager
def session(answers: Answers) -> Iterator[tuple[AccountSession, list[bytes]]]:
    """A session whose queries get the answer of the first key that they contain, or no rows."""
    known: Answers = {
        "CURRENT_USER": [("admin@%", "admin@10.1.2.3", "7")],
        "User, Host": [("app", "10.%")],
        **answers,
    }

    def serve(channel: Channel) -> None:
        channel.send(OK)
        while (said := channel.command())[:1] == b"\3":
            text = said.decode()
            found = next((rows for key, rows in known.items() if key in text), ())
            channel.rows(*found) if "SELECT" in text else channel.send(OK)

    with (
        fake_server(serve, greeting("mysql_native_password")) as (port, received),
        MySqlEngine().login(Secret({**ADMIN, "port": port}), Settings()) as opened,
    ):
        yield opened, received


def enter(port: int, act: Callable[[AccountSession], object] = lambda _: None) -> None:
    with MySqlEngine().login(Secret({**ADMIN, "port": port}), Settings()) as admin:
        act(admin)


def changes(received: list[bytes]) -> list[str]:
    return [said[1:].decode() for said in received if said.startswith(b"\3ALTER USER")]


@pytest.mark.parametrize("plugin", STORED)
def test_the_admin_keeps_the_plugin_and_sends_hashes(plugin: str) -> None:
    password = new_password()
    with session({"SELECT plugin": [(plugin, STORED[plugin](new_password()))]}) as (admin, received):
        admin.set_credential("app", password)
    (statement,) = changes(received)
    start = f"ALTER USER 'app'@'10.%' IDENTIFIED WITH {plugin} AS "
    assert statement.startswith(start)
    written = statement.removeprefix(start)
    stored = bytes.fromhex(written[2:]) if written.startswith("0x") else written.strip("'").encode()
    assert is_password(plugin, stored, password)
    assert not any(password.encode() in said for said in received)


def test_another_plugin_is_refused_before_anything_changes() -> None:
    answers: Answers = {
        "SELECT plugin": [("authentication_ldap_simple", "")],
        "ssl_type": [("", "", "", "", "0", "0", "0", "0")],
    }
    with session(answers) as (admin, received):
        moves: list[Callable[[], None]] = [
            lambda: admin.set_credential("app", new_password()),
            lambda: admin.set_pair("app", new_password(), new_password()),
            lambda: admin.ensure_clone("app", "app_clone", new_password()),
            lambda: admin.require_resettable("app", [new_password()], tls=True),
        ]
        for move in moves:
            with pytest.raises(TargetRefused, match="authentication_ldap_simple") as caught:
                move()
            assert caught.value.full_code == "target-refused/plugin"
    assert not changes(received)


@pytest.mark.parametrize(
    ("counted", "locked", "unlocks"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_a_reset_removes_blocks_but_keeps_locks(counted: bool, locked: bool, unlocks: bool) -> None:
    answers: Answers = {
        "SELECT plugin": [("caching_sha2_password", "x")],
        "failed_login_attempts": [("3",)] if counted else [],
        "account_locked": [("1",)] if locked else [],
    }
    with session(answers) as (admin, received):
        admin.set_credential("app", new_password())
    assert changes(received)[0].endswith(" ACCOUNT UNLOCK") is unlocks


@pytest.mark.parametrize(("attempts", "allowed"), [("3", 2), ("1", 0), ("0", None), (None, None)])
def test_the_limit_of_an_account_is_read(attempts: str | None, allowed: int | None) -> None:
    rows = [] if attempts is None else [(attempts,)]
    with session({"failed_login_attempts": rows}) as (admin, _):
        assert admin.rejections_allowed("app") == allowed


def test_the_lowest_limit_of_several_accounts_applies() -> None:
    accounts = [("app", "%"), ("app", "10.%")]
    with session({"User, Host": accounts, "failed_login_attempts": [("5",)]}) as (admin, _):
        assert admin.rejections_allowed("app") == 4


@pytest.mark.parametrize("plugin", STORED)
@pytest.mark.parametrize("second", [False, True], ids=["first password", "second password"])
def test_a_right_password_is_not_reset(plugin: str, second: bool) -> None:
    password, other = new_password(), new_password()
    stored = [STORED[plugin](each) for each in ((other, password) if second else (password, other))]
    answers: Answers = {
        "SELECT plugin": [(plugin, stored[0])],
        "additional_password": [(stored[1],)],
        "ssl_type": [("", "", "", "", "0", "0", "0", "0")],
    }
    with session(answers) as (admin, _):
        admin.require_resettable("app", [new_password()], tls=True)
        with pytest.raises(TargetRefused) as caught:
            admin.require_resettable("app", [new_password(), password], tls=True)
    assert caught.value.full_code == "target-refused/correct-password"


def test_every_session_pins_its_settings_in_two_statements() -> None:
    with session({}) as (_, received):
        pass
    pinned = b" ".join(said for said in received if said.startswith(b"\3SET"))
    for name in (
        "NAMES utf8mb4", "autocommit", "sql_mode", "sql_select_limit", "wait_timeout", "lock_wait_timeout",
        "max_execution_time", "lc_messages", "TRANSACTION READ WRITE",
    ):  # fmt: skip
        assert name.encode() in pinned
    # The answer to the greeting, two statements that set the session, one query.
    assert len([said for said in received if said]) == 4


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (1045, "credentials-rejected/password"),
        (4150, "target-refused/blocked"),
        (3955, "target-refused/blocked"),
        (4151, "target-refused/locked"),
        (3118, "target-refused/locked"),
        (1820, "target-refused/expired"),
        (1862, "target-refused/expired"),
        (1203, "target-unavailable/user-connections"),
        (1226, "target-unavailable/user-connections"),
        (1040, "target-unavailable/connections"),
        (1524, "target-refused/plugin"),
    ],
)
def test_each_refusal_of_a_login_has_its_code(number: int, code: str) -> None:
    refuse = fake_server(lambda channel: channel.error(number), greeting("mysql_native_password"))
    with refuse as (port, _), pytest.raises(RotatorsError) as caught:
        enter(port)
    assert caught.value.full_code == code


@pytest.mark.parametrize(
    ("number", "text", "code"),
    [
        (1290, "running with the --read-only option", "target-refused/read-only"),
        (1290, "running with the --super-read-only option", "target-refused/read-only"),
        (1290, "running with the --strict-password-validation option", "target-refused/validation"),
        (1290, "running with the --skip-grant-tables option", "target-refused/statement"),
        (1819, "Your password does not satisfy the current policy requirements", "target-refused/validation"),
        (3638, "contradict the password history policy", "target-refused/validation"),
        (4229, "reused", "target-refused/validation"),
        (3892, "Current password needs to be specified", "target-refused/validation"),
        (1226, "exceeded the 'max_questions' resource", "target-unavailable/user-limit"),
        (1396, "Operation ALTER USER failed", "target-unavailable/interrupted"),
    ],
)
def test_each_refusal_of_a_change_has_its_code(number: int, text: str, code: str) -> None:
    def serve(channel: Channel) -> None:
        channel.send(OK)
        while (said := channel.command())[:1] == b"\3":
            if b"ALTER USER" in said:
                channel.error(number, text)
            elif b"CURRENT_USER" in said:
                channel.rows(("admin@%", "admin@10.1.2.3", "7"))
            elif b"User, Host" in said:
                channel.rows(("app", "10.%"))
            elif b"SELECT plugin" in said:
                channel.rows(("mysql_native_password", "*00"))
            elif b"SELECT" in said:
                channel.rows()
            else:
                channel.send(OK)

    refuse = fake_server(serve, greeting("mysql_native_password"))
    with refuse as (port, _), pytest.raises(RotatorsError) as caught:
        enter(port, lambda admin: admin.set_credential("app", new_password()))
    assert caught.value.full_code == code
