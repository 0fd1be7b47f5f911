"""What a driver's error says about a login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.client.messages import Refusal
from rotators.core.redaction import redacted, without_frames

if TYPE_CHECKING:
    from rotators.client.messages import Login
    from rotators.logins.driver import Driver


def judged(error: Exception, ask: Login, driver: Driver) -> Refusal:
    """What a login's error says. The error shows no value of the secret any more, in its frames neither.

    Args:
        error: changed in place.
        ask: the login.
        driver: whose error it may be.

    Returns:
        The refusal; have it raise what is OTHER outside of the handler, or a replaced error stays in reach.
    """
    verdict = driver.judge(error, ask.secret)
    if isinstance(error, OSError) or type(error).__module__ != "builtins":
        # A library's. What an application raises by itself keeps the way that it came.
        error = without_frames(error)
    return Refusal(verdict, redacted(error, ask.secret.sensitive()))
