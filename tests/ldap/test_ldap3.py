"""ldap3 on a real OpenLDAP, as applications use it."""

from __future__ import annotations

import threading
from typing import Any

import ldap3
import pytest

from rotators.client import Credentials, SecretCache
from tests.client.conftest import DAY, Switch
from tests.ldap.conftest import LdapWorld

pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")


def watched(world: LdapWorld, value: dict[str, Any]) -> tuple[Credentials, str]:
    arn = world.secret(value)
    return Credentials(arn, cache=SecretCache(source=Switch(world), ttl=DAY)), arn


@pytest.mark.parametrize("start_tls", [False, True])
def test_a_connection_is_the_secrets_user(plain: LdapWorld, start_tls: bool) -> None:
    more = {"port": plain.directory.clear_port, "start_tls": True} if start_tls else {}
    value = {**plain.entry(), **more}
    credentials, _ = watched(plain, value)
    connection = credentials.connect(ldap3.Connection)
    try:
        assert connection.extend.standard.who_am_i() == f"dn:{value['username']}"
        assert connection.socket.version() == "TLSv1.3"
        assert connection.socket.gettimeout() is None
    finally:
        connection.unbind()


def test_a_rejected_login_reads_the_secret_again(plain: LdapWorld) -> None:
    credentials, arn = watched(plain, plain.entry())
    credentials.connect(ldap3.Connection).unbind()
    for _ in range(2):
        plain.rotate(arn)
    credentials.connect(ldap3.Connection).unbind()
    assert credentials.counts()["logins"] == 2


def test_a_wrong_password_is_rejected(plain: LdapWorld) -> None:
    value = {**plain.entry(), "password": "wrong-password"}
    credentials, _ = watched(plain, value)
    with pytest.raises(ldap3.core.exceptions.LDAPBindError):
        credentials.connect(ldap3.Connection)


def test_no_login_fails_during_dual_rotations(plain: LdapWorld) -> None:
    """Applications that log in again and again, while the user itself and an administrator rotate."""
    for more in ({}, {"masterarn": plain.admin_secret()}):
        credentials, arn = watched(plain, {**plain.entry(), "strategy": "dual", **more})
        failed: list[Exception] = []
        done = threading.Event()

        def log_in(credentials: Credentials = credentials, done: threading.Event = done) -> None:
            while not done.is_set():
                try:
                    credentials.connect(ldap3.Connection).unbind()
                except Exception as error:  # noqa: BLE001 - any error is a failed login
                    failed.append(error)  # noqa: B023 - read after the thread has ended

        application = threading.Thread(target=log_in)
        application.start()
        for _ in range(4):
            plain.rotate(arn)
        done.set()
        application.join()
        assert not failed
        assert credentials.counts()["logins"] > 1
