"""Arguments that the drivers of all engines have in common, for logins of applications."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from rotators.core.errors import SecretFormatError
from rotators.core.secret import Secret
from rotators.core.settings import Settings


def where(secret: Secret, given: Iterable[str], *others: str) -> dict[str, Any]:
    """Return the host as the argument ``host``, unless the caller decides it.

    Args:
        secret: value that names the host.
        given: names of the arguments that the caller passes.
        *others: arguments that replace ``host``.

    Returns:
        ``{"host": …}``; empty if the caller passes ``host`` or one of ``others``.

    Raises:
        SecretFormatError: neither the secret nor the caller names the host.
    """
    if "host" in given:
        return {}
    if secret.get("host"):
        return {"host": secret.text("host")}
    if set(given) & set(others):
        return {}
    raise SecretFormatError(
        "Key is missing from secret JSON: 'host'",
        remedy="Pass host=… (and port, dbname) to connect(), or store them in the secret. RDS stores only"
        " username and password in the secrets that it manages.",
    )


def application_settings() -> Settings:
    """Return the settings that apply in an application: the trusted certificates of SSL_ROOT_CERT."""
    return Settings(ssl_root_cert=os.environ.get("SSL_ROOT_CERT") or None)
