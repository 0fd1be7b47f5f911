"""The error exit of the scripts in this folder."""

from __future__ import annotations

import sys
from typing import NoReturn

STATUS = 2
"""The exit status of a refusal, the usual one for wrong arguments of a command."""


def refuse(message: str) -> NoReturn:
    """End the script with one message and no traceback.

    Args:
        message: what is wrong, and what to do next.

    Raises:
        SystemExit: always, with `STATUS`.
    """
    print(message, file=sys.stderr)
    raise SystemExit(STATUS)
