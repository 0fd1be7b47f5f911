"""What an engine declares for applications: the drivers for its servers, and what their errors say.

``rotators/engines/<name>/driver.py`` holds one `ClientSide` in ``CLIENT_SIDE``; ``rotators.client`` finds it
there. Such a module imports a driver's library only where it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from rotators.core.errors import ConfigurationError, SecretFormatError
from rotators.core.settings import Settings
from rotators.logins.causes import cause_of
from rotators.logins.connecting import wants_tls
from rotators.logins.target import port_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rotators.core.secret import Secret

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional arguments, and keyword arguments by name."""


class Verdict(Enum):
    """What a driver's error says about a login."""

    REJECTED = "rejected"  # this user with this password
    UNAVAILABLE = "unavailable"  # nobody judged the credential; the same login may work in a moment
    DATABASE = "database"  # the server has no such database, or it is not for this user
    SERVER = "server"  # another server than the secret means: its certificate, or its rules, do not admit us
    BLOCKED = "blocked"  # too many logins were rejected; the server judges no password of this account now
    CLOSED = "closed"  # the password is right, and the account may not log in: locked, expired, no right to
    OTHER = "other"  # none of these; the application's to see


_SERVER = (
    "access-rule",
    "elsewhere",
    "needs-certificate",
    "needs-tls",
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
_VERDICTS = {
    "password": Verdict.REJECTED,
    "blocked": Verdict.BLOCKED,
    "database": Verdict.DATABASE,
    **dict.fromkeys(("expired", "locked", "no-login"), Verdict.CLOSED),
    **dict.fromkeys(_SERVER, Verdict.SERVER),
    **dict.fromkeys(_UNAVAILABLE, Verdict.UNAVAILABLE),
}
"""By the keys of ``logins.causes.CAUSES``; all others are OTHER."""


def verdict_on(said: str, patterns: Sequence[tuple[str, str]]) -> Verdict:
    """What a driver's text says about a login.

    Args:
        said: the text.
        patterns: as for ``cause_of``.
    """
    return _VERDICTS.get(cause_of(said, patterns) or "", Verdict.OTHER)


def is_of(error: Exception, *packages: str) -> bool:
    """Whether a driver, or the system below it, raised it; not what the application does in between."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in packages


@dataclass(frozen=True, eq=False)
class Driver:
    """How to log in with a driver.

    Attributes:
        name: of its package; empty for a callable that is not known.
        parameters: a secret, and what the caller passes → the keyword arguments that say where and who; clear
            text. What the caller passes need not be in the secret.
        judge: an error of a login, and the secret it was made with → what it says.
        engine: whose servers it logs into; empty when that depends on the secret.
        limit: seconds → the keyword arguments that make the driver give up after them.
        settle: takes back, on a connection that was made, what ``limit`` would leave behind; told what the
            caller gave.
        unpacked: the caller's arguments → the same with those apart that a connection string holds.
        shortest: the smallest number of seconds that the driver understands.
        port: its default; None when that depends on the secret's engine.
        common: whether it is of the common kind: any error is judged, and how its TLS is named is not known.
        dialect: what SQLAlchemy calls it, if that is not its name.
        reconnects: whether its function makes a client that opens connections by itself later. Such a client
            is made by the module of the driver's name in ``rotators.client.integrations``.
        uncovered: modules of the package whose functions cannot be used, and what can instead.
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
    uncovered: Mapping[str, str] = field(default_factory=dict)

    def arguments(self, secret: Secret, seconds: float, given: Mapping[str, Any]) -> dict[str, Any]:
        """All keyword arguments of a login: the driver's, below those that the caller gave.

        Args:
            secret: whom and where.
            seconds: what is left for the login.
            given: what the caller passes, by name.

        Raises:
            ConfigurationError: the driver's TLS is not known and the caller did not name it.
            SecretFormatError: a key is missing that the caller did not pass either.
        """
        known = {**self.parameters(secret, given), **self.limit(seconds)}
        if self.common and wants_tls(secret) and not any(name.startswith("ssl") for name in given):
            raise ConfigurationError(
                "the secret asks for TLS, and how this driver is told so is not known",
                remedy="Pass the driver's own argument (ssl=…, ssl_context=…) to connect().",
            )
        return {**known, **given}

    def owns(self, module: str) -> bool:
        """Whether a module, by its dotted name, is one of the driver's package."""
        return module == self.name or module.startswith(f"{self.name}.")


@dataclass(frozen=True)
class ClientSide:
    """What an engine declares for applications.

    Attributes:
        engines: the values of the secret's ``engine`` key that it knows, each with the one name by which
            equal ones are compared.
        port: the default port of the servers.
        words: parts of any further value of the ``engine`` key that means servers which speak the same way.
        judge: an error of a login, of whatever driver → what it says.
        drivers: those that are known.
    """

    engines: Mapping[str, str]
    port: int
    words: tuple[str, ...]
    judge: Callable[[Exception], Verdict]
    drivers: tuple[Driver, ...]


def common_kind(name: str, engine: str, judge: Callable[[Exception, Secret], Verdict], **more: Any) -> Driver:
    """A driver that takes PEP 249's names: ``host``, ``port``, ``user``, ``password``, ``database``.

    Args:
        name: of its package.
        engine: whose servers it logs into; empty when that depends on the secret.
        judge: as of a `Driver`, for what has no SQLSTATE that decides.
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


def where(secret: Secret, given: Iterable[str], *others: str) -> dict[str, Any]:
    """The host as the argument ``host``, unless the caller decides it.

    Args:
        secret: names the host.
        given: the names of the arguments that the caller passes.
        *others: arguments that take the place of ``host``.

    Raises:
        SecretFormatError: neither the secret nor the caller names it.
    """
    if "host" in given:
        return {}
    if secret.get("host"):
        return {"host": secret.text("host")}
    if set(given) & set(others):
        return {}
    raise SecretFormatError(
        "Key is missing from secret JSON: 'host'",
        remedy="Pass host=… (and port, dbname) to connect(), or store them in the secret. RDS stores only"
        " username and password in the secrets that it manages.",
    )


def application_settings() -> Settings:
    """The settings that count in an application: the trusted certificates of SSL_ROOT_CERT."""
    return Settings(ssl_root_cert=os.environ.get("SSL_ROOT_CERT") or None)
