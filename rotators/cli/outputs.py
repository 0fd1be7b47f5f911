"""`rotators outputs`: the outputs of a deployed stack, for people, machines and the shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

import click
from rich.table import Column

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.cli.aws import STACK, stack_option
from rotators.cli.errors import StackNotFound
from rotators.cli.output import console, json_option, table
from rotators.core.errors import AccessDenied, StoreError

_MARK = "RotateFunctionArn"
"""Output that identifies a stack of template.yaml."""


@click.command()
@stack_option
@click.option("--shell", is_flag=True, help='Print export lines, for eval "$(rotators outputs --shell)".')
@json_option
def outputs(stack: str, shell: bool) -> None:
    """Show the outputs of a deployed stack: ARNs of functions, key, policy and topic."""
    out = console()
    if shell and out.quiet:
        raise click.UsageError("Give --shell or --json, not both.")
    found = read_outputs(stack)
    out.document(found)
    if shell:
        for name, value in found.items():
            out.print(f"export {variable(name)}={shlex.quote(value)}")
        return
    out.print(table((Column("output", no_wrap=True), "value"), found.items(), f"stack {stack}"))
    again = "" if stack == STACK else f" --stack {stack}"
    out.next(f'`eval "$(rotators outputs{again} --shell)"` sets them as variables of the shell.')


def read_outputs(stack: str) -> dict[str, str]:
    """Return the outputs of a stack.

    Args:
        stack: the stack's name.

    Returns:
        Output key to value, in alphabetical order.

    Raises:
        StackNotFound: there is no such stack, or it has no outputs yet. The next action names the
            existing stacks of this project.
        AccessDenied: the caller may not describe the stack, or has no credentials.
        StoreError: another refusal of CloudFormation.
    """
    try:
        with translated("DescribeStacks", stack):
            (found,) = clients.stacks().describe_stacks(StackName=stack)["Stacks"]
    except AccessDenied as error:
        if error.reason:  # such as missing credentials
            raise
        remedy = "Attach the policy of the output OperatorPolicyArn to the caller, or give --stack correctly."
        raise AccessDenied(error.cause, remedy=remedy) from None
    except StoreError as error:
        if "does not exist" not in error.cause:
            raise
        missing = f"there is no stack {stack} in this account and Region"
    else:
        if values := _values(found):
            return dict(sorted(values.items()))
        missing = f"the stack {stack} has no outputs; its status is {found['StackStatus']}"
    raise StackNotFound(missing, remedy=_remedy())


def variable(output: str) -> str:
    """Return the shell variable of an output: ``RotateFunctionArn`` becomes ``ROTATE_FUNCTION_ARN``.

    Args:
        output: key of the output.
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", output).upper()


def _values(stack: Mapping[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _remedy() -> str:
    try:
        with translated("DescribeStacks", "all stacks"):
            pages = clients.stacks().get_paginator("describe_stacks").paginate()
            names = [
                stack["StackName"] for page in pages for stack in page["Stacks"] if _MARK in _values(stack)
            ]
    except AccessDenied:  # the policy for operators names one stack only
        names = []
    if names:
        return f"Name one of these with --stack: {', '.join(sorted(names))}."
    return (
        "Check the account and the Region, name the stack with --stack, or deploy it "
        "(docs/how-to/deploying.md)."
    )
