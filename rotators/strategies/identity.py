"""Whom and what a value opens, compared before anybody logs in with it.

A stored value is input: whoever may write the secret may have written it. So the pending value must lead
to the same place as the current one, and an admin's too, before the first connection is made (weaknesses
of rotation functions that compare after an early return are in docs/architecture.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.core.errors import IdentityMismatch, SecretFormatError
from rotators.strategies.connecting import wants_tls

if TYPE_CHECKING:
    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.strategies.engine import Engine

# Not part of the address, but after promotion they would be trusted as much as it.
_TRUSTED_KEYS = ("masterarn", "strategy", "ssl", "sslrootcert")


def port_of(secret: Secret, default: int) -> int:
    """The port as a number; the default when the secret names none.

    Raises:
        SecretFormatError: it is not a number from 1 to 65535.
    """
    value = secret.get("port", default)
    port = 0
    if isinstance(value, int) and not isinstance(value, bool):
        port = value
    elif isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 5:  # noqa: PLR2004 - 65535
        port = int(value)
    if not 0 < port < 65536:  # noqa: PLR2004 - the range of a TCP port
        raise SecretFormatError("key 'port' of the secret must be a number from 1 to 65535")
    return port


def check_shape(secret: Secret, engine: Engine) -> None:
    """Check all keys that a login needs, so that a value that cannot work is refused before one is stored.

    Raises:
        SecretFormatError: a key is missing or wrong.
    """
    for key in ("host", "username", "password"):
        secret.text(key)
    if len(secret.text("username").encode(errors="surrogatepass")) > engine.longest_username:
        # A server may cut a longer name off, and so mean another user.
        raise SecretFormatError(f"key 'username' of the secret exceeds {engine.longest_username} bytes")
    port_of(secret, engine.default_port)
    secret.text("dbname", engine.default_dbname)
    wants_tls(secret)


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
    _check_host(admin, rotation.current, "the secret behind masterarn is ")
    if port_of(admin, engine.default_port) != port_of(rotation.current, engine.default_port):
        raise IdentityMismatch("the secret behind masterarn has another port")
    if admin.text("username") in {rotation.current.text("username"), rotation.pending.text("username")}:
        raise IdentityMismatch("the secret behind masterarn names the user that is being rotated")
    return admin


def _check_host(found: Secret, current: Secret, prefix: str = "") -> None:
    ours, theirs = current.text("host").lower(), found.text("host").lower()
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
