"""Which target a stored value leads to, and whether two values lead to the same one.

Rotators, the client and `rotators doctor` ask this before they send a stored password anywhere, and all of
them ask here. Different spellings of a target are equal: upper and lower case in host names, a port as number
or text, a key with its default or without a value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rotators.core.errors import SecretFormatError
from rotators.logins.connecting import wants_tls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rotators.core.secret import Secret
    from rotators.core.settings import Settings

TARGET_KEYS = frozenset(
    {"engine", "host", "port", "admin_host", "admin_port", "ssl", "sslrootcert", "server_public_key"}
)
"""The keys that say where a value leads and how the connection is protected."""

_WITH_PORT = re.compile(r"([^:]+|\[.*\]):[0-9]+")


class Server(Protocol):
    """What is known of a kind of server without asking one; every engine of the strategies is a `Server`.

    Attributes:
        names: the values of the secret's ``engine`` key that mean such servers.
        default_port: used when the secret has no ``port``.
    """

    @property
    def names(self) -> frozenset[str]: ...  # noqa: D102 - see Attributes
    @property
    def default_port(self) -> int: ...  # noqa: D102 - see Attributes


class Target(NamedTuple):
    """Where a value leads and how the connection is protected, in a form in which equal targets are equal.

    Attributes:
        host: in lower case; None when the value names none.
        port: a number; the default when the value names none.
        admin: host and port of logins that change something; ``host`` and ``port`` unless the value differs.
        tls: whether the connection is encrypted and the server verified.
        roots: the file of trusted certificates; None for the system's, and without TLS.
        public_key: the server's RSA key as PEM, without its blanks; None when the value names none.
    """

    host: str | None
    port: int
    admin: tuple[str | None, int]
    tls: bool
    roots: str | None
    public_key: str | None

    @classmethod
    def of(cls, secret: Secret, default_port: int, default_roots: str | None = None) -> Target:
        """Where a value leads.

        Args:
            secret: the value.
            default_port: of the engine; 0 when it is not known.
            default_roots: the file of trusted certificates when the value names none, such as SSL_ROOT_CERT.

        Raises:
            SecretFormatError: a key has a value that no login takes.
        """
        host, port = _lower(secret, "host"), port_of(secret, default_port)
        tls, key = wants_tls(secret), _text(secret, "server_public_key")
        return cls(
            host=host,
            port=port,
            admin=(_lower(secret, "admin_host") or host, port_of(secret, port, "admin_port")),
            tls=tls,
            roots=(_text(secret, "sslrootcert") or default_roots) if tls else None,
            public_key=key and "".join(key.split()),
        )

    def is_as_safe_as(self, other: Target) -> bool:
        """Whether a connection to this target is protected at least as one to ``other``."""
        if not self.tls:
            return not other.tls and self.public_key == other.public_key
        return not other.tls or self.roots == other.roots


def differing_keys(one: Secret, other: Secret, keys: Iterable[str], default_port: int) -> list[str]:
    """The keys under which two values do not mean the same, in alphabetical order.

    Args:
        one: a value.
        other: another value.
        keys: those that are compared.
        default_port: of the engine; 0 when it is not known.
    """
    return sorted(
        key for key in keys if _meaning(one, key, default_port) != _meaning(other, key, default_port)
    )


def host_of(secret: Secret, key: str = "host") -> str:
    """The host, in lower case.

    Args:
        secret: the value.
        key: ``host``, or ``admin_host``.

    Raises:
        SecretFormatError: it is missing, or it is more than a host name or an address. A resolver would only
            say that it does not know such a host, and the login would be repeated.
    """
    host = secret.text(key)
    fault = (
        "holds blanks"
        if any(character.isspace() for character in host)
        else "is a URL or a path"
        if "/" in host
        else "holds a port too"
        if _WITH_PORT.fullmatch(host)
        else None
    )
    if fault:
        raise SecretFormatError(
            f"key {key!r} of the secret {fault}",
            remedy=f"Write the host name alone into {key!r} (a port into {key.replace('host', 'port')!r}),"
            " store the whole value again with PutSecretValue, then rotate again.",
        )
    return host.lower()


def port_of(secret: Secret, default: int, key: str = "port") -> int:
    """The port as a number; the default when the secret names none.

    Args:
        secret: the value.
        default: of the engine.
        key: ``port``, or ``admin_port``.

    Raises:
        SecretFormatError: it is not a number from 1 to 65535.
    """
    value = secret.get(key)
    if value is None:
        return default
    port = 0
    if isinstance(value, int) and not isinstance(value, bool):
        port = value
    elif isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 5:  # noqa: PLR2004 - 65535
        port = int(value)
    if not 0 < port < 65536:  # noqa: PLR2004 - the range of a TCP port
        raise SecretFormatError(f"key {key!r} of the secret must be a number from 1 to 65535")
    return port


def direct(secret: Secret, server: Server) -> Secret:
    """The value with the address where passwords are changed: its ``admin_host`` and ``admin_port``.

    Applications may reach the database through a pooler or proxy at ``host``, which does not know a password
    that was set a moment ago, or answers for the server.

    Raises:
        SecretFormatError: one of the keys is wrong.
    """
    if "admin_host" not in secret and "admin_port" not in secret:
        return secret
    host, port = _admin_address(secret, server)
    return secret.replace(host=host, port=port)


def same_target(stored: Secret, current: Secret, server: Server, settings: Settings) -> bool:
    """Whether the password of one value may be sent where another one leads.

    Args:
        stored: the value that the password was stored in.
        current: the value whose addresses are to be used.
        server: what both are for.
        settings: of the function; within ALLOWED_TARGETS a password may follow a database that moved.

    Returns:
        True if engine and addresses are the same (or ALLOWED_TARGETS names all of them), and the connection
        is protected at least as ``stored`` asks for.
    """
    # A secret chosen by ROTATOR need not name an engine.
    if any(secret.get("engine") not in (None, *server.names) for secret in (stored, current)):
        return False
    try:
        theirs, ours = addresses(stored, server), addresses(current, server)
        asked, offered = (
            Target.of(value, server.default_port, settings.ssl_root_cert) for value in (stored, current)
        )
    except SecretFormatError:
        return False
    follows = ours == theirs or all(settings.names(*address) for address in (*ours, *theirs))
    return follows and offered.is_as_safe_as(asked)


def addresses(secret: Secret, server: Server) -> tuple[tuple[str, int], tuple[str, int]]:
    """Host and port of logins that test, and of logins that change something.

    Args:
        secret: the value.
        server: what it is for.

    Raises:
        SecretFormatError: a key is missing or wrong, see ``host_of`` and ``port_of``.
    """
    return (host_of(secret), port_of(secret, server.default_port)), _admin_address(secret, server)


def _admin_address(secret: Secret, server: Server) -> tuple[str, int]:
    port = port_of(secret, server.default_port)
    return host_of(secret, "admin_host" if "admin_host" in secret else "host"), port_of(
        secret, port, "admin_port"
    )


def _lower(secret: Secret, key: str) -> str | None:
    text = _text(secret, key)
    return text and text.lower()


def _text(secret: Secret, key: str) -> str | None:
    return secret.text(key) if key in secret else None


def _meaning(secret: Secret, key: str, default_port: int) -> object:
    """What a key says, however it is written; what no login takes stands for itself."""
    value = secret.get(key)
    if key in {"host", "admin_host"} and isinstance(value, str):
        return value.lower()
    if key == "port":
        try:
            return port_of(secret, default_port)
        except SecretFormatError:
            return value
    return value
