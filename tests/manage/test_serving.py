"""The page on loopback."""

from __future__ import annotations

import socket
from http.client import HTTPConnection, HTTPResponse
from threading import Event, Thread
from types import SimpleNamespace

import pytest

from rotators.core.errors import AccessDenied
from rotators.manage.details import Details
from rotators.manage.page import html
from rotators.manage.report import collect
from rotators.manage.serving import Dashboard
from tests.manage.test_report import NOW
from tests.waiting import until


def page() -> str:
    return html(collect([], None, NOW), Details())


def ask(port: int, method: str = "GET", path: str = "/", **headers: str) -> tuple[HTTPResponse, str]:
    connection = HTTPConnection("127.0.0.1", port)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response, response.read().decode()
    finally:
        connection.close()


def test_the_page_is_served_without_scripts() -> None:
    with Dashboard(page) as server:
        response, text = ask(server.port)
        assert (response.status, text) == (200, page())
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        assert response.headers["Cache-Control"] == "no-store"
        assert ask(server.port, "HEAD")[1] == ""


@pytest.mark.parametrize(
    "host", ["rebound.example", "127.0.0.1", "localhost:1", "127.0.0.1:{port}.example", ""]
)
def test_only_its_own_host_is_answered(host: str) -> None:
    with Dashboard(page) as server:
        response, text = ask(server.port, Host=host.format(port=server.port))
        assert response.status == 421
        assert "secrets" not in text
        assert ask(server.port, Host=f"localhost:{server.port}")[0].status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/", 501), ("GET", "/other", 404), ("DELETE", "/", 501)]
)
def test_nothing_else_is_served(method: str, path: str, status: int) -> None:
    with Dashboard(page) as server:
        assert ask(server.port, method, path)[0].status == status


@pytest.mark.parametrize(
    "request_line",
    ["BREW / HTTP/1.1", "<script> / HTTP/1.1", f"GET /{'a' * 70_000} HTTP/1.1"],
)
def test_an_unknown_request_gets_the_same_policy(request_line: str) -> None:
    with Dashboard(page) as server, socket.create_connection(("127.0.0.1", server.port)) as browser:
        browser.sendall(f"{request_line}\r\nHost: rebound.example\r\n\r\n".encode())
        head, _, text = browser.makefile("rb").read().partition(b"\r\n\r\n")
        assert b"Content-Security-Policy: default-src 'none'" in head
        assert b"<h1>" in text
        assert b"<script>" not in text


def test_it_listens_on_loopback_only() -> None:
    with Dashboard(page) as server:
        for address in {
            info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
        }:
            if not str(address).startswith("127."):
                with pytest.raises(OSError, match="refused"):
                    socket.create_connection((str(address), server.port))


def test_an_error_becomes_a_page() -> None:
    def denied() -> str:
        raise AccessDenied("ListSecrets <b>denied</b>")

    with Dashboard(denied) as server:
        response, text = ask(server.port)
        assert response.status == 502
        assert "[access-denied] ListSecrets &lt;b&gt;denied" in text


def test_an_unexpected_error_becomes_a_page() -> None:
    def broken() -> str:
        raise KeyError("password=<b>x</b>")

    with Dashboard(broken) as server:
        response, text = ask(server.port)
        assert response.status == 500
        assert "Unexpected KeyError. Next: run `rotators report`" in text
        assert "password" not in text


@pytest.mark.parametrize("fails", [False, True])
def test_a_reload_within_seconds_asks_once(fails: bool) -> None:
    made: list[int] = []

    def counted() -> str:
        made.append(1)
        if fails:
            raise AccessDenied("ListSecrets denied")
        return page()

    with Dashboard(counted) as server:
        ask(server.port)
        ask(server.port)
    assert len(made) == 1


def test_a_slow_page_is_for_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that takes longer than it is fresh was made again for each waiting reload."""
    made: list[float] = []
    now = [0.0]
    monkeypatch.setattr("rotators.manage.serving.time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow() -> str:
        now[0] += 60.0
        made.append(now[0])
        return page()

    with Dashboard(slow) as server:
        ask(server.port)
        ask(server.port)
        assert made == [60.0]
        now[0] += 6.0
        ask(server.port)
    assert made == [60.0, 126.0]


def test_an_idle_connection_ends() -> None:
    """Each takes a thread."""
    with Dashboard(page) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("rotators.manage.serving._Handler.timeout", 0.01)
        with socket.create_connection(("127.0.0.1", server.port)) as idle:
            assert idle.recv(1) == b""


def test_the_end_waits_for_a_page() -> None:
    """The environment of a page in the making does not change."""
    begun = Event()
    made: list[int] = []

    def slow() -> str:
        begun.set()
        until(lambda: not _listens(server.port))
        made.append(1)
        return page()

    with Dashboard(slow) as server:
        browser = Thread(target=ask, args=[server.port])
        browser.start()
        begun.wait()
    assert made
    browser.join()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
