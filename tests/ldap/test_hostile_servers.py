"""Servers that answer with something else than a directory does. They are test code, not an OpenLDAP."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rotators.core.errors import RotatorFailure, RotatorsError, TargetUnavailable
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.ldap import LdapEngine
from tests.listening import listening
from tests.world import new_password

Answer = Callable[[socket.socket, bytes], object]
"""Acts on a connection after its first message; gets the message's number in BER."""


def serving(answer: Answer) -> AbstractContextManager[int]:
    """Answer each connection's first message; the result is the port."""
    return listening(lambda channel: answer(channel, number(channel.recv(4096))))


def number(request: bytes) -> bytes:
    """The number of a short LDAP message, as an element of BER."""
    return request[2 : 4 + request[3]] if request else b""


def once(octets: bytes) -> Answer:
    return lambda channel, _: channel.sendall(octets)


def answered(*parts: bytes, operation: int = 0x61, message: bytes = b"") -> Answer:
    """Answer with a result: the bind response, unless another operation is given."""

    def answer(channel: socket.socket, asked: bytes) -> None:
        channel.sendall(result(*parts, operation=operation, message=message or asked))

    return answer


def element(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content


def result(code: bytes, *more: bytes, message: bytes, operation: int) -> bytes:
    body = element(operation, element(0x0A, code), element(4), element(4), *more)
    return element(0x30, message, body)


def drip(channel: socket.socket, _: bytes) -> None:
    """Send a byte of a long answer now and then, until the other side closes the connection."""
    channel.settimeout(0.05)
    channel.sendall(b"\x30\x84\x00\x00\xff\xff")
    while True:
        channel.sendall(b"\x04")
        try:
            if not channel.recv(1):
                return
        except TimeoutError:
            continue


def silence(channel: socket.socket, _: bytes) -> None:
    channel.recv(1)


STARTED = answered(b"\0", operation=0x78)


def log_in(port: int, password: str, **more: object) -> None:
    value = {"host": "127.0.0.1", "port": port, "username": "uid=app,dc=example", "password": password}
    with LdapEngine().login(Secret({**value, "ssl": False, **more}), Settings()) as session:
        session.check()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (once(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "target-unavailable/closed"),
        (once(b"\x16\x03\x01\x00\x01\x00"), "target-unavailable/protocol"),
        (once(b""), "target-unavailable/closed"),
        (answered(b"\0", message=b"\x02\x01\x00"), "target-unavailable/protocol"),
        (answered(bytes([8])), "target-refused/access-rule"),
        (answered(bytes([13])), "target-refused/access-rule"),
        (answered(bytes([34])), "secret-format"),
        (answered(bytes([48])), "target-refused/auth-method"),
        (answered(bytes([49])), "credentials-rejected/password"),
        (answered(bytes([51])), "target-unavailable/starting"),
        (answered(bytes([53])), "target-refused/no-login"),
        (answered(bytes([80])), "target-unavailable/unknown"),
    ],
)
def test_each_login_result_has_its_code(answer: Answer, code: str) -> None:
    with serving(answer) as port, pytest.raises(RotatorsError) as caught:
        log_in(port, new_password())
    assert caught.value.full_code == code


@given(st.binary(max_size=60))
@example(b"\x30\x84\xff\xff\xff\xff")
@example(result(b"\0", message=b"\x02\x01\x01", operation=0x61)[:-1])
def test_any_login_answer_is_a_coded_error(answer: bytes) -> None:
    password = new_password()
    with serving(once(answer)) as port, pytest.raises(RotatorFailure) as caught:
        log_in(port, password)
    assert password not in str(caught.value)


def test_a_referral_gets_no_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        address = f"ldap://127.0.0.1:{elsewhere.getsockname()[1]}/".encode()
        referral = answered(b"\x0a", element(0xA3, element(4, address)))
        with serving(referral) as port, pytest.raises(RotatorFailure) as caught:
            log_in(port, new_password())
        assert caught.value.full_code == "target-refused/read-only"
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rotators.engines.ldap.session.SESSION_SECONDS", 0.5)
    monkeypatch.setattr("rotators.logins.channel.CONNECT_SECONDS", 3.0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("start_tls", [False, True])
@pytest.mark.parametrize("answer", [drip, silence])
def test_a_slow_server_is_given_up(
    answer: Answer,
    start_tls: bool,
) -> None:
    tls = {"ssl": True, "start_tls": True} if start_tls else {}
    with serving(answer) as port, pytest.raises(TargetUnavailable) as caught:
        log_in(port, new_password(), **tls)
    assert caught.value.reason in {"silent", "timeout"}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("after", [once(b"no TLS"), drip, silence])
def test_a_handshake_after_start_tls_ends(after: Answer) -> None:
    def answer(channel: socket.socket, asked: bytes) -> None:
        STARTED(channel, asked)
        channel.recv(4096)
        after(channel, b"")

    with serving(answer) as port, pytest.raises(TargetUnavailable) as caught:
        log_in(port, new_password(), ssl=True, start_tls=True)
    assert caught.value.reason in {"tls", "silent", "timeout"}


def test_octets_before_the_handshake_are_not_believed() -> None:
    """Nothing that was sent without TLS counts as an answer of the verified server."""

    def answer(channel: socket.socket, asked: bytes) -> None:
        number = int.from_bytes(asked) + 1
        following = number.to_bytes(number.bit_length() // 8 + 1)
        started = result(b"\0", message=asked, operation=0x78)
        channel.sendall(started + result(b"\0", message=following, operation=0x61))

    with serving(answer) as port, pytest.raises(TargetUnavailable):
        log_in(port, new_password(), ssl=True, start_tls=True)
