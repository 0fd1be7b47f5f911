"""Run one `rotators` command in this process as the console script does, with its output captured."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from unittest import mock

from rotators.cli import main


@dataclass(frozen=True)
class Done:
    """The result of a command: its exit status, stdout and stderr."""

    status: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout + self.stderr


def command(*arguments: str, stdin: str = "") -> Done:
    """Run a command; the process exit becomes ``Done.status``."""
    out, err = io.StringIO(), io.StringIO()
    status: object = None
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "stdin", io.StringIO(stdin)),
    ):
        try:
            main(arguments)
        except SystemExit as ended:
            status = ended.code or 0
    assert isinstance(status, int), status
    return Done(status, out.getvalue(), err.getvalue())
