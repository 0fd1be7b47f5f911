"""How the scripts of this folder end when they cannot do what was asked."""

from __future__ import annotations

import sys
from typing import NoReturn

STATUS = 2
"""The exit status of a refusal, as with other commands whose arguments are wrong."""


def refuse(message: str) -> NoReturn:
    """End the script with one message and no traceback.

    Args:
        message: what is wrong, and what to do next.

    Raises:
        SystemExit: always, with `STATUS`.
    """
    print(message, file=sys.stderr)
    raise SystemExit(STATUS)
