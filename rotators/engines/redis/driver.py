"""redis-py in applications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotators.logins.connecting import SYSTEM_ROOTS, trusted_roots
from rotators.logins.driver import ClientSide, Driver, Verdict, application_settings, where
from rotators.logins.target import port_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotators.core.secret import Secret

_PORT = 6379

_VERDICTS = {
    "AuthenticationError": Verdict.REJECTED,
    "AuthorizationError": Verdict.OTHER,
    "MaxConnectionsError": Verdict.OTHER,
    "BusyLoadingError": Verdict.UNAVAILABLE,
    "ConnectionError": Verdict.UNAVAILABLE,
    "TimeoutError": Verdict.UNAVAILABLE,
}
"""By class, the nearest ancestor first: redis-py's rejection is a kind of its connection error."""


def _judge(error: Exception) -> Verdict:
    # Not the system's errors: redis-py wraps those, and they are called by the same names.
    if type(error).__module__.partition(".")[0] != "redis":
        return Verdict.OTHER
    ancestors = (ancestor.__name__ for ancestor in type(error).__mro__)
    return next((verdict for name in ancestors if (verdict := _VERDICTS.get(name))), Verdict.OTHER)


def server_parameters(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    """What redis-py calls a secret's parts, user and password apart.

    Args:
        secret: the value.
        given: what the caller passes; it need not be in the secret.

    Returns:
        Keyword arguments of ``redis.Redis``.

    Raises:
        SecretFormatError: the host is missing; and as ``trusted_roots``.
        TargetUnavailable: as ``trusted_roots``.
    """
    roots = trusted_roots(secret, application_settings(), "SSL_CERT_FILE")
    tls: dict[str, Any] = {} if roots is None else {"ssl": True, "ssl_check_hostname": True}
    if roots not in {None, SYSTEM_ROOTS}:
        tls["ssl_ca_certs"] = roots
    return {**where(secret, given, "unix_socket_path"), "port": port_of(secret, _PORT), **tls}


def user_and_password(secret: Secret) -> tuple[str, str]:
    """Whom a connection logs in as. Clear text.

    Raises:
        SecretFormatError: the password is missing, or a key is no text.
    """
    return secret.text("username", "default"), secret.text("password")


def _parameters(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    user, password = user_and_password(secret)
    return {**server_parameters(secret, given), "username": user, "password": password}


REDIS = Driver(
    "redis",
    _parameters,
    lambda error, _: _judge(error),
    engine="redis",
    port=_PORT,
    reconnects=True,
    uncovered={"redis.asyncio": "Use redis.Redis in a thread."},
)
CLIENT_SIDE = ClientSide(engines={"redis": "redis"}, port=_PORT, words=(), judge=_judge, drivers=(REDIS,))
