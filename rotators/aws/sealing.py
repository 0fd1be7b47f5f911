"""Sealed values: encrypted in this process before they are stored, so that Secrets Manager never has them.

Secrets Manager encrypts every value with the secret's key, and decrypts it for every caller who may read
the secret. A sealed value is encrypted with a second key before that. Reading it needs ``kms:Decrypt`` on the
sealing key too.

Configuration is the process's environment. ``SEALING_KEYS`` names the sealing keys: the first one seals every
stored value, and each of them can open values. It also declares that values must be sealed: a clear one is
refused, unless ``SEALING_ALLOWS_CLEAR`` is true. A sealed value is recognised by its form, so a
process without ``SEALING_KEYS`` refuses to read it, and a rotation cannot replace it with a clear one. The
store function reads no values, so it can.

The AWS Encryption SDK is imported (``envelope``) only if a value is sealed or opened.
"""

from __future__ import annotations

import base64
import json
import os
import re
from types import ModuleType

from rotators.core.errors import ConfigurationError, LimitExceeded, SealedValueError
from rotators.core.settings import flag

KEYS = "SEALING_KEYS"
"""Environment variable with the ARNs of the sealing keys, separated by commas."""

ALLOWS_CLEAR = "SEALING_ALLOWS_CLEAR"
"""Environment variable: true to accept clear values although SEALING_KEYS is set."""

MEMBER = "rotators-sealed"
"""The only member of a sealed value: the message of the AWS Encryption SDK, in base64."""

_MOST_BYTES = 65_536  # API:PutSecretValue, SecretString
_BEGINNING = re.compile(rf'\s*{{\s*"{MEMBER}"')
_KEY_ARN = re.compile(r"arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")


def opened(name: str, content: str, *, clear: bool = False) -> str:
    """Return the clear text of a stored value.

    Args:
        name: name of the secret, for which the value must have been sealed.
        content: the SecretString.
        clear: True if a clear value is accepted in any case.

    Returns:
        The text that was sealed; ``content`` itself if it is clear.

    Raises:
        SealedValueError: the value cannot be opened, or is clear and must be sealed.
        ConfigurationError: SEALING_KEYS is wrong, or the AWS Encryption SDK is not installed.
        AccessDenied, KeyUnusable, …: KMS does not decrypt the data key.
    """
    keys, message = _keys(), _message(name, content)
    if message is None:
        if keys and not clear:
            _require_clear_allowed(name)
        return content
    if not keys:
        raise SealedValueError(
            f"the value of {name} is sealed, and {KEYS} is not set",
            remedy=f"Set {KEYS} to the ARN of the key that seals the value.",
            reason="no-keys",
        )
    text: str = _envelope().opened(name, message, keys)
    return text


def stored(name: str, content: str | bytes) -> str | bytes:
    """Return a value in the form in which it is to be stored: sealed if SEALING_KEYS is set.

    Args:
        name: name of the secret. The value can be opened only for a secret of this name.
        content: the clear text of a SecretString, or the bytes of a SecretBinary.

    Returns:
        The SecretString or SecretBinary.

    Raises:
        SealedValueError: the value is binary, or is sealed already.
        LimitExceeded: the sealed value is larger than Secrets Manager permits.
        ConfigurationError, AccessDenied, KeyUnusable, …: as ``opened``.
    """
    keys = _keys()
    if not keys:
        return content
    if isinstance(content, bytes):
        require_binary_allowed(name)
        return content
    if _message(name, content) is not None:
        raise SealedValueError(
            f"the new value of {name} is already sealed, and {KEYS} would seal it again",
            remedy=f"Give the clear value, or unset {KEYS} for this call.",
            reason="sealed-twice",
        )
    sealed = json.dumps({MEMBER: base64.b64encode(_envelope().sealed(name, content, keys[0])).decode()})
    if len(sealed) > _MOST_BYTES:
        raise LimitExceeded(
            f"the value of {name} has {len(sealed)} bytes when it is sealed; {_MOST_BYTES} are permitted",
            reason="sealed-size",
        )
    return sealed


def _require_clear_allowed(name: str) -> None:
    """Refuse a value that is not sealed, if it must be.

    Args:
        name: name of the secret.

    Raises:
        SealedValueError: SEALING_KEYS is set, and SEALING_ALLOWS_CLEAR is not true.
    """
    if _keys() and not flag(os.environ, ALLOWS_CLEAR, default=False):
        raise SealedValueError(
            f"the value of {name} is not sealed, although {KEYS} is set",
            remedy=f"Find out who stored it. Store it through a function or command with {KEYS}, or set"
            f" {ALLOWS_CLEAR}=true until the next rotation has sealed it.",
            reason="clear",
        )


def require_binary_allowed(name: str) -> None:
    """Refuse a binary value, which is never sealed, if values must be.

    Args:
        name: name of the secret.

    Raises:
        SealedValueError: as ``_require_clear_allowed``.
    """
    try:
        _require_clear_allowed(name)
    except SealedValueError as error:
        raise SealedValueError(
            f"the value of {name} is binary, which is never sealed, although {KEYS} is set",
            remedy=f"Store it as text, or set {ALLOWS_CLEAR}=true, or unset {KEYS} for its readers.",
            reason=error.reason,
        ) from None


def seals() -> bool:
    """Return True if values are sealed before they are stored.

    Raises:
        ConfigurationError: SEALING_KEYS is wrong.
    """
    return bool(_keys())


def names(key: str) -> bool:
    """Return True if SEALING_KEYS names a key, or another one of the same multi-Region keys.

    Args:
        key: its ARN.

    Raises:
        ConfigurationError: SEALING_KEYS is wrong.
    """
    return any(each.split(":")[4:] == key.split(":")[4:] for each in _keys())


def _keys() -> list[str]:
    given = os.environ.get(KEYS, "").strip()
    keys = [key.strip() for key in given.split(",")] if given else []
    if not all(_KEY_ARN.fullmatch(key) for key in keys):
        raise ConfigurationError(
            f"{KEYS} must be ARNs of KMS keys (not of aliases), separated by commas",
            remedy=f"Correct the environment variable {KEYS}.",
        )
    return keys


def _message(name: str, content: str) -> bytes | None:
    """Return the message in a sealed value; None if the value is clear."""
    if MEMBER not in content:
        return None
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = {MEMBER: None} if _BEGINNING.match(content) else None  # truncated, or not a sealed value
    if not isinstance(value, dict) or MEMBER not in value:
        return None
    try:
        message = base64.b64decode(value[MEMBER], validate=True) if len(value) == 1 else b""
    except (TypeError, ValueError):
        message = b""
    if not message:
        raise SealedValueError(
            f"the sealed value of {name} cannot be opened: it was truncated or changed", reason="altered"
        )
    return message


def _envelope() -> ModuleType:
    try:
        from rotators.aws import envelope  # noqa: PLC0415 - takes half a second, and only sealed values need it
    except ImportError:
        raise ConfigurationError(
            "the AWS Encryption SDK, which seals and opens values, is not installed",
            remedy="Install the extra rotators[sealed]; for Lambda, build with DRIVERS=…,sealed.",
            reason="sealed-extra",
        ) from None
    return envelope
