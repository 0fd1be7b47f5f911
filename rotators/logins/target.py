"""Identity of the target in a stored value, and comparison of the targets of two values.

Rotators, the client and `rotators doctor` all use this module to check the target before they send a stored
password anywhere. Different spellings of a target are equal: upper and lower case in host names, a port as
number or text, a key with its default or without a value.

`TargetIdentity.may_receive` defines "the same target": the same addresses, and a connection that is protected
at least as well. A rotator connects with the keys of AWSCURRENT, whichever value the password is from, so it
asks in one direction (`same_target`). An application connects with the keys of the version that it tries, so
the client asks in both directions (`TargetIdentity.is_same_as`): an older version stored with
``"ssl": false`` would otherwise make it connect without TLS while AWSCURRENT requires TLS.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from rotators.core.errors import SecretFormatError
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.logins.connecting import wants_start_tls, wants_tls

TARGET_KEYS = frozenset(
    {
        "engine",
        "host",
        "port",
        "admin_host",
        "admin_port",
        "ssl",
        "sslrootcert",
        "server_public_key",
        "start_tls",
    }
)
"""Keys that determine the target of a value and the protection of the connection.

Some are read by one engine only. They are compared for every engine: a value need not name its engine, and a
key that is not compared could lead a password elsewhere.
"""

USER_KEYS = frozenset({"username", "alternate_username"})
"""Keys that name the users of a value; the two users of a pair name each other."""

_WITH_PORT = re.compile(r"([^:]+|\[.*\]):[0-9]+")


class Server(Protocol):
    """Properties of a kind of server, known without a login; every engine of the strategies is a `Server`.

    Attributes:
        names: values of the secret's ``engine`` key for such servers.
        default_port: port if the secret has no ``port``.
        target_defaults: keys that are part of the target, in addition to host and port, with their defaults.
    """

    @property
    def names(self) -> frozenset[str]: ...  # noqa: D102 - see Attributes
    @property
    def default_port(self) -> int: ...  # noqa: D102 - see Attributes
    @property
    def target_defaults(self) -> Mapping[str, str]: ...  # noqa: D102 - see Attributes


class TargetIdentity(NamedTuple):
    """Target of a value and protection of the connection, normalized so that equal targets compare equal.

    Each attribute is the meaning of the key of the same name.

    Attributes:
        host: in lower case; None if the value names none.
        port: number; the default if the value names none.
        admin_host: host of logins that make changes; ``host`` unless the value differs.
        admin_port: port of logins that make changes; ``port`` unless the value differs.
        ssl: True if the connection is encrypted and the server verified.
        sslrootcert: file of trusted certificates; None for the system's, and without TLS.
        start_tls: True if TLS is negotiated on a connection that begins without it.
        server_public_key: the server's RSA key as PEM, without its blanks; None if the value names none.
    """

    host: str | None
    port: int
    admin_host: str | None
    admin_port: int
    ssl: bool
    sslrootcert: str | None
    start_tls: bool
    server_public_key: str | None

    @classmethod
    def of(cls, secret: Secret, default_port: int, default_roots: str | None = None) -> TargetIdentity:
        """Return the identity of a value's target.

        Args:
            secret: value.
            default_port: default of the engine; 0 if it is unknown.
            default_roots: file of trusted certificates if the value names none, such as SSL_ROOT_CERT.

        Raises:
            SecretFormatError: a key has a value that no login accepts.
        """
        host, port = _lower(secret, "host"), port_of(secret, default_port)
        tls, key = wants_tls(secret), _text(secret, "server_public_key")
        return cls(
            host=host,
            port=port,
            admin_host=_lower(secret, "admin_host") or host,
            admin_port=port_of(secret, port, "admin_port"),
            ssl=tls,
            sslrootcert=(_text(secret, "sslrootcert") or default_roots) if tls else None,
            start_tls=wants_start_tls(secret),
            server_public_key=key and "".join(key.split()),
        )

    @property
    def addresses(self) -> tuple[tuple[str | None, int], tuple[str | None, int]]:
        """Host and port of logins that test, and of logins that make changes."""
        return (self.host, self.port), (self.admin_host, self.admin_port)

    def may_receive(self, other: TargetIdentity) -> bool:
        """Return True if a password that was stored for ``other`` may be sent to this target.

        Args:
            other: identity of the target that the password was stored for.
        """
        return self.addresses == other.addresses and self.is_as_safe_as(other)

    def is_same_as(self, other: TargetIdentity) -> bool:
        """Return True if a password of either target may be sent to the other one.

        Args:
            other: identity of another target.
        """
        return self.may_receive(other) and other.may_receive(self)

    def is_as_safe_as(self, other: TargetIdentity) -> bool:
        """Return True if a connection to this target is protected at least as well as one to ``other``.

        Args:
            other: identity of another target.
        """
        if not self.ssl:
            return not other.ssl and self.server_public_key == other.server_public_key
        return not other.ssl or self.sslrootcert == other.sslrootcert


def differing_keys(one: Secret, other: Secret, keys: Iterable[str], server: Server | None) -> list[str]:
    """Return the keys whose meaning differs between two values, in alphabetical order.

    Args:
        one: value.
        other: another value.
        keys: keys to compare.
        server: kind of server of both values; None if it is unknown.

    Returns:
        Those of ``keys``; empty if both values mean the same.
    """
    named = [key for key in keys if key in one or key in other]
    ours, theirs = _meanings(one, server), _meanings(other, server)
    if not ours or not theirs:
        ours, theirs = one, other
    return sorted(key for key in named if ours.get(key) != theirs.get(key))


def host_of(secret: Secret, key: str = "host") -> str:
    """Return the host, in lower case.

    Args:
        secret: value.
        key: ``host``, or ``admin_host``.

    Raises:
        SecretFormatError: it is missing, or it is more than a host name or an address. A resolver would only
            report an unknown host, and the login would be repeated.
    """
    host = secret.text(key)
    fault = (
        "contains blanks"
        if any(character.isspace() for character in host)
        else "is a URL or a path"
        if "/" in host
        else "also contains a port"
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
    """Return the port as a number; the default if the secret names none.

    Args:
        secret: value.
        default: default of the engine.
        key: ``port``, or ``admin_port``.

    Returns:
        From 1 to 65535, or ``default``.

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
    """Return the value with the address where passwords are changed: its ``admin_host`` and ``admin_port``.

    Applications may reach the database through a pooler or proxy at ``host``, which does not have a password
    that was just set, or answers for the server.

    Args:
        secret: value.
        server: kind of server of the value.

    Raises:
        SecretFormatError: one of the keys is wrong.
    """
    if "admin_host" not in secret and "admin_port" not in secret:
        return secret
    host, port = _admin_address(secret, server)
    return secret.replace(host=host, port=port)


def same_target(stored: Secret, current: Secret, server: Server, settings: Settings) -> bool:
    """Return True if the password of one value may be sent to the target of another one.

    Args:
        stored: value that the password was stored in.
        current: value whose addresses are to be used.
        server: kind of server of both values.
        settings: settings of the function. Within ALLOWED_TARGETS, a password may be used after the database
            moved.

    Returns:
        True if engine and addresses are the same (or ALLOWED_TARGETS names all of them), and the connection
        is protected at least as ``stored`` requires.
    """
    # A secret chosen by ROTATOR need not name an engine.
    if any(secret.get("engine") not in (None, *server.names) for secret in (stored, current)):
        return False
    try:
        theirs, ours = addresses(stored, server), addresses(current, server)
        asked, offered = (
            TargetIdentity.of(value, server.default_port, settings.ssl_root_cert)
            for value in (stored, current)
        )
    except SecretFormatError:
        return False
    moved = all(settings.names(*address) for address in (*ours, *theirs))
    return offered.may_receive(asked) or (moved and offered.is_as_safe_as(asked))


def addresses(secret: Secret, server: Server) -> tuple[tuple[str, int], tuple[str, int]]:
    """Return host and port of logins that test, and of logins that make changes.

    Args:
        secret: value.
        server: kind of server of the value.

    Returns:
        Two pairs. They are equal if the secret has neither ``admin_host`` nor ``admin_port``.

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


def _meanings(secret: Secret, server: Server | None) -> Mapping[str, object]:
    """Return a value with the meanings of its keys instead of their spellings; empty if it is malformed."""
    defaults = server.target_defaults if server else {}
    try:
        texts = {key: secret.text(key, default) for key, default in defaults.items()}
        identity = TargetIdentity.of(secret, server.default_port if server else 0)
    except SecretFormatError:
        return {}
    return {**secret, **texts, **identity._asdict()}
