"""Declarations of an engine for applications: the drivers for its servers, and meanings of their errors.

``rotators/engines/<name>/driver.py`` has one `ClientSide` in ``CLIENT_SIDE``. For each driver, an entry point
of the group ``rotators.drivers`` names it; for an engine that uses the drivers of another one, an entry point
of the group ``rotators.servers``. The module imports a driver's library only where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from rotators.core.errors import ConfigurationError
from rotators.core.secret import Secret
from rotators.logins.arguments import where
from rotators.logins.causes import Messages
from rotators.logins.connecting import wants_tls
from rotators.logins.target import port_of

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional arguments, and keyword arguments by name."""


class Verdict(Enum):
    """Meaning of a driver's error for a login."""

    REJECTED = "rejected"  # this user with this password
    UNAVAILABLE = "unavailable"  # the credential was not checked; the same login may work in a moment
    DATABASE = "database"  # the server has no such database, or this user may not use it
    SERVER = "server"  # the certificate or the rules do not admit us: not the server that the secret names
    BLOCKED = "blocked"  # too many logins were rejected; the server checks no password of this account now
    CLOSED = "closed"  # the password is right, and the account may not log in: locked, expired, no right to
    OTHER = "other"  # none of these; the application handles it


_SERVER = (
    "access-rule",
    "needs-certificate",
    "protocol",
    "tls",
    "tls-expired",
    "tls-host",
    "tls-not-yet-valid",
    "tls-unsupported",
    "tls-untrusted",
)
_UNAVAILABLE = (
    "closed",
    "closed-port",
    "connections",
    "starting",
    "timeout",
    "unknown-host",
    "unreachable",
    "user-connections",
)
_CLOSED = ("account-expired", "expired", "locked", "logon-hours", "no-login", "workstation")
_VERDICTS = {
    "password": Verdict.REJECTED,
    "blocked": Verdict.BLOCKED,
    "database": Verdict.DATABASE,
    **dict.fromkeys(_CLOSED, Verdict.CLOSED),
    **dict.fromkeys(_SERVER, Verdict.SERVER),
    **dict.fromkeys(_UNAVAILABLE, Verdict.UNAVAILABLE),
}
"""Verdict by key of ``logins.causes.CAUSES``; all other keys are OTHER."""


def verdict_on(error: Exception, messages: Messages) -> Verdict:
    """Return the meaning of a driver's error for a login.

    Args:
        error: error of the driver.
        messages: messages of the engine.
    """
    return _VERDICTS.get(messages.cause(error) or "", Verdict.OTHER)


def judge_of(messages: Messages, package: str = "") -> Callable[[Exception, Secret], Verdict]:
    """Return the function that judges a driver's errors by an engine's messages.

    Args:
        messages: messages of the engine.
        package: package of the driver. If given, only its errors and those of the operating system are
            judged; an error of the application is OTHER.

    Returns:
        A function of the error and the secret's value. It does not use the value.
    """

    def judge(error: Exception, _: Secret) -> Verdict:
        known = not package or isinstance(error, OSError) or type(error).__module__.split(".")[0] == package
        return verdict_on(error, messages) if known else Verdict.OTHER

    return judge


@dataclass(frozen=True, eq=False)
class Driver:
    """Description of how to log in with a driver.

    Attributes:
        name: name of its package; empty for an unknown callable.
        parameters: function of a secret and the caller's arguments that returns the keyword arguments for
            address and user, with the password in clear text. The secret may lack what the caller passes.
        judge: function of a login's error and its secret that returns the verdict.
        engine: engine of its servers; empty if that depends on the secret.
        limit: function of seconds that returns the keyword arguments for this time limit.
        settle: function of an open connection and the caller's arguments that undoes lasting effects of
            ``limit``.
        unpacked: function that returns the caller's arguments with a connection string split into its parts.
        shortest: smallest time limit that the driver accepts, in seconds.
        port: its default port, for a secret that names no engine; None if it is not known.
        common: True for the common kind: any error is judged, and the names of its TLS arguments are unknown.
        dialect: SQLAlchemy's name for it, if that differs from its name.
        reconnects: True if its function creates a client that opens connections by itself later. Such a
            client is created by the module of the driver's name in ``rotators.client.integrations``.
        credential: members of the secret, beside ``password``, that are the credential, so that no error
            shows their values.
    """

    name: str
    parameters: Callable[[Secret, Mapping[str, Any]], dict[str, Any]]
    judge: Callable[[Exception, Secret], Verdict]
    engine: str = ""
    limit: Callable[[float], dict[str, Any]] = lambda _: {}
    settle: Callable[[Any, Mapping[str, Any]], None] = lambda _connection, _given: None
    unpacked: Callable[[tuple[Any, ...], dict[str, Any]], Arguments] = lambda args, given: (args, given)
    shortest: float = 0.0
    port: int | None = None
    common: bool = False
    dialect: str = ""
    reconnects: bool = False
    credential: tuple[str, ...] = ()

    def arguments(self, secret: Secret, seconds: float, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all keyword arguments of a login; the caller's take precedence over the driver's.

        Args:
            secret: address, user and password.
            seconds: time that is left for the login.
            given: the caller's arguments, by name.

        Returns:
            Values by the driver's names of arguments, with the password in clear text.

        Raises:
            ConfigurationError: the driver's TLS arguments are unknown and the caller did not pass any.
            SecretFormatError: a key is missing that the caller did not pass either.
        """
        known = {**self.parameters(secret, given), **self.limit(seconds)}
        if self.common and wants_tls(secret) and not any(name.startswith("ssl") for name in given):
            raise ConfigurationError(
                "the secret asks for TLS, and this driver's argument for it is not known",
                remedy="Pass the driver's own argument (ssl=…, ssl_context=…) to connect().",
            )
        return {**known, **given}


@dataclass(frozen=True)
class ClientSide:
    """Declarations of an engine for applications.

    Attributes:
        engines: supported values of the secret's ``engine`` key, each with the canonical name that is used to
            compare them.
        port: default port of the servers.
        messages: messages of the servers and their drivers about failed logins.
        drivers: known drivers; each is an entry point of the group ``rotators.drivers``.
        words: parts of other values of the ``engine`` key whose servers send the same messages.
        target_defaults: other keys of the secret that say where it leads, with their defaults.
    """

    engines: Mapping[str, str]
    port: int
    messages: Messages
    drivers: tuple[Driver, ...]
    words: tuple[str, ...] = ()
    target_defaults: Mapping[str, str] = field(default_factory=dict)


def common_kind(
    name: str, judge: Callable[[Exception, Secret], Verdict], engine: str = "", **more: Any
) -> Driver:
    """Return a driver that uses PEP 249's names: ``host``, ``port``, ``user``, ``password``, ``database``.

    Args:
        name: name of its package.
        judge: as for a `Driver`, for errors without the SQLSTATE of a rejected login.
        engine: engine of its servers; empty if that depends on the secret.
        **more: attributes of the `Driver`.
    """

    def judged(error: Exception, secret: Secret) -> Verdict:
        rejected = getattr(error, "sqlstate", None) == "28P01"
        return Verdict.REJECTED if rejected else judge(error, secret)

    return Driver(name, _common_parameters, judged, engine, common=True, **more)


def _common_parameters(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        **where(secret, given, "unix_socket"),
        "user": secret.text("username"),
        "password": secret.text("password"),
    }
    if secret.get("port"):
        found["port"] = port_of(secret, 0)
    if secret.get("dbname"):
        found["database"] = secret.text("dbname")
    return found
