"""What is wrong with a secret's value, as far as that can be told without a login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.core.contracts import ChecksValues
from rotators.core.errors import IdentityMismatch, RotatorNotFound, RotatorsError, SecretFormatError
from rotators.core.registry import load, rotator_name, strategy_name
from rotators.core.secret import PUBLIC_KEYS

if TYPE_CHECKING:
    from rotators.core.contracts import Rotator
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings

_STORE = (
    "Correct that key, keep all others, and store the whole value again with PutSecretValue. The password"
    " need not change."
)


def rotator_of(value: Secret, settings: Settings) -> Rotator:
    """The rotator of a value.

    Raises:
        SecretFormatError: the value names no engine, or one that no rotator serves.
        RegistryError: ROTATOR names no rotator, or the rotator cannot be loaded: the secret is not to blame.
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
    """What keeps a value from being used, or None.

    Args:
        value: to be looked at; nothing is sent anywhere.
        settings: of the rotation function: ROTATOR and ALLOWED_TARGETS.

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


def remarks_on(value: Secret) -> tuple[str, ...]:
    """What is odd about a value that can be used: keys that are not read, a strategy without its admin."""
    ours = {key.lower(): key for key in PUBLIC_KEYS | {"password"}}
    unread = [
        f"key {key!r} of the secret is not read; keys are case-sensitive, and {ours[key.lower()]!r} is meant"
        for key in value
        if key.lower() in ours and key not in ours.values() and ours[key.lower()] not in value
    ]
    lonely = strategy_name(value) == "alternating" and "masterarn" not in value
    return (*unread, *(["strategy alternating needs an admin, and the secret names no masterarn"] * lonely))
