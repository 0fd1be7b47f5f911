"""Invocation of Lambda functions by the commands."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from rotators.aws import clients
from rotators.aws.faults import not_aws, translated
from rotators.cli.errors import FunctionFailed
from rotators.core.errors import RotatorsError, error_of

STACK = "rotators"
"""Default of the option --stack (samconfig.toml)."""

stack_option = click.option("--stack", default=STACK, show_default=True, help="Name of the stack.")
remote_option = click.option(
    "--remote", is_flag=True, help="Run the command in the stack's operate function, inside the VPC."
)


def remote_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options --remote and --stack, which pass one argument to the command.

    Args:
        command: takes ``function``, the name of the operate function, or None to work from this machine.

    Returns:
        The command with the options.
    """

    @remote_option
    @stack_option
    @functools.wraps(command)
    def run(*, remote: bool, stack: str, **others: Any) -> None:
        command(function=f"{stack}-operate" if remote else None, **others)

    return run


@dataclass(frozen=True)
class FunctionAnswer:
    """The answer of a function.

    Attributes:
        function: the function's name.
        payload: the JSON value that it returned. After a failure: ``errorMessage``, ``errorType`` and
            ``stackTrace``.
        failed: True if the function raised an error.
    """

    function: str
    payload: Any
    failed: bool

    @property
    def error(self) -> RotatorsError:
        """Return the error that the function raised: with its code, or FunctionFailed if it has none."""
        message = str(self.payload.get("errorMessage", "")) if isinstance(self.payload, dict) else ""
        failed = FunctionFailed(f"the function {self.function} failed: {message or 'no message'}")
        return error_of(message) or failed


def answer_of(name: str, event: object) -> FunctionAnswer:
    """Invoke a function.

    Args:
        name: name of the function.
        event: event for the function; JSON types only.

    Returns:
        Its answer, also if the function raised an error.

    Raises:
        StoreError: the function could not be invoked.
        ServiceUnavailable: the answer is not JSON; try again.
    """
    with translated("Invoke", name):
        answer = clients.invoker().invoke(FunctionName=name, Payload=json.dumps(event).encode())
    try:
        payload = json.loads(answer["Payload"].read() or b"null")
    except ValueError:
        raise not_aws("Invoke", name) from None
    return FunctionAnswer(name, payload, "FunctionError" in answer)


def ask_function(name: str, event: Mapping[str, Any]) -> Any:
    """Invoke a function, and return its answer.

    Args:
        name: name of the function.
        event: event for the function.

    Returns:
        The answer, as JSON types.

    Raises:
        RotatorsError: the error that the function raised, with the same code, cause and next action.
        FunctionFailed: the function failed with an error without a code of this project.
        StoreError: the function could not be invoked.
    """
    answer = answer_of(name, event)
    if answer.failed:
        raise answer.error
    return answer.payload
