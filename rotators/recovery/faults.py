"""Faults of a secret's value that are found without a login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.core.contracts import ChecksValues, Rotator, declared_members
from rotators.core.errors import IdentityMismatch, RotatorNotFound, RotatorsError, SecretFormatError
from rotators.core.registry import load, rotator_name
from rotators.core.secret import PUBLIC_KEYS, Members, Secret
from rotators.strategies.engine import own_members
from rotators.strategies.rotator import lacks_admin, strategy_of

if TYPE_CHECKING:
    from rotators.core.settings import Settings
    from rotators.strategies.engine import Engine

_STORE = (
    "Correct that key, keep all others, and store the whole value again with PutSecretValue. The password"
    " need not change."
)


def rotator_of(value: Secret, settings: Settings) -> Rotator:
    """Return the rotator of a value.

    Args:
        value: value of a secret.
        settings: settings of the rotation function: ROTATOR.

    Raises:
        SecretFormatError: the value names no engine, or one that no rotator serves.
        RegistryError: ROTATOR names no rotator, or the rotator cannot be loaded; the secret is not the cause.
    """
    try:
        return load(rotator_name(value, settings))
    except RotatorNotFound as error:
        if settings.rotator:
            raise
        raise SecretFormatError(
            f"key 'engine' of the secret: {error.cause}", remedy=_STORE, reason="engine"
        ) from None


def fault_of(value: Secret, settings: Settings) -> RotatorsError | None:
    """Return the fault that prevents the use of a value, or None.

    Args:
        value: value to check; nothing is sent anywhere.
        settings: settings of the rotation function: ROTATOR and ALLOWED_TARGETS.

    Raises:
        RegistryError: as for ``rotator_of``.
    """
    try:
        rotator = rotator_of(value, settings)
        if isinstance(rotator, ChecksValues):
            rotator.check_value(value, settings)
    except (SecretFormatError, IdentityMismatch) as error:
        if "remedy" not in vars(error):
            error.remedy = _STORE
        return error
    return None


def declared_members_of(value: Secret | None, settings: Settings) -> Members:
    """Return the members that the rotator of a value declares; none if it cannot be loaded.

    Args:
        value: any value; None for none.
        settings: settings of the rotation function.

    Returns:
        Public members and members of the credential.
    """
    try:
        return declared_members(rotator_of(value, settings) if value is not None else None)
    except RotatorsError:
        return Members()


def remarks_on(value: Secret, engine: Engine | None) -> tuple[str, ...]:
    """Return remarks about a usable value: keys that are not read, a strategy without its admin.

    Args:
        value: current value.
        engine: its engine; None for a rotator without one.

    Returns:
        One sentence for each remark, without a full stop.
    """
    declared = (*engine.credential.fields, *own_members(engine)) if engine else ()
    ours = {key.lower(): key for key in PUBLIC_KEYS.union(declared)}
    unread = [
        f"key {key!r} of the secret is not read; keys are case-sensitive, and {ours[key.lower()]!r} is meant"
        for key in value
        if key.lower() in ours and key not in ours.values() and ours[key.lower()] not in value
    ]
    if engine and lacks_admin(value, engine):
        strategy = strategy_of(value, engine)
        unread.append(f"strategy {strategy} needs an admin, and the secret names no masterarn")
    return tuple(unread)
