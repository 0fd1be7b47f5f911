"""What a driver's error says about a login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.client.messages import Refusal, Verdict
from rotators.client.target import engine_of
from rotators.core.redaction import redacted, without_frames
from rotators.engines.mysql import messages as mysql_words
from rotators.engines.postgres import messages as postgres_words
from rotators.logins.causes import cause_of

if TYPE_CHECKING:
    from rotators.client.drivers import Driver
    from rotators.client.messages import Login
    from rotators.core.secret import Secret

_VERDICTS = {
    "password": Verdict.REJECTED,
    "blocked": Verdict.BLOCKED,
    **dict.fromkeys(("expired", "locked", "no-login"), Verdict.CLOSED),
    "database": Verdict.DATABASE,
    **dict.fromkeys(
        (
            "access-rule",
            "elsewhere",
            "needs-certificate",
            "needs-tls",
            "protocol",
            "tls",
            "tls-expired",
            "tls-host",
            "tls-not-yet-valid",
            "tls-unsupported",
            "tls-untrusted",
        ),
        Verdict.SERVER,
    ),
    **dict.fromkeys(
        (
            "closed",
            "closed-port",
            "connections",
            "starting",
            "timeout",
            "unknown-host",
            "unreachable",
            "user-connections",
        ),
        Verdict.UNAVAILABLE,
    ),
}
"""By the keys of ``strategies.causes.CAUSES``; all others are OTHER."""

_REDIS_VERDICTS = {
    "AuthenticationError": Verdict.REJECTED,
    "AuthorizationError": Verdict.OTHER,
    "MaxConnectionsError": Verdict.OTHER,
    "BusyLoadingError": Verdict.UNAVAILABLE,
    "ConnectionError": Verdict.UNAVAILABLE,
    "TimeoutError": Verdict.UNAVAILABLE,
}
"""By class, the nearest ancestor first: redis-py's rejection is a kind of its connection error."""


def is_of(error: Exception, *packages: str) -> bool:
    """Whether a driver, or the system below it, raised it; not what the application does in between."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in packages


def judge_postgres(error: Exception) -> Verdict:
    """What PostgreSQL and libpq say."""
    reason = cause_of(postgres_words.server_words(str(error)), postgres_words.PATTERNS)
    return _VERDICTS.get(reason or "", Verdict.OTHER)


def judge_mysql(error: Exception) -> Verdict:
    """What MySQL, MariaDB and PyMySQL say."""
    reason = cause_of(mysql_words.server_words(error), mysql_words.PATTERNS)
    return _VERDICTS.get(reason or "", Verdict.OTHER)


def judge_redis(error: Exception, _: Secret) -> Verdict:
    """What Redis and redis-py say."""
    # Not the system's errors: redis-py wraps those, and they are called by the same names.
    if type(error).__module__.partition(".")[0] != "redis":
        return Verdict.OTHER
    ancestors = (ancestor.__name__ for ancestor in type(error).__mro__)
    return next((verdict for name in ancestors if (verdict := _REDIS_VERDICTS.get(name))), Verdict.OTHER)


def judge_common(error: Exception, secret: Secret, engine: str = "") -> Verdict:
    """What a driver of the common kind says, by the secret's engine, or else by the driver's."""
    if getattr(error, "sqlstate", None) == "28P01":
        return Verdict.REJECTED
    named = engine_of(secret) or engine
    if any(word in named for word in ("mysql", "mariadb")):
        return judge_mysql(error)
    return judge_postgres(error) if any(word in named for word in ("postgres", "redshift")) else Verdict.OTHER


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
