"""Errors of Secrets Manager, by their names in the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.secretsmanager.exceptions import InvalidRequestException, SecretsManagerClientError

if TYPE_CHECKING:
    from collections.abc import Callable

NO_FUNCTION = "No Lambda rotation function ARN is associated with this secret."
NOT_COMPLETE = "A previous rotation isn't complete. That rotation will be reattempted."
DELETED = "You can't perform this operation on the secret because it was marked for deletion."
NOT_INVOCABLE = (
    "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants "
    "access to the principal secretsmanager.amazonaws.com."
)


def with_answer_of_aws(
    init: Callable[..., None], error: SecretsManagerClientError, *args: Any, **named: Any
) -> None:
    """Complete moto's errors: their status and the body of the answer.

    The status is 400, also for a missing secret. The errors of the service's model have a member ``Message``
    (recorded on AWS). ValidationException is an error of all services; it keeps moto's ``message``.

    Args:
        init: Moto's own constructor of ``SecretsManagerClientError``.
        error: The new error.
        *args: Arguments of the constructor.
        **named: Further ones.
    """
    init(error, *args, **named)
    error.code = 400
    key = "message" if error.error_type == "ValidationException" else "Message"
    error.description = json.dumps({"__type": error.error_type, key: error.message})


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


def too_long(member: str, most: int) -> SecretsManagerClientError:
    """Create the ``ValidationException`` of a member of a request that is too long.

    Args:
        member: see `validation`.
        most: the largest length.

    Returns:
        The exception; the caller raises it.
    """
    return validation(member, f"Member must have length less than or equal to {most}")


def not_found(message: str) -> SecretsManagerClientError:
    """Return a ``ResourceNotFoundException`` with ``message``; the caller raises it."""
    return refusal("ResourceNotFoundException", message)
