"""Invoking Lambda functions from the commands."""

from __future__ import annotations

import functools
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from rotators.aws import clients
from rotators.aws.faults import not_aws, translated
from rotators.core.errors import FunctionFailed, RotatorsError, error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

STACK = "rotators"
"""Name of the stack whose functions are meant, unless an option says otherwise (samconfig.toml)."""

stack_option = click.option(
    "--stack", default=STACK, show_default=True, help="The stack whose functions are meant."
)
remote_option = click.option(
    "--remote", is_flag=True, help="Let the stack's operate function do it, inside the VPC."
)


def remote_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options --remote and --stack, which give the command one argument.

    Args:
        command: takes ``function``, the name of the operate function, or None to work from this machine.
    """

    @remote_option
    @stack_option
    @functools.wraps(command)
    def run(*, remote: bool, stack: str, **others: Any) -> None:
        command(function=f"{stack}-operate" if remote else None, **others)

    return run


@contextmanager
def invoking(name: str) -> Iterator[Any]:
    """The Lambda client, with its errors translated."""
    with translated("Invoke", name):
        yield clients.invoker()


@dataclass(frozen=True)
class Answer:
    """What a function answered.

    Attributes:
        function: the function's name.
        payload: the answer, as JSON has it; for a failure ``errorMessage``, ``errorType``, ``stackTrace``.
        failed: whether the function raised an error.
    """

    function: str
    payload: Any
    failed: bool

    @property
    def error(self) -> RotatorsError:
        """The error that the function raised: one of ours, or FunctionFailed for any other."""
        message = str(self.payload.get("errorMessage", "")) if isinstance(self.payload, dict) else ""
        failed = FunctionFailed(f"the function {self.function} failed: {message or 'no message'}")
        return error_of(message) or failed


def answer_of(name: str, event: object) -> Answer:
    """Invoke a function.

    Args:
        name: the function's name.
        event: what it gets.

    Raises:
        StoreError: the function could not be invoked.
    """
    with invoking(name) as client:
        answer = client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
    try:
        payload = json.loads(answer["Payload"].read() or b"null")
    except ValueError:
        raise not_aws("Invoke", name) from None
    return Answer(name, payload, "FunctionError" in answer)


def ask_function(name: str, event: Mapping[str, Any]) -> Any:
    """Invoke a function and give its answer.

    Args:
        name: the function's name.
        event: what it gets.

    Returns:
        The answer, as JSON has it.

    Raises:
        RotatorsError: the error that the function raised, with the same code, cause and next action.
        FunctionFailed: the function failed with an error that is none of ours.
        StoreError: the function could not be invoked.
    """
    answer = answer_of(name, event)
    if answer.failed:
        raise answer.error
    return answer.payload
