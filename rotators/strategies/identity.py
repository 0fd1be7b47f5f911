"""Whom and what a value opens, compared before anybody logs in with it.

A stored value is input: anyone who may write the secret may have written it, and need not be able to read it.
So a stored password is sent only to the target that it was stored for. The pending value must lead where
the current one leads, an admin's secret too, and an older version that was stored for another target is
not tried. All of that is compared before the first connection is made.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rotators.core.errors import IdentityMismatch, SecretFormatError
from rotators.logins.connecting import sends_clear_text, wants_tls

if TYPE_CHECKING:
    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.strategies.engine import Engine

TARGET_KEYS = frozenset(
    {"engine", "host", "port", "admin_host", "admin_port", "ssl", "sslrootcert", "server_public_key"}
)
"""The keys that say where a value leads and how the connection is protected."""

# Not part of the address, but after promotion they would be trusted as much as it.
_TRUSTED_KEYS = (
    "masterarn",
    "strategy",
    "ssl",
    "sslrootcert",
    "admin_host",
    "admin_port",
    "server_public_key",
    "clear_text",
)

_WITH_PORT = re.compile(r"([^:]+|\[.*\]):[0-9]+")


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


def direct(secret: Secret, engine: Engine) -> Secret:
    """The value with the address where passwords are changed: its ``admin_host`` and ``admin_port``.

    Applications may reach the database through a pooler or proxy at ``host``, which does not know a password
    that was set a moment ago, or answers for the server.

    Raises:
        SecretFormatError: one of the keys is wrong.
    """
    if "admin_host" not in secret and "admin_port" not in secret:
        return secret
    host, port = _admin_address(secret, engine)
    return secret.replace(host=host, port=port)


def same_target(stored: Secret, current: Secret, engine: Engine, settings: Settings) -> bool:
    """Whether the password of one value may be sent where another one leads.

    Args:
        stored: the value that the password was stored in.
        current: the value whose addresses are to be used.
        engine: of the target.
        settings: of the function; within ALLOWED_TARGETS a password may follow a database that moved.

    Returns:
        True if engine and addresses are the same (or ALLOWED_TARGETS names all of them), and the connection
        is protected at least as ``stored`` asks for.
    """
    try:
        if not _same_engine(stored, current, engine) or not _as_safe(stored, current):
            return False
        theirs, ours = _addresses(stored, engine), _addresses(current, engine)
    except SecretFormatError:
        return False
    return ours == theirs or all(settings.names(*address) for address in (*ours, *theirs))


def check_allowed(secret: Secret, engine: Engine, settings: Settings) -> None:
    """Check that ALLOWED_TARGETS, if it is set, names the addresses of a value.

    Raises:
        IdentityMismatch: it does not name one of them; nothing was sent there.
        SecretFormatError: a key is missing or wrong.
    """
    for host, port in _addresses(secret, engine):
        if not settings.allows(host, port):
            raise IdentityMismatch(
                f"the target {host}:{port} is not in ALLOWED_TARGETS",
                reason="not-allowed",
                remedy="Correct host and port in the secret, or add them to the function's ALLOWED_TARGETS.",
            )


def check_shape(secret: Secret, engine: Engine) -> None:
    """Check all keys that a login needs, so that a value that cannot work is refused before one is stored.

    Raises:
        SecretFormatError: a key is missing or wrong.
    """
    secret.text("username")
    engine.credential.of(secret)
    if len(secret.text("username").encode(errors="surrogatepass")) > engine.longest_username:
        # A server may cut a longer name off, and so mean another user.
        raise SecretFormatError(f"key 'username' of the secret exceeds {engine.longest_username} bytes")
    _addresses(secret, engine)
    secret.text("dbname", engine.default_dbname)
    wants_tls(secret)
    sends_clear_text(secret)


def check_target(pending: Secret, current: Secret, engine: Engine) -> None:
    """Check that the pending value leads to the same database as the current one, user apart.

    Raises:
        IdentityMismatch: engine, host, port, dbname, or a key that guards the connection, differs.
        SecretFormatError: a key is missing or wrong.
    """
    _equal("engine", pending.get("engine"), current.get("engine"))
    _check_host(pending, current)
    _equal("port", port_of(pending, engine.default_port), port_of(current, engine.default_port))
    _equal(
        "dbname", pending.text("dbname", engine.default_dbname), current.text("dbname", engine.default_dbname)
    )
    for key in _TRUSTED_KEYS:
        _equal(key, pending.get(key), current.get(key))


def check_user(pending: Secret, allowed: set[str]) -> None:
    """Check that the pending value names one of the allowed users.

    Raises:
        IdentityMismatch: it names another.
    """
    user = pending.text("username")
    if user not in allowed:
        names = " or ".join(repr(name) for name in sorted(allowed))
        raise IdentityMismatch(f"Attempting to modify user {user!r} other than current user {names}")


def proven_admin(rotation: Rotation, engine: Engine) -> Secret | None:
    """The admin of this rotation, checked to administer this very target and to be another user.

    Returns:
        The admin's value, or None when the secret has no ``masterarn``.

    Raises:
        IdentityMismatch: the admin's secret leads elsewhere, or names the rotated user itself.
        SecretFormatError: it lacks a key.
    """
    admin = rotation.admin
    if admin is None:
        return None
    if "engine" in admin and admin.text("engine") not in engine.names:
        raise IdentityMismatch("the secret behind masterarn is of another engine")
    target = direct(rotation.current, engine)
    _check_host(admin, target, "the secret behind masterarn is ")
    if port_of(admin, engine.default_port) != port_of(target, engine.default_port):
        raise IdentityMismatch("the secret behind masterarn has another port")
    if admin.text("username") in {rotation.current.text("username"), rotation.pending.text("username")}:
        raise IdentityMismatch("the secret behind masterarn names the user that is being rotated")
    return admin


def _check_host(found: Secret, current: Secret, prefix: str = "") -> None:
    ours, theirs = host_of(current), host_of(found)
    if ours != theirs:
        raise IdentityMismatch(
            f"{prefix}for host {theirs!r}, and the current value is for host {ours!r}",
            remedy="Use the same endpoint name (the writer's) in both secrets, then rotate again."
            if prefix
            else None,
        )


def _equal(key: str, pending: object, current: object) -> None:
    if pending != current:
        raise IdentityMismatch(f"the pending value has another {key} than the current one")


def _addresses(secret: Secret, engine: Engine) -> tuple[tuple[str, int], tuple[str, int]]:
    """Host and port of logins that test, and of logins that change something."""
    return (host_of(secret), port_of(secret, engine.default_port)), _admin_address(secret, engine)


def _admin_address(secret: Secret, engine: Engine) -> tuple[str, int]:
    port = port_of(secret, engine.default_port)
    return host_of(secret, "admin_host" if "admin_host" in secret else "host"), port_of(
        secret, port, "admin_port"
    )


def _same_engine(stored: Secret, current: Secret, engine: Engine) -> bool:
    """A secret chosen by ROTATOR need not name an engine."""
    return all(secret.get("engine") in (None, *engine.names) for secret in (stored, current))


def _as_safe(stored: Secret, current: Secret) -> bool:
    """Whether the connection of ``current`` is protected at least as ``stored`` asks for."""
    if not wants_tls(current):
        return not wants_tls(stored) and _equal_keys(stored, current, "server_public_key")
    return not wants_tls(stored) or _equal_keys(stored, current, "sslrootcert")


def _equal_keys(one: Secret, other: Secret, key: str) -> bool:
    return one.get(key) == other.get(key)
