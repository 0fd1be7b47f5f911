"""The driver redis-py in applications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rotators.core.secret import Secret
from rotators.engines.redis.messages import MESSAGES
from rotators.logins.arguments import application_settings, where
from rotators.logins.connecting import SYSTEM_ROOTS, trusted_roots
from rotators.logins.driver import ClientSide, Driver, judge_of
from rotators.logins.target import port_of

_PORT = 6379


def server_parameters(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a secret's parts under redis-py's names, without user and password.

    Args:
        secret: value.
        given: keyword arguments of the caller; the secret need not have these parts.

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
    """Return the user and password that a connection logs in with, in clear text.

    Args:
        secret: value.

    Returns:
        The user, ``default`` if the secret names none, and the password.

    Raises:
        SecretFormatError: the password is missing, or a key is not text.
    """
    return secret.text("username", "default"), secret.text("password")


def _parameters(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    user, password = user_and_password(secret)
    return {**server_parameters(secret, given), "username": user, "password": password}


REDIS = Driver(
    "redis",
    _parameters,
    judge_of(MESSAGES),
    engine="redis",
    port=_PORT,
    reconnects=True,
)
CLIENT_SIDE = ClientSide(
    engines=dict.fromkeys(("redis", "valkey"), "redis"),
    port=_PORT,
    messages=MESSAGES,
    drivers=(REDIS,),
)
