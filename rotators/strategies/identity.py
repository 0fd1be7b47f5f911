"""Whom and what a value opens, compared before anybody logs in with it.

A stored value is input: anyone who may write the secret may have written it, and need not be able to read it.
So a stored password is sent only to the target that it was stored for. The pending value must lead where
the current one leads, an admin's secret too, and an older version that was stored for another target is
not tried. All of that is compared before the first connection is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.core.errors import IdentityMismatch, SecretFormatError
from rotators.logins.connecting import sends_clear_text, wants_tls
from rotators.logins.target import addresses, direct, host_of, port_of

if TYPE_CHECKING:
    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.strategies.engine import Engine

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


def check_allowed(secret: Secret, engine: Engine, settings: Settings) -> None:
    """Check that ALLOWED_TARGETS, if it is set, names the addresses of a value.

    Raises:
        IdentityMismatch: it does not name one of them; nothing was sent there.
        SecretFormatError: a key is missing or wrong.
    """
    for host, port in addresses(secret, engine):
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
    addresses(secret, engine)
    for key, default in engine.target_defaults.items():
        secret.text(key, default)
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
    for key, default in engine.target_defaults.items():
        _equal(key, pending.text(key, default), current.text(key, default))
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
