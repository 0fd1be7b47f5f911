"""A connection to one server: messages of the wire protocol, and a login with SCRAM."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bson

from rotators.core.errors import TargetRefused
from rotators.engines.mongodb.messages import MECHANISM_UNAVAILABLE, MESSAGES
from rotators.logins.causes import CONNECT_SECONDS, failure
from rotators.logins.channel import held, reason_of
from rotators.logins.scram import SHA_1, SHA_256, Exchange, IterationsError, ScramError

_HEADER = struct.Struct("<iiii")
_OP_MSG = 2013
_NO_FLAGS = b"\0\0\0\0\0"
"""Flags of a message, and the kind of its only section."""
_LONGEST = 4 * 1024 * 1024
"""Bytes of an answer. The answers that are asked for here are a few kilobytes long."""


class CommandFailed(Exception):
    """The server refused a command. Its text is not kept, because it may repeat the command.

    Attributes:
        code: the server's error code; 0 if it sent none.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"code={code}")
        self.code = code


class MongoConnection:
    """A connection to one server. Nothing is sent by itself, and nothing is repeated.

    Args:
        channel: connected socket.
        where: host and port; shown in errors.
        until: end of the session, by ``time.monotonic``; the server gives up its commands then too.
    """

    def __init__(self, channel: socket.socket, where: str, until: float) -> None:
        self._channel, self._where, self._until = channel, where, until
        self._numbers = itertools.count(1)
        self._doing = f"Unable to talk to {where}"

    def __str__(self) -> str:
        return self._where

    def close(self) -> None:
        """Close the connection without waiting for the server."""
        self._channel.close()

    def run(self, command: str, value: object, database: str, **fields: object) -> dict[str, Any]:
        """Run a command.

        Args:
            command: its name.
            value: value of the field with the command's name.
            database: that it runs in.
            **fields: further fields.

        Returns:
            The answer.

        Raises:
            CommandFailed: the server refused it.
            TargetUnavailable: the server went away, or its answer is not valid. A later step tries again.
        """
        left = max(int((self._until - time.monotonic()) * 1000), 1)
        return self._call({command: value, **fields, "maxTimeMS": left, "$db": database})

    def hello(self, user: str, database: str) -> dict[str, Any]:
        """Return the server's description of itself, and in ``saslSupportedMechs`` the mechanisms of a user.

        Args:
            user: name of the user.
            database: that the user belongs to.

        Returns:
            The server's reply. It has no ``saslSupportedMechs`` if the server is old or does not know the
            user.

        Raises:
            TargetUnavailable: the server went away, or its answer is not valid.
        """
        try:
            # The older name of the command, which every version has.
            return self._call({"isMaster": 1, "saslSupportedMechs": f"{database}.{user}", "$db": "admin"})
        except CommandFailed as refused:
            raise MESSAGES.failure(str(refused), self._where) from None

    def log_in(self, user: str, password: str, database: str, listed: object) -> None:
        """Log in with SCRAM.

        Args:
            user: name of the user.
            password: clear text.
            database: that the user belongs to.
            listed: the user's mechanisms; None if the server lists none, because it is old or does not know
                the user.

        Raises:
            CredentialsRejected, TargetUnavailable, TargetRefused: see Engine.login.
        """
        self._doing = f"Unable to log in at {self._where} as {user!r}"
        # The oldest servers know SCRAM-SHA-1 only. It hashes a digest of the password.
        offered = known_mechanisms(listed) if isinstance(listed, list) else [SHA_1]
        digest = "sha1" if offered == [SHA_1] else "sha256"
        try:
            exchange = Exchange(offered, None, user, digest)
        except ScramError:
            raise failure("auth-method", self._doing) from None
        try:
            self._authenticate(
                exchange, password if digest == "sha256" else _md5(f"{user}:mongo:{password}"), database
            )
        except CommandFailed as refused:
            if refused.code == MECHANISM_UNAVAILABLE and listed is None:
                # The server knows SCRAM-SHA-256 only, and would have listed it for a user that exists.
                raise failure("password", self._doing) from None
            raise MESSAGES.failure(str(refused), f"{self._where} as {user!r}") from None
        except IterationsError:
            raise failure("scram-iterations", self._doing) from None
        except ScramError:
            raise failure("protocol", self._doing) from None

    def _authenticate(self, exchange: Exchange, password: str, database: str) -> None:
        start = {"saslStart": 1, "mechanism": exchange.mechanism, "payload": exchange.first()}
        answer = self._call({**start, "options": {"skipEmptyExchange": True}, "$db": database})
        going_on = {"saslContinue": 1, "conversationId": answer.get("conversationId"), "$db": database}
        answer = self._call({**going_on, "payload": exchange.final(_payload(answer), password)})
        exchange.check(_payload(answer))
        if not answer.get("done"):
            answer = self._call({**going_on, "payload": b""})
        if not answer.get("done"):
            raise ScramError("the exchange does not end")

    def _call(self, document: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        body = _NO_FLAGS + bson.encode(document)
        try:
            self._channel.sendall(_HEADER.pack(_HEADER.size + len(body), number, 0, _OP_MSG) + body)
            length, _, answers, kind = _HEADER.unpack(self._read(_HEADER.size))
            if kind != _OP_MSG or answers != number or not _HEADER.size + 5 < length <= _LONGEST:
                raise failure("protocol", self._doing)
            body = self._read(length - _HEADER.size)
        except OSError as error:
            raise failure(reason_of(error), self._doing) from None
        answer = None
        # A driver asks for neither a checksum nor more answers to one command.
        if body.startswith(_NO_FLAGS):
            with contextlib.suppress(Exception):  # the parser raises many types for invalid input
                answer = bson.decode(body[len(_NO_FLAGS) :])
        if answer is None:
            raise failure("protocol", self._doing)
        if answer.get("ok") != 1:
            code = answer.get("code")
            raise CommandFailed(code if isinstance(code, int) else 0)
        return answer

    def _read(self, length: int) -> bytes:
        read = bytearray()
        while len(read) < length:
            more = self._channel.recv(length - len(read))
            if not more:
                raise failure("closed", self._doing)
            read += more
        return bytes(read)


@contextmanager
def connected(host: str, port: int, roots: str | None, until: float) -> Iterator[MongoConnection]:
    """Connect to a server; the connection is cut at the end of the time.

    Args:
        host: name or address.
        port: port of the server.
        roots: as ``trusted_roots`` returns it.
        until: end of the whole session, by ``time.monotonic``.

    Yields:
        The connection before its login, which is closed at the end of the block.

    Raises:
        TargetUnavailable: it failed, or ended. A later step tries again.
        TargetRefused: the server refused a command for an unknown reason.
    """
    where = f"{host}:{port}"
    with held(host, port, roots, until, f"Unable to connect to {where}") as channel:
        channel.settimeout(CONNECT_SECONDS)
        connection = MongoConnection(channel, where, until)
        try:
            yield connection
        except CommandFailed as refused:
            raise TargetRefused(
                f"{where} refused a command (error {refused.code})", reason="statement"
            ) from None
        finally:
            connection.close()


def known_mechanisms(listed: object) -> list[str]:
    """Return the variants of SCRAM among the mechanisms that a server lists for a user.

    Args:
        listed: ``saslSupportedMechs``.

    Returns:
        ``SCRAM-SHA-1``, ``SCRAM-SHA-256``, both in this order, or neither.
    """
    return [each for each in (SHA_1, SHA_256) if isinstance(listed, list) and each in listed]


def _payload(answer: dict[str, Any]) -> bytes:
    payload = answer.get("payload")
    if not isinstance(payload, bytes):
        raise ScramError("an answer without a payload")
    return payload


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
