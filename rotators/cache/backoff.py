"""Retries of callers that share an error: which errors are transient, and the pauses before new attempts."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rotators.core.errors import RotatorsError

_FIRST, _LONGEST = 0.1, 2.0
_DOUBLINGS = 16

_random = random.SystemRandom()


def is_transient(error: RotatorsError) -> bool:
    """Return True if another attempt may succeed.

    Missing or expired AWS credentials count as transient, because the host renews them.

    Args:
        error: raised by a call to AWS.
    """
    return error.retryable or error.reason == "credentials"


def backoff_seconds(failures: int, *, first: float = _FIRST, longest: float = _LONGEST) -> float:
    """Exponential backoff with jitter.

    Args:
        failures: consecutive failures so far, 1 or more.
        first: upper limit in seconds after the first failure.
        longest: upper limit in seconds after any failure.

    Returns:
        Seconds to wait: a random number between half of the doubled limit and the limit.
    """
    return doubled_seconds(failures, first, longest) * _random.uniform(0.5, 1)


def doubled_seconds(failures: int, first: float, longest: float) -> float:
    """Return the seconds after a number of failures, twice as many after each further one.

    Args:
        failures: consecutive failures so far, 1 or more; any number of them.
        first: seconds after the first failure.
        longest: seconds after any failure, at most.

    Returns:
        ``first`` times two to the power of ``failures`` - 1, at most ``longest``.
    """
    return min(first * 2.0 ** min(failures - 1, _DOUBLINGS), longest)
