"""Errors of Secrets Manager, by their names in the API."""

from __future__ import annotations

from moto.secretsmanager.exceptions import (
    InvalidRequestException,
    SecretNotFoundException,
    SecretsManagerClientError,
)

NO_FUNCTION = "No Lambda rotation function ARN is associated with this secret."
NOT_COMPLETE = "A previous rotation isn't complete. That rotation will be reattempted."
DELETED = "You can't perform this operation on the secret because it was marked for deletion."
NOT_INVOCABLE = (
    "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants "
    "access to the principal secretsmanager.amazonaws.com."
)


def refusal(code: str, message: str) -> SecretsManagerClientError:
    """Create an error that moto's server sends with status 400.

    Args:
        code: Name of the error in the API, such as ``InvalidRequestException``.
        message: Its message, without any value of a secret.

    Returns:
        The exception; the caller raises it.
    """
    return SecretsManagerClientError(code, message)


def invalid_parameter(message: str) -> SecretsManagerClientError:
    """Return an ``InvalidParameterException`` with ``message``; the caller raises it."""
    return refusal("InvalidParameterException", message)


def invalid_request(message: str) -> SecretsManagerClientError:
    """Return an ``InvalidRequestException`` with ``message``; the caller raises it."""
    return InvalidRequestException(message)


def validation(member: str, constraint: str) -> SecretsManagerClientError:
    """Create the ``ValidationException`` of a member of a request.

    Args:
        member: its path in the request, as the service writes it.
        constraint: what it violates. Its value is left out, because it may be a part of a secret.

    Returns:
        The exception; the caller raises it.
    """
    message = f"1 validation error detected: Value at '{member}' failed to satisfy constraint: {constraint}"
    return refusal("ValidationException", message)


def invalid_next_token() -> SecretsManagerClientError:
    """Return an ``InvalidNextTokenException``; the caller raises it."""
    return refusal("InvalidNextTokenException", "The NextToken value is invalid.")


def not_found(message: str) -> SecretsManagerClientError:
    """Return a ``ResourceNotFoundException`` with ``message``; the caller raises it."""
    return _NotFound(message)


class _NotFound(SecretNotFoundException):
    """Moto's BatchGetSecretValue reports this class per secret, and would fail as a whole on any other."""

    code = 400

    def __init__(self, message: str) -> None:
        SecretsManagerClientError.__init__(self, "ResourceNotFoundException", message)
