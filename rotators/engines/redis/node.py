"""A connection to one node."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rotators.core.errors import RotatorFailure, TargetRefused, TargetUnavailable
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.redis.messages import MESSAGES
from rotators.logins.causes import CONNECT_SECONDS, failure
from rotators.logins.channel import held
from rotators.logins.connecting import trusted_roots


@dataclass(frozen=True)
class RedisLogin:
    """User and password, and how to reach any node of the target.

    Attributes:
        user: name of the user.
        password: clear text.
        roots: as ``trusted_roots`` returns it.
    """

    user: str
    password: str = field(repr=False)
    roots: str | None = field(repr=False)

    @classmethod
    def of(cls, secret: Secret, settings: Settings) -> RedisLogin:
        """Return the login of a secret's user.

        Args:
            secret: user, password and trust.
            settings: settings of the function: trusted certificates.

        Raises:
            SecretFormatError: a member is missing or wrong.
            TargetUnavailable: as ``trusted_roots``.
        """
        roots = trusted_roots(secret, settings, "SSL_CERT_FILE")
        return cls(secret.text("username"), secret.text("password"), roots)


class Node:
    """A logged-in connection to one node; its driver sends nothing by itself and repeats nothing.

    Attributes:
        host: name or address.
        port: port of the node.

    Args:
        host: name or address.
        port: port of the node.
        client: a logged-in redis-py client on that connection.
    """

    def __init__(self, host: str, port: int, client: redis.Redis) -> None:
        self.host, self.port, self._client = host, port, client

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def run(self, *command: str) -> Any:
        """Run a command.

        Args:
            *command: its name and arguments.

        Returns:
            The answer as redis-py parses it.

        Raises:
            redis.ResponseError: the server refused it.
            TargetUnavailable: the node went away, or its answer is not valid. A later step tries again.
        """
        execute: Any = self._client.execute_command  # untyped
        try:
            return execute(*command)
        except redis.ResponseError:
            raise
        except (redis.RedisError, OSError) as error:
            reason = MESSAGES.cause(error) or "closed"
            raise TargetUnavailable(
                f"the connection to {self} ended during {command[0]}", reason=reason
            ) from None
        except Exception:  # noqa: BLE001 - the parser raises many types for invalid input
            raise failure("protocol", f"{command[0]} at {self}") from None


class UserSession:
    """One login, without changes.

    Args:
        node: the logged-in connection.
        login: user that logged in.
    """

    behind_pooler = False

    def __init__(self, node: Node, login: RedisLogin) -> None:
        self._node, self._login = node, login

    @property
    def account(self) -> str:
        """See Session.account."""
        return self._login.user

    def check(self, other: str = "") -> None:
        """See Session.check. A user without the right to read its name has logged in nevertheless."""
        del other
        try:
            name = self._node.run("ACL WHOAMI")
        except redis.exceptions.NoPermissionError:
            return
        if name != self.account:
            raise TargetRefused(f"the session is of {name!r}, not of {self.account!r}", reason="user")


@contextmanager
def connected(host: str, port: int, login: RedisLogin, until: float) -> Iterator[Node]:
    """Log into a node; the connection is cut at the end of the time.

    Args:
        host: name or address.
        port: port of the node.
        login: user, password and trust roots.
        until: end of the whole session, by ``time.monotonic``.

    Yields:
        The logged-in connection, which is closed at the end of the block.

    Raises:
        CredentialsRejected, TargetUnavailable, TargetRefused: see Engine.login.
    """
    doing = f"Unable to log in at {host}:{port} as {login.user!r}"
    with held(host, port, login.roots, until, doing) as channel:
        try:
            with _client(channel, login, f"{host}:{port} as {login.user!r}") as client:
                yield Node(host, port, client)
        except redis.ResponseError:
            raise TargetRefused(f"{host}:{port} refused a command", reason="statement") from None


@contextmanager
def _client(channel: socket.socket, login: RedisLogin, where: str) -> Iterator[redis.Redis]:
    pool = redis.ConnectionPool(
        connection_class=_Connection,
        channel=channel,
        username=login.user,
        password=login.password,
        protocol=2,
        decode_responses=True,
        encoding_errors="replace",
        socket_timeout=CONNECT_SECONDS,
        driver_info=None,
        retry=Retry(NoBackoff(), 0),
        max_connections=1,
    )
    client = redis.Redis(connection_pool=pool, retry=Retry(NoBackoff(), 0))
    try:
        _log_in(pool, where)
        yield client
    finally:
        client.close()
        pool.disconnect()


def _log_in(pool: redis.ConnectionPool, where: str) -> None:
    try:
        pool.release(pool.get_connection())
    except (redis.RedisError, OSError) as error:
        raise _login_failure(error, where) from None
    except Exception:  # noqa: BLE001 - the parser raises many types for invalid input
        raise failure("protocol", f"Unable to log into database at {where}") from None


class _Connection(redis.Connection):
    """The driver's connection on an existing socket. It never opens a second one."""

    def __init__(self, *, channel: socket.socket, **options: Any) -> None:
        self._channel: socket.socket | None = channel
        super().__init__(**options)  # type: ignore[no-untyped-call] # of the driver

    def _connect(self) -> socket.socket:
        channel, self._channel = self._channel, None
        if channel is None:
            raise ConnectionResetError("the connection was closed")
        return channel


def _login_failure(error: Exception, where: str) -> RotatorFailure:
    if isinstance(error, redis.exceptions.AuthenticationWrongNumberOfArgsError):
        return TargetRefused(
            f"the server at {where} has no users; it is older than Redis 6",
            reason="version",
            remedy="Upgrade the server to Redis 7 or Valkey, which have users (ACLs).",
        )
    return MESSAGES.failure(error, where)
