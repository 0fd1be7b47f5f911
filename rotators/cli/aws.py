"""Invoking Lambda functions from the commands."""

from __future__ import annotations

import functools
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.core.errors import FunctionFailed, error_of

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
    with invoking(name) as client:
        answer = client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        payload = json.loads(answer["Payload"].read() or b"null")
    if "FunctionError" not in answer:
        return payload
    message = str(payload.get("errorMessage", "")) if isinstance(payload, dict) else ""
    raise error_of(message) or FunctionFailed(f"the function {name} failed: {message or 'no message'}")
