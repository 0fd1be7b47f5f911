"""`rotators up`: the stack of the demo, kept running for the AWS CLI and the other commands."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import click

from rotators.cli.output import console, json_option, print_json
from rotators.core.errors import ServerStartFailed

if TYPE_CHECKING:
    from rotators.cli.stack import Stack

DEFAULT_PORT = 4599
_HOST = "127.0.0.1"
_LOOK_SECONDS = 0.1
_CURRENT = (
    "PGPASSWORD=$(aws secretsmanager get-secret-value --secret-id demo/single"
    " --query SecretString --output text"
    " | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"password\"])') \\"
)


@click.command(short_help="Keep a local AWS and PostgreSQL running until Ctrl-C.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port of the local AWS on 127.0.0.1.",
)
@json_option
def up(port: int, as_json: bool) -> None:
    """Keep a local AWS and a PostgreSQL with seeded secrets running until Ctrl-C.

    Prints the exports for the AWS CLI and the connection strings.
    """
    _check_port(port)
    from rotators.cli.stack import Stack  # noqa: PLC0415 - moto takes a second to import

    # Not an Event: its lock may be held by the very wait that the signal interrupts.
    ended: list[int] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until it is up, both end the command at once
    out = console()
    out.quiet = as_json
    with out.status("starting a local AWS and PostgreSQL …"):
        stack = Stack(port).__enter__()
    try:
        stack.seed()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda received, _: ended.append(received))
        if as_json:
            print_json(_document(stack))
        else:
            _print(stack)
        while not ended:
            time.sleep(_LOOK_SECONDS)
    finally:
        with out.status("stopping …"):
            stack.__exit__()
    out.print("Stopped; nothing is left running.")


def _check_port(port: int) -> None:
    """Find a port that is in use before anything is started."""
    try:
        socket.create_server((_HOST, port)).close()
    except OSError as error:
        raise ServerStartFailed(
            f"port {port} of {_HOST} cannot be used: {os.strerror(error.errno or 0)}",
            remedy="`rotators up --port 0` takes a free port. If another `rotators up` listens there, use it,"
            " or end it with Ctrl-C.",
        ) from None


def _document(stack: Stack) -> dict[str, Any]:
    postgres = stack.postgres
    connections = {}
    for name in ("demo/admin", "demo/single", "demo/alternating"):
        value = stack.aws.client("secretsmanager").describe_secret(SecretId=name)
        connections[name] = value["ARN"]
    return {
        "endpoint": stack.aws.endpoint,
        "exports": stack.aws.exports(),
        "functions": {name: stack.aws.function_arn(name) for name in ("rotate", "store", "retrieve")},
        "secrets": connections,
        "postgres": {
            "host": postgres.host,
            "port": postgres.port,
            "dbname": postgres.dbname,
            "ca": postgres.ca,
        },
    }


def _print(stack: Stack) -> None:
    document = _document(stack)
    postgres = document["postgres"]
    user = stack.user("single")
    trust = f"sslmode=verify-full&sslrootcert={postgres['ca']}" if postgres["ca"] else "sslmode=disable"
    lines = ["# in another terminal:", "unset AWS_PROFILE AWS_SESSION_TOKEN"]
    lines += [f"export {name}={value}" for name, value in document["exports"].items()]
    lines += [
        "",
        "# connect as the secret's user; its password changes with every rotation:",
        _CURRENT,
        f"  psql 'postgresql://{user}@{postgres['host']}:{postgres['port']}/{postgres['dbname']}?{trust}'",
        "",
        "# try:",
        "aws secretsmanager rotate-secret --secret-id demo/single",
        "aws secretsmanager list-secret-version-ids --secret-id demo/single",
        "rotators show demo/single",
        "rotators rotate demo/alternating",
        "",
        "# Ctrl-C stops and removes everything.",
    ]
    console().print(*lines, sep="\n", soft_wrap=True)
