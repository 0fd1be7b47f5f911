"""Errors of KMS, by their names in the API.

Sources of the texts: answers recorded on AWS in LocalStack's tests (tests/aws/services/kms), and the KMS
Developer Guide's table of key states (key-state). If no source has a text, the message is empty.
"""

from __future__ import annotations

import json

from moto.core.exceptions import JsonRESTError

UNKNOWN_KEY = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or "
    "you are not allowed to access."
)
"""Message of Decrypt about the key of a ciphertext, which may or may not exist."""


class KmsRefusal(JsonRESTError):
    """An error that moto's server sends with status 400.

    Args:
        kind: Name of the error in the API.
        message: Its message; an empty one is left out of the body, as AWS does.
    """

    code = 400

    def __init__(self, kind: str, message: str = "") -> None:
        super().__init__(kind, message)
        if not message:
            self.description = json.dumps({"__type": kind})


def invalid(message: str) -> KmsRefusal:
    """Return a ``ValidationException`` with ``message``; the caller raises it."""
    return KmsRefusal("ValidationException", message)


def violated(member: str, constraint: str, value: object = None) -> KmsRefusal:
    """Create the ``ValidationException`` of a member of a request.

    Args:
        member: Its name in the API.
        constraint: What it violates.
        value: Its value; None for a member whose value AWS does not repeat.

    Returns:
        The exception; the caller raises it.
    """
    shown = "Value" if value is None else f"Value '{value}'"
    name = member[:1].lower() + member[1:]
    found = f"1 validation error detected: {shown} at '{name}' failed to satisfy constraint"
    return invalid(f"{found}: Member must {constraint}")


def not_found(message: str) -> KmsRefusal:
    """Return a ``NotFoundException`` with ``message``; the caller raises it."""
    return KmsRefusal("NotFoundException", message)


def invalid_state(message: str) -> KmsRefusal:
    """Return a ``KMSInvalidStateException`` with ``message``; the caller raises it."""
    return KmsRefusal("KMSInvalidStateException", message)


def unsupported(message: str = "") -> KmsRefusal:
    """Return an ``UnsupportedOperationException`` with ``message``; the caller raises it."""
    return KmsRefusal("UnsupportedOperationException", message)


def incompatible(algorithm: str, spec: str) -> KmsRefusal:
    """Create the ``InvalidKeyUsageException`` of an algorithm that a key does not have.

    Args:
        algorithm: Its name in the API.
        spec: Key spec of the key.

    Returns:
        The exception; the caller raises it.
    """
    text = f"Algorithm {algorithm} is incompatible with key spec {spec}."
    return KmsRefusal("InvalidKeyUsageException", text)
