"""Data that a hostile server receives, and errors for its answers.

The servers are small test servers with the protocol of MySQL; no MySQL server is needed.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from rotators.core.errors import RotatorsError, SecretFormatError
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mysql import MySqlEngine
from rotators.engines.mysql.mariadb import MariaDbEngine
from rotators.strategies.engine import Engine
from tests.mysql.fake_server import OK, Channel, fake_server, greeting
from tests.world import log_in, login_failure, new_password

KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
PASSWORD = new_password()


def value(port: int, **changes: Any) -> dict[str, Any]:
    return {
        "engine": "mysql",
        "host": "127.0.0.1",
        "port": port,
        "username": "app",
        "password": PASSWORD,
        "ssl": False,
        **changes,
    }


def failed(secret: dict[str, Any], engine: Engine | None = None) -> RotatorsError:
    return login_failure(engine or MySqlEngine(), secret)


def opened(packets: list[bytes], salt: bytes) -> list[bytes]:
    """Passwords that the owner of the private key can decrypt in the packets."""
    found = []
    for packet in packets:
        if len(packet) == 256:
            scrambled = KEY.decrypt(
                packet,
                padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None),  # noqa: S303 - the protocol uses it
            )
            found.append(bytes(byte ^ salt[at % len(salt)] for at, byte in enumerate(scrambled)))
    return found


def gets_the_password(packets: list[bytes], salt: bytes) -> bool:
    return any(PASSWORD.encode() in said for said in (*packets, *opened(packets, salt)))


def full_caching_sha2(channel: Channel) -> None:
    channel.send(b"\1\4")
    if channel.receive() == b"\2":
        channel.send(b"\1" + PEM)
        channel.receive()


def switched_to_caching_sha2(channel: Channel) -> None:
    channel.switch("caching_sha2_password", b"b" * 20)
    full_caching_sha2(channel)


def sha256(channel: Channel) -> None:
    channel.send(b"\1" + PEM)
    channel.receive()


def switched_to_sha256(channel: Channel) -> None:
    if channel.switch("sha256_password", b"b" * 20) == b"\1":
        channel.send(b"\1" + PEM)
        channel.receive()


def native_then_sha256(channel: Channel) -> None:
    channel.switch("mysql_native_password")
    switched_to_sha256(channel)


ATTACKS = {
    "full caching_sha2": (full_caching_sha2, "caching_sha2_password", "clear-text"),
    "a switch to caching_sha2": (switched_to_caching_sha2, "mysql_native_password", "clear-text"),
    "sha256": (sha256, "sha256_password", "clear-text"),
    "a switch to sha256": (switched_to_sha256, "mysql_native_password", "clear-text"),
    "two switches": (native_then_sha256, "caching_sha2_password", "clear-text"),
    "clear text": (
        lambda channel: channel.switch("mysql_clear_password"),
        "mysql_native_password",
        "auth-method",
    ),
    "dialog": (
        lambda channel: channel.switch("dialog", b"\4Password: "),
        "mysql_native_password",
        "auth-method",
    ),
    "the old hash": (
        lambda channel: channel.switch("mysql_old_password"),
        "mysql_native_password",
        "auth-method",
    ),
    "parsec": (lambda channel: channel.switch("parsec"), "mysql_native_password", "plugin"),
}


@pytest.mark.parametrize("engine", [MySqlEngine(), MariaDbEngine()], ids=["mysql", "mariadb"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_without_tls_no_server_gets_the_password(attack: str, engine: Engine) -> None:
    serve, plugin, reason = ATTACKS[attack]
    with fake_server(serve, greeting(plugin)) as (port, received):
        error = failed(value(port), engine)
    assert error.full_code == f"target-refused/{reason}"
    assert received
    assert not any(gets_the_password(received, salt) for salt in (b"b" * 20, b"a" * 8 + b"b" * 12))


def test_an_unknown_authentication_response_ends_the_login() -> None:
    def serve(channel: Channel) -> None:
        channel.send(b"\1\x09")
        channel.receive()

    with fake_server(serve, greeting("caching_sha2_password")) as (port, received):
        error = failed(value(port))
    assert error.full_code == "target-unavailable/protocol"
    assert not gets_the_password(received, b"a" * 8 + b"b" * 12)


@pytest.mark.parametrize("serve", [full_caching_sha2, switched_to_caching_sha2, sha256, switched_to_sha256])
def test_only_the_pinned_keys_owner_can_decrypt_passwords(serve: Any) -> None:
    """The server sends another key, which is not used."""
    plugin = {full_caching_sha2: "caching_sha2_password", sha256: "sha256_password"}.get(
        serve, "mysql_native_password"
    )
    salt = b"a" * 8 + b"b" * 12 if serve in {full_caching_sha2, sha256} else b"b" * 20
    other = rsa.generate_private_key(65537, 2048).public_key()
    stranger = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for key, expected in ((PEM, True), (stranger, False)):
        with fake_server(serve, greeting(plugin)) as (port, received), pytest.raises(RotatorsError):
            log_in(MySqlEngine(), value(port, server_public_key=key.decode()))
        if expected:
            assert opened(received, salt) == [PASSWORD.encode() + b"\0"]
        else:
            with pytest.raises(ValueError, match="Decryption failed"):
                opened(received, salt)


@pytest.mark.parametrize("key", ["no key", PEM.decode()[:200], 5])
def test_an_invalid_public_key_is_refused_before_login(key: object) -> None:
    with pytest.raises(SecretFormatError, match="server_public_key"):
        log_in(MySqlEngine(), value(1, server_public_key=key))


def test_the_fast_way_of_caching_sha2_stays() -> None:
    def serve(channel: Channel) -> None:
        channel.send(b"\1\3")
        channel.send(OK)
        answer_statements(channel)

    with fake_server(serve) as (port, received):
        log_in(MySqlEngine(), value(port))
    assert not gets_the_password(received, b"a" * 8 + b"b" * 12)


def answer_statements(channel: Channel, number: int = 7) -> None:
    while (said := channel.command()) and said[:1] == b"\3":
        if b"CURRENT_USER" in said:
            channel.rows(("app@%", "app@127.0.0.1", str(number)))
        else:
            channel.send(OK)


@pytest.mark.parametrize(("number", "pooled"), [(7, False), (8, True), (2**32 + 7, False)])
def test_a_pooler_is_detected_by_connection_number(number: int, pooled: bool) -> None:
    def serve(channel: Channel) -> None:
        channel.send(OK)
        answer_statements(channel, number)

    with (
        fake_server(serve, greeting("mysql_native_password")) as (port, _),
        MySqlEngine().login(Secret(value(port)), Settings()) as session,
    ):
        assert session.behind_pooler is pooled


@pytest.mark.parametrize("rows", [[], [("app@%",)], [("app@%", "app@h", "x")], [("app@%", "app@h", "7")] * 2])
def test_a_malformed_current_user_response_is_reported(rows: list[tuple[str, ...]]) -> None:
    def serve(channel: Channel) -> None:
        channel.send(OK)
        while (said := channel.command()) and said[:1] == b"\3":
            channel.rows(*rows) if b"CURRENT_USER" in said else channel.send(OK)

    with fake_server(serve, greeting("mysql_native_password")) as (port, _):
        assert failed(value(port)).full_code == "target-unavailable/protocol"


def test_a_server_that_requests_local_files_gets_none() -> None:
    def serve(channel: Channel) -> None:
        channel.send(OK)
        channel.command()
        channel.send(b"\xfb/etc/hostname")
        channel.receive()

    with fake_server(serve, greeting("mysql_native_password")) as (port, received):
        assert failed(value(port)).full_code == "target-unavailable/protocol"
    assert received[2:] in ([], [b""])


def test_without_pynacl_ed25519_is_a_coded_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """MariaDB also requests it for users that do not exist."""
    monkeypatch.setitem(sys.modules, "nacl", None)
    with fake_server(
        lambda channel: channel.switch("client_ed25519", b"n" * 32), greeting("mysql_native_password")
    ) as (
        port,
        _,
    ):
        error = failed(value(port, engine="mariadb"), MariaDbEngine())
    assert error.full_code == "target-refused/plugin"
    assert "rotators[ed25519]" in error.remedy


@settings(max_examples=50, deadline=None)
@given(first=st.binary(max_size=80))
def test_any_greeting_is_a_coded_error(first: bytes) -> None:
    with fake_server(lambda _: None, first or b"\0") as (port, _):
        failed(value(port))


@settings(max_examples=50, deadline=None)
@given(packets=st.lists(st.binary(max_size=60), max_size=4))
def test_unexpected_login_responses_are_coded_errors(packets: list[bytes]) -> None:
    def serve(channel: Channel) -> None:
        for packet in packets:
            channel.send(packet)

    for plugin in ("caching_sha2_password", "mysql_native_password", "sha256_password"):
        with fake_server(serve, greeting(plugin)) as (port, received):
            failed(value(port))
        assert not gets_the_password(received, b"a" * 8 + b"b" * 12)


@settings(max_examples=50, deadline=None)
@given(
    packets=st.lists(
        st.one_of(st.binary(max_size=60), st.sampled_from([b"\1", b"\2", b"\xfe\0\0\2\0", b"\xfb"])),
        max_size=6,
    )
)
def test_unexpected_statement_responses_are_coded_errors(packets: list[bytes]) -> None:
    def serve(channel: Channel) -> None:
        channel.send(OK)
        channel.command()
        for packet in packets:
            channel.send(packet)

    with fake_server(serve, greeting("mysql_native_password")) as (port, _):
        failed(value(port))
