"""Test servers whose answers differ from those of Redis."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rotators.core.errors import RotatorFailure, TargetUnavailable
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.redis import RedisEngine, session
from tests.listening import listening
from tests.world import new_password


def drip(channel: socket.socket) -> None:
    """Send a byte of an answer without end now and then, until the other side closes the connection."""
    channel.settimeout(0.05)
    while True:
        channel.sendall(b"+")
        try:
            if not channel.recv(1):
                return
        except TimeoutError:
            continue


def silence(channel: socket.socket) -> None:
    channel.recv(1)


def answering(answer: bytes | Callable[[socket.socket], None]) -> AbstractContextManager[int]:
    """Answer each connection's first message; the result is the port."""

    def act(channel: socket.socket) -> None:
        channel.recv(4096)
        channel.sendall(answer) if isinstance(answer, bytes) else answer(channel)

    return listening(act)


def log_in(port: int, password: str, *, tls: bool = False) -> None:
    value = {"host": "127.0.0.1", "port": port, "username": "app", "password": password, "ssl": tls}
    with RedisEngine().login(Secret(value), Settings()) as logged_in:
        logged_in.check()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "protocol"),
        (b"", "closed"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "starting"),
        (b"-ERR max number of clients reached\r\n", "connections"),
        (b"+OK", "closed"),
    ],
)
def test_an_answer_that_judges_no_password_is_unavailable(answer: bytes, reason: str) -> None:
    with answering(answer) as port, pytest.raises(TargetUnavailable) as caught:
        log_in(port, new_password())
    assert caught.value.reason == reason


@pytest.mark.parametrize(("answer", "reason"), [(drip, "silent"), (silence, "timeout")])
def test_a_slow_server_is_given_up(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[socket.socket], None], reason: str
) -> None:
    """A byte now and then ends no wait for an answer; the session's limit does."""
    monkeypatch.setattr(session, "SESSION_SECONDS", 0.5)
    if answer is silence:
        monkeypatch.setattr("rotators.logins.channel.CONNECT_SECONDS", 0.2)
    with answering(answer) as port, pytest.raises(TargetUnavailable) as caught:
        log_in(port, new_password())
    assert caught.value.reason == reason


def test_a_server_without_tls_gets_no_password() -> None:
    received: list[bytes] = []
    password = new_password()

    def keep(channel: socket.socket) -> None:
        channel.sendall(b"-ERR Protocol error\r\n")
        received.append(channel.recv(4096))

    with answering(keep) as port, pytest.raises(TargetUnavailable) as caught:
        log_in(port, password, tls=True)
    assert caught.value.reason == "tls"
    assert password.encode() not in b"".join(received)


@given(st.binary(max_size=60) | st.text("+-$*:OK0123456789\r\n", max_size=40).map(str.encode))
@example(b"*99999999999\r\n")
@example(b"$-5\r\n")
@example(b"+OK\r\n")
def test_any_login_answer_is_a_coded_error(answer: bytes) -> None:
    password = new_password()
    with answering(answer) as port, pytest.raises(RotatorFailure) as caught:
        log_in(port, password)
    assert password not in str(caught.value)
