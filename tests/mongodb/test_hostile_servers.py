"""Servers that answer with something else than MongoDB does, and members of a replica set: test code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import bson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rotators.core.errors import IdentityMismatch, RotatorFailure, RotatorsError, TargetUnavailable
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mongodb import MongoEngine
from rotators.engines.mongodb.session import MongoSession
from tests.listening import listening
from tests.world import new_password

Answer = Callable[[bytes], bytes]

PRIMARY = {"ismaster": True, "saslSupportedMechs": ["SCRAM-SHA-256"], "ok": 1}


def packed(document: dict[str, Any], asked: bytes = b"\0" * 16, kind: int = 2013) -> bytes:
    """An answer to a message."""
    body = b"\0\0\0\0\0" + bson.encode(document)
    (number,) = struct.unpack("<i", asked[4:8])
    return struct.pack("<iiii", 16 + len(body), 7, number, kind) + body


def saying(*documents: dict[str, Any]) -> Answer:
    """Answers each message with the next document."""
    left = list(documents)
    return lambda asked: packed(left.pop(0), asked) if left else b""


def answering(answer: Answer, *, once: bool = False) -> AbstractContextManager[int]:
    """Answer messages until an answer is empty (or once), and close; the result is the port."""

    def act(channel: socket.socket) -> None:
        while (asked := channel.recv(4096)) and (said := answer(asked)):
            channel.sendall(said)
            if once:
                break

    return listening(act)


def failure(port: int, settings: Settings | None = None) -> RotatorsError:
    """The error of a login, which shows no password."""
    password = new_password()
    value = {"host": "127.0.0.1", "port": port, "username": "app", "password": password, "ssl": False}
    with (
        pytest.raises(RotatorsError) as caught,
        MongoEngine().login(Secret(value), settings or Settings()) as session,
    ):
        session.check()
    assert password not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", "target-unavailable/protocol"),
        (lambda _: b"", "target-unavailable/closed"),
        (lambda _: packed({"ok": 1}), "target-unavailable/protocol"),
        (lambda asked: packed({"ok": 1}, asked, kind=1), "target-unavailable/protocol"),
        (lambda _: struct.pack("<iiii", 2**31 - 1, 1, 1, 2013), "target-unavailable/protocol"),
        (saying({"ok": 0, "code": 11600}), "target-unavailable/starting"),
        (saying({"ok": 0, "code": 59}), "target-unavailable/unknown"),
        (saying({"ok": 1}), "target-unavailable/no-primary"),
        (saying({"ok": 1, "primary": "elsewhere"}), "target-unavailable/no-primary"),
        (saying(PRIMARY, {"ok": 0, "code": 18}), "credentials-rejected/password"),
        (saying(PRIMARY, {"ok": 0, "code": 334}), "target-refused/auth-method"),
        (saying({**PRIMARY, "saslSupportedMechs": ["PLAIN"]}), "target-refused/auth-method"),
        (saying(PRIMARY, {"ok": 1, "payload": "text"}), "target-unavailable/protocol"),
        (saying(PRIMARY, {"ok": 1, "payload": b"r=x,s=c2FsdA==,i=4096"}), "target-unavailable/protocol"),
    ],
)
def test_each_answer_has_its_own_code(answer: Answer, code: str) -> None:
    with answering(answer) as port:
        assert failure(port).full_code == code


@pytest.mark.parametrize("iterations", [1, 10_000_000])
def test_unusual_iterations_are_refused(iterations: int) -> None:
    def answer(asked: bytes) -> bytes:
        document = bson.decode(asked[21:])
        if "saslStart" not in document:
            return packed(PRIMARY, asked)
        nonce = document["payload"].decode().rpartition("r=")[2]
        return packed({"ok": 1, "payload": f"r={nonce}x,s=c2FsdA==,i={iterations}".encode()}, asked)

    with answering(answer) as port:
        assert failure(port).full_code == "target-refused/scram-iterations"


def secondary(primary: int, name: str = "rs0", host: str = "127.0.0.1") -> Answer:
    """A member of a replica set that names a primary."""
    about = {"ok": 1, "ismaster": False, "setName": name, "primary": f"{host}:{primary}"}
    return lambda asked: packed(about, asked)


def failure_at(port: int, primary: int, host: str = "127.0.0.1") -> RotatorsError:
    """The error of a login at a member whose primary is allowed."""
    allowed = {"ALLOWED_TARGETS": f"127.0.0.1:{port},{host}:{primary}"}
    return failure(port, Settings.from_environment(allowed))


def test_a_secondary_leads_to_its_primary() -> None:
    with (
        answering(saying({**PRIMARY, "setName": "rs0"}, {"ok": 0, "code": 18})) as primary,
        answering(secondary(primary)) as port,
    ):
        error = failure_at(port, primary)
    assert error.full_code == "credentials-rejected/password"
    assert f"127.0.0.1:{primary}" in str(error)


@pytest.mark.parametrize(
    ("about", "code"),
    [
        ({**PRIMARY, "setName": "rs1"}, "target-refused/replica-set"),
        (PRIMARY, "target-refused/replica-set"),
        ({"ok": 1, "setName": "rs0", "primary": "127.0.0.1:1"}, "target-unavailable/no-primary"),
        ({"ok": 0, "code": 11600}, "target-unavailable/starting"),
    ],
)
def test_a_false_primary_gets_no_login(about: dict[str, Any], code: str) -> None:
    asked: list[bytes] = []

    def primary(message: bytes) -> bytes:
        asked.append(message)
        return packed(about, message)

    with answering(primary) as led, answering(secondary(led)) as port:
        assert failure_at(port, led).full_code == code
    assert len(asked) == 1


def test_a_silent_primary_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rotators.engines.mongodb.session.SESSION_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        primary = silent.getsockname()[1]
        with answering(secondary(primary)) as port:
            error = failure_at(port, primary)
    assert isinstance(error, TargetUnavailable)


def test_resolving_the_primary_ends_with_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    resolve = socket.getaddrinfo

    def slow(host: str, *args: Any, **more: Any) -> Any:
        if host == "primary.example.com":
            ended.wait()
        return resolve(host, *args, **more)

    monkeypatch.setattr("rotators.engines.mongodb.session.SESSION_SECONDS", 0.5)
    # Longer than the time limit of the test.
    monkeypatch.setattr("rotators.logins.connecting._RESOLVE_SECONDS", 3600.0)
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with answering(secondary(27017, host="primary.example.com")) as port:
        error = failure_at(port, 27017, "primary.example.com")
    ended.set()
    assert isinstance(error, TargetUnavailable)


def test_a_primary_not_allowed_is_not_reached() -> None:
    asked: list[bytes] = []
    with answering(lambda message: asked.append(message) or b"") as primary:  # type: ignore[func-returns-value]
        secondary = {"ok": 1, "ismaster": False, "setName": "rs0", "primary": f"127.0.0.1:{primary}"}
        with answering(saying(secondary)) as port:
            allowed = Settings.from_environment({"ALLOWED_TARGETS": f"127.0.0.1:{port}"})
            assert isinstance(failure(port, allowed), IdentityMismatch)
    assert not asked


def test_a_server_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rotators.engines.mongodb.session.SESSION_SECONDS", 0.5)
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            channel, _ = listener.accept()
            with channel:
                try:
                    while not ended.wait(0.05):
                        channel.send(b"\x10")
                except OSError:
                    return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        error = failure(listener.getsockname()[1])
        ended.set()
        thread.join()
    assert isinstance(error, TargetUnavailable)


@given(st.binary(max_size=60))
@example(b"\x10\0\0\0" * 4)
def test_any_first_answer_is_a_coded_error(answer: bytes) -> None:
    with answering(lambda _: answer, once=True) as port:
        assert isinstance(failure(port), RotatorFailure)


class OldServer:
    """A server that lists no mechanisms and supports only SCRAM-SHA-1.

    Args:
        user: name of its user.
        password: password of its user.
        **answers: functions that answer further commands, by the command's name.
    """

    def __init__(self, user: str, password: str, **answers: Callable[[dict[str, Any]], Any]) -> None:
        status = {"authInfo": {"authenticatedUsers": [{"user": user, "db": "admin"}]}}
        plain = {"isMaster": {"ismaster": True}, "connectionStatus": status}
        self._answers = {name: lambda _, fixed=fixed: fixed for name, fixed in plain.items()} | answers
        digest = hashlib.md5(f"{user}:mongo:{password}".encode(), usedforsecurity=False).hexdigest()
        self._user, self._salted = user, hashlib.pbkdf2_hmac("sha1", digest.encode(), b"salt", 10_000)
        self._said: list[str] = []

    def __call__(self, asked: bytes) -> bytes:
        """The answer to a message."""
        document = bson.decode(asked[21:])
        if answer := self._answers.get(next(iter(document))):
            return packed({"ok": 1, **answer(document)}, asked)
        said = document["payload"].decode()
        if "saslStart" in document:
            first = f"r={said.rpartition('r=')[2]}x,s={base64.b64encode(b'salt').decode()},i=10000"
            self._said = [said.removeprefix("n,,"), first]
            return packed({"ok": 1, "conversationId": 1, "payload": first.encode()}, asked)
        if not said:
            return packed({"ok": 1, "done": True, "payload": b""}, asked)
        without, proof = said.rsplit(",p=", 1)
        conversation = ",".join([*self._said, without]).encode()
        client = hmac.digest(self._salted, b"Client Key", "sha1")
        signature = hmac.digest(hashlib.sha1(client, usedforsecurity=False).digest(), conversation, "sha1")
        if base64.b64decode(proof) != bytes(a ^ b for a, b in zip(client, signature, strict=True)):
            return packed({"ok": 0, "code": 18}, asked)
        server = hmac.digest(hmac.digest(self._salted, b"Server Key", "sha1"), conversation, "sha1")
        return packed({"ok": 1, "payload": b"v=" + base64.b64encode(server)}, asked)


@pytest.mark.parametrize("user", ["app", "comma,equals="])
def test_an_old_server_gets_scram_sha_1(user: str) -> None:
    password = new_password()
    with answering(OldServer(user, password)) as port:
        value = {"host": "127.0.0.1", "port": port, "username": user, "password": password, "ssl": False}
        with MongoEngine().login(Secret(value), Settings()) as session:
            session.check()
        assert failure(port).full_code == "credentials-rejected/password"


@contextmanager
def logged_in(**answers: Callable[[dict[str, Any]], Any]) -> Iterator[MongoSession]:
    """A session of an administrator at a server that answers commands with functions."""
    password = new_password()
    with answering(OldServer("admin", password, **answers)) as port:
        value = {"host": "127.0.0.1", "port": port, "username": "admin", "password": password, "ssl": False}
        with MongoEngine().login(Secret(value), Settings()) as session:
            yield session


def test_an_unconfirmed_change_is_repeated_later() -> None:
    """A primary whose other members are down; it acknowledges a change that no other member has."""

    def change(command: dict[str, Any]) -> dict[str, Any]:
        if command.get("writeConcern", {}).get("w") != "majority":
            return {}
        assert 0 < command["writeConcern"]["wtimeout"] < 6000, "a wait without an end"
        return {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}

    found = {"users": [{"user": "app", "db": "admin", "roles": []}]}

    def user(command: dict[str, Any]) -> dict[str, Any]:
        return found if command["usersInfo"]["user"] == "app" else {"users": []}

    for call in (("set_credential", "app", new_password()), ("ensure_clone", "app", "app2", new_password())):
        with (
            pytest.raises(TargetUnavailable) as caught,
            logged_in(updateUser=change, createUser=change, usersInfo=user) as session,
        ):
            getattr(session, call[0])(*call[1:])
        assert caught.value.reason == "not-replicated"


def test_commands_end_with_the_session() -> None:
    asked: list[dict[str, Any]] = []

    def late(command: dict[str, Any]) -> dict[str, Any]:
        asked.append(command)
        return {"ok": 0, "code": 50}

    with pytest.raises(TargetUnavailable) as caught, logged_in(updateUser=late) as session:
        session.set_credential("app", new_password())
    assert caught.value.reason == "silent"
    assert 0 < asked[0]["maxTimeMS"] <= 6000


@pytest.mark.parametrize(("code", "reason"), [(50, "silent"), (10107, "no-primary")])
def test_a_check_without_answer_is_repeated_later(code: int, reason: str) -> None:
    refused = {"ok": 0, "code": code}
    with pytest.raises(TargetUnavailable) as caught, logged_in(connectionStatus=lambda _: refused) as session:
        session.check()
    assert caught.value.reason == reason


class Restricted:
    """Answers usersInfo without the field ``showAuthenticationRestrictions``, which the server refuses."""

    def __init__(self, **users: dict[str, Any]) -> None:
        self._users = users

    def __call__(self, command: dict[str, Any]) -> dict[str, Any]:
        if "showAuthenticationRestrictions" in command:
            return {"ok": 0, "code": 40415}
        found = dict(self._users.get(command["usersInfo"]["user"], {}))
        if not command.get("showPrivileges"):
            found.pop("inheritedPrivileges", None)
        return {"users": [found] if found else []}


def test_servers_without_restrictions_show_privileges() -> None:
    rights = [{"resource": {"anyResource": True}, "actions": ["changePassword"]}]
    info = Restricted(app={"user": "app", "roles": [], "inheritedPrivileges": rights})
    with pytest.raises(RotatorsError) as caught, logged_in(usersInfo=info) as session:
        session.require_ordinary("app")
    assert caught.value.full_code == "target-refused/administrator"


def test_a_clone_is_created_without_restrictions() -> None:
    created: list[dict[str, Any]] = []
    roles = [{"role": "read", "db": "shop"}]
    info = Restricted(app={"user": "app", "roles": roles, "customData": {"team": "shop"}})

    def create(command: dict[str, Any]) -> dict[str, Any]:
        created.append(command)
        return {}

    with logged_in(usersInfo=info, createUser=create) as session:
        session.ensure_clone("app", "app2", new_password())
    assert created[0]["roles"] == roles
    assert created[0]["customData"] == {"team": "shop", "rotators_clone_of": "app"}
    assert not created[0].keys() & {"authenticationRestrictions", "mechanisms"}


def test_an_unknown_user_is_rejected_as_any_other() -> None:
    """A server with only SCRAM-SHA-256 lists no mechanisms for a user that does not exist."""
    with answering(saying({"ismaster": True, "ok": 1}, {"ok": 0, "code": 334})) as port:
        assert failure(port).full_code == "credentials-rejected/password"
