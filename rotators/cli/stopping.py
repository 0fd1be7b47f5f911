"""The end of a command that was stopped between its changes, or did not make all of them."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from rotators.cli.errors import Interrupted, SystemRefused
from rotators.cli.output import error_document, print_error
from rotators.core.errors import RotatorsError

STOPS = (Exception, KeyboardInterrupt)
"""Exceptions that stop a command; they are raised again after the output has named the changes."""


def state_of(stopped: BaseException) -> str:
    """Return ``interrupted`` after a signal, and ``failed`` after an error.

    Args:
        stopped: what stopped the command.
    """
    return "interrupted" if isinstance(stopped, KeyboardInterrupt) else "failed"


def expected(stopped: BaseException | None) -> RotatorsError | None:
    """Return the error with code, cause and next action; None for anything else.

    Args:
        stopped: what stopped the command, or None.
    """
    if isinstance(stopped, OSError):
        return SystemRefused.of(stopped)
    return stopped if isinstance(stopped, RotatorsError) else None


def told(stopped: BaseException) -> RotatorsError:
    """Return the error with code, cause and next action; that of a signal for anything unexpected.

    Args:
        stopped: what stopped the command.
    """
    return expected(stopped) or Interrupted("a signal ended the command")


def error_member(stopped: BaseException | None) -> dict[str, Any] | None:
    """Return the member ``error`` of a document.

    Args:
        stopped: what stopped the command, or None.

    Returns:
        See `error_document`; None if the command was not stopped, or not by an expected error.
    """
    error = expected(stopped)
    return error_document(error) if error else None


def exit_unless(done: object) -> None:
    """End the process with status 1 if the command did not do what was asked. The output contains the reason.

    Args:
        done: true if it did.
    """
    if not done:
        sys.exit(1)


def end(stopped: BaseException) -> NoReturn:
    """End the process with status 1. The output contains the details, in at most one document.

    Args:
        stopped: what stopped the command.

    Raises:
        BaseException: ``stopped``, if it is not an expected error.
    """
    if not isinstance(stopped, KeyboardInterrupt):
        error = expected(stopped)
        if error is None:
            raise stopped
        print_error(str(error))
    sys.exit(1)
