"""`rotators up`: a stack that is kept running for the AWS CLI and the other commands."""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack
from functools import partial
from typing import Any

import click

from rotators.cli.output import Screen, console, json_option
from rotators.cli.signals import endings
from rotators.cli.stack import ADMIN, Seeded, Stack
from rotators.local.errors import ServerStartFailed
from rotators.manage.page import current_page
from rotators.manage.selector import Selector
from rotators.manage.serving import HOST, Dashboard
from rotators.testing import _targets

DEFAULT_PORT = 4599
_LOOK_SECONDS = 0.1
_CURRENT = (
    "{}=$(aws secretsmanager get-secret-value --secret-id {}"
    " --query SecretString --output text"
    " | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"password\"])') \\"
)


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port of the local AWS on 127.0.0.1.",
)
@click.option(
    "--engine",
    type=click.Choice(_targets.names()),
    default="postgres",
    show_default=True,
    help="Engine of the server.",
)
@json_option
def up(port: int, engine: str) -> None:
    """Keep a local AWS and a server running until Ctrl-C, with a secret for each strategy of the engine.

    Prints the exports for the AWS CLI, the command that logs into the server, and the address of the page of
    `rotators dashboard` about the secrets.
    """
    _check_port(port)

    out = console()
    with ExitStack() as later:
        with out.status(f"starting a local AWS and {engine} …"):
            stack = Stack(port, engine=engine).__enter__()
        try:
            seeded = stack.seed()
            ended = later.enter_context(
                endings()
            )  # until the end, because a second signal must not stop the stop
            with Dashboard(partial(current_page, Selector())) as page:
                out.document(_document(stack, seeded, page.address))
                _print(stack, seeded, page.address, out)
                while not ended:
                    time.sleep(_LOOK_SECONDS)
        finally:
            with out.status("stopping …"):
                stack.__exit__()
    out.print("Stopped; nothing is left running.")


def _check_port(port: int) -> None:
    """Find a port that is in use before anything is started."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise ServerStartFailed(
            f"port {port} of {HOST} cannot be used: {os.strerror(error.errno or 0)}",
            remedy=(
                "`rotators up --port 0` uses a free port. If another `rotators up` listens on this "
                "port, use it, or end it with Ctrl-C."
            ),
        ) from None


def _document(stack: Stack, seeded: list[Seeded], page: str) -> dict[str, Any]:
    secrets = {each.name: each.arn for each in seeded}
    if stack.server.administered:
        secrets[ADMIN] = stack.aws.client("secretsmanager").describe_secret(SecretId=ADMIN)["ARN"]
    value = stack.server.secret()
    return {
        "endpoint": stack.aws.endpoint,
        "dashboard": page,
        "exports": stack.aws.exports(),
        "functions": {name: stack.aws.function_arn(name) for name in ("rotate", "store", "retrieve")},
        "secrets": secrets,
        stack.server.engine: {
            **{name: value[name] for name in ("host", "port", "dbname") if name in value},
            "ca": stack.server.ca,
        },
    }


def _print(stack: Stack, seeded: list[Seeded], page: str, out: Screen) -> None:
    first, *others = seeded
    variable, client = stack.server.client(stack.user(first.strategy))
    lines = ["# in another terminal:", "unset AWS_PROFILE AWS_SESSION_TOKEN"]
    lines += [f"export {name}={value}" for name, value in stack.aws.exports().items()]
    lines += [
        "",
        "# connect as the secret's user; its password changes with every rotation:",
        _CURRENT.format(variable, first.name),
        f"  {client}",
        "",
        "# try:",
        f"aws secretsmanager rotate-secret --secret-id {first.name}",
        f"aws secretsmanager list-secret-version-ids --secret-id {first.name}",
        f"rotators show {first.name}",
        *(f"rotators rotate {each.name}" for each in others),
        "",
        f"# a page about the secrets: {page}",
        "# Ctrl-C stops and removes everything.",
    ]
    out.print(*lines, sep="\n")
