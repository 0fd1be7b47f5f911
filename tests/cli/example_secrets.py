"""Rotate, check and examine the secrets of `rotators up` for the engines that the arguments name.

All in one process, because starting one for each command takes most of the time. For each secret it prints a
line of JSON.
"""

from __future__ import annotations

import json
import os
import sys

from click.testing import CliRunner

from rotators.cli import cli
from rotators.cli.stack import Stack


def main(engines: list[str]) -> None:
    for engine in engines:
        with Stack(engine=engine) as stack:
            os.environ.update(stack.aws.exports())
            for each in stack.seed():
                found = {name: _document(name, each.name) for name in ("rotate", "check", "doctor")}
                print(json.dumps({"engine": engine, "strategy": each.strategy, **found}), flush=True)


def _document(command: str, secret: str) -> object:
    return json.loads(CliRunner().invoke(cli, [command, secret, "--json"], catch_exceptions=False).stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
