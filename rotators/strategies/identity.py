"""User and target of a value, compared before a login with it.

A stored value is untrusted: a person who may write the secret, but not read it, may have stored it. So a
stored password is sent only to the target that it was stored for. The pending value and the admin's secret
must name the target of the current value, and an older version that was stored for another target is not
tried. All targets are compared before the first connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.core.errors import IdentityMismatch, SecretFormatError
from rotators.logins.connecting import sends_clear_text, wants_start_tls, wants_tls
from rotators.logins.target import TARGET_KEYS, addresses, differing_keys, direct, host_of, port_of
from rotators.strategies.engine import form_members_of, identifiers_of, members_of

if TYPE_CHECKING:
    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.strategies.engine import Engine

# Not part of the target, but after promotion they would be trusted in the same way.
_TRUSTED_KEYS = ("clear_text", "engine", "masterarn", "strategy")

_HAS_IT_MOVED = (
    "If the named cluster or workgroup has another address since createSecret, remove AWSPENDING "
    "from this version (aws secretsmanager update-secret-version-stage --version-stage AWSPENDING"
    " --remove-from-version-id) and rotate again. If not, find out who stored the value."
)

_OPTIONAL_TEXTS = {"masterarn", "alternate_username", "sslrootcert", "server_public_key"}


def check_allowed(secret: Secret, engine: Engine, settings: Settings) -> None:
    """Check that ALLOWED_TARGETS, if it is set, names the addresses of a value.

    Args:
        secret: a value.
        engine: its engine.
        settings: settings of the function.

    Raises:
        IdentityMismatch: it does not name one of the addresses; nothing was sent to it.
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

    Args:
        secret: a value.
        engine: its engine.

    Raises:
        SecretFormatError: a key is missing or wrong.
    """
    secret.text("username")
    engine.credential.of(secret)
    if len(secret.text("username").encode(errors="surrogatepass")) > engine.longest_username:
        # A server may cut off a longer name, which then names another user.
        raise SecretFormatError(f"key 'username' of the secret exceeds {engine.longest_username} bytes")
    if not lacks_address(secret, engine):
        host_of(secret)
    for key in ("port", "admin_port"):
        port_of(secret, engine.default_port, key)
    if "admin_host" in secret:
        host_of(secret, "admin_host")
    for key, default in engine.target_defaults.items():
        secret.text(key, default)
    for key in (_OPTIONAL_TEXTS | members_of(engine).keys()) & secret.keys():
        secret.text(key)
    _refuse_reserved(secret, engine)
    wants_tls(secret)
    wants_start_tls(secret)
    sends_clear_text(secret)


def lacks_address(secret: Secret, engine: Engine) -> bool:
    """Return True if a value names its target by an identifier and has no address yet.

    Args:
        secret: a value.
        engine: its engine.

    Raises:
        SecretFormatError: an identifier is not a string.
    """
    named = [secret.text(key) for key in identifiers_of(engine) if key in secret]
    return bool(named) and "engine" in secret and "host" not in secret


def check_target(pending: Secret, current: Secret, engine: Engine) -> None:
    """Check that the pending value names the same target as the current one; the user may differ.

    Args:
        pending: the pending value.
        current: the current value.
        engine: engine of both values.

    Raises:
        IdentityMismatch: engine, host, port, dbname, or a key that protects the connection, differs.
        SecretFormatError: a key is missing or wrong.
    """
    for value in (pending, current):
        check_shape(value, engine)
    remedy = _HAS_IT_MOVED if any(key in current for key in identifiers_of(engine)) else None
    _check_host(pending, current, remedy=remedy)
    keys = TARGET_KEYS.union(
        _TRUSTED_KEYS, engine.target_defaults, members_of(engine), identifiers_of(engine)
    )
    for key in differing_keys(pending, current, keys, engine):
        raise IdentityMismatch(
            f"the pending value has another {key} than the current one",
            remedy=remedy if key == "port" else None,
        )


def _refuse_reserved(secret: Secret, engine: Engine) -> None:
    """Refuse stored keys that `for_users_of` adds to an admin's value: they could name another target."""
    for key in engine.target_defaults:
        if f"for_{key}" in secret:
            raise SecretFormatError(f"key 'for_{key}' has no meaning in a secret; remove it")


def check_user(pending: Secret, allowed: set[str]) -> None:
    """Check that the pending value names one of the allowed users.

    Args:
        pending: the pending value.
        allowed: names of users.

    Raises:
        IdentityMismatch: it names another user.
    """
    user = pending.text("username")
    if user not in allowed:
        names = " or ".join(repr(name) for name in sorted(allowed))
        raise IdentityMismatch(f"Attempting to modify user {user!r} other than current user {names}")


def proven_admin(rotation: Rotation, engine: Engine) -> Secret | None:
    """Return the admin of this rotation, checked with ``check_admin``.

    Args:
        rotation: rotation of the secret.
        engine: engine of the secret.

    Returns:
        The admin's value, or None if the secret has no ``masterarn``.

    Raises:
        IdentityMismatch, SecretFormatError: see ``check_admin``.
    """
    admin = rotation.admin
    if admin is None:
        return None
    check_admin(admin, rotation.current, {rotation.pending.text("username")}, engine)
    return for_users_of(admin, rotation.current, engine)


def for_users_of(admin: Secret, current: Secret, engine: Engine) -> Secret:
    """Return the admin's value with the members that the users' value determines.

    These are the part of the target with the users, such as ``for_dbname``, and the form in which the users'
    new credentials are stored.

    Args:
        admin: the value of the admin's secret.
        current: the current value.
        engine: engine of both values.

    Raises:
        SecretFormatError: a key is wrong.
    """
    parts = engine.target_defaults.items()
    determined: dict[str, object] = {f"for_{key}": current.text(key, default) for key, default in parts}
    forms = {key: current.get(key) for key in form_members_of(engine)}
    return admin.replace(**determined, **forms)


def check_admin(admin: Secret, current: Secret, users: set[str], engine: Engine) -> None:
    """Check that an admin administers the target of a value, and is another user.

    Args:
        admin: the value of the admin's secret.
        current: the current value.
        users: other users that the admin must not be.
        engine: engine of both values.

    Raises:
        IdentityMismatch: the admin's secret names another target, or a user that is being rotated.
        SecretFormatError: the admin's secret lacks a key.
    """
    if "engine" in admin and admin.text("engine") not in engine.names:
        raise IdentityMismatch("the secret that masterarn names has another engine")
    target = direct(current, engine)
    _check_host(
        admin,
        target,
        "the secret that masterarn names is ",
        "Use the same endpoint name (the writer's) in both secrets, then rotate again.",
    )
    if port_of(admin, engine.default_port) != port_of(target, engine.default_port):
        raise IdentityMismatch("the secret that masterarn names has another port")
    if wants_tls(current) and not wants_tls(admin):
        raise IdentityMismatch(
            (
                "the secret that masterarn names permits an unencrypted connection, and the current "
                "value does not"
            ),
            remedy='Remove "ssl": false from the admin\'s secret, then rotate again.',
        )
    if admin.text("username") in {current.text("username"), *users}:
        raise IdentityMismatch("the secret that masterarn names is for the user that is being rotated")


def _check_host(found: Secret, current: Secret, prefix: str = "", remedy: str | None = None) -> None:
    ours, theirs = host_of(current), host_of(found)
    if ours != theirs:
        raise IdentityMismatch(
            f"{prefix}for host {theirs!r}, and the current value is for host {ours!r}",
            remedy=remedy,
        )
