"""For applications: secrets from memory, and database logins that survive rotation.

    from rotators.client import Credentials
    database = Credentials("prod/app/db")
    with database.connect(psycopg.connect) as connection: ...

`SecretCache` reads secrets, from Secrets Manager (`SecretsManager`) or the retrieve function (`RetrieveUrl`);
`Credentials` logs in; `AsyncSecretCache` and `AsyncCredentials` do the same for asyncio. A program that calls
the driver itself gets an `Attempt`, and names its driver with `driver_named` or `COMMON`.
Recipes: docs/how-to/clients.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rotators.aws.secrets import SecretsManager
    from rotators.client._aio import AsyncCredentials, AsyncSecretCache
    from rotators.client._credentials import Credentials
    from rotators.client._drivers import COMMON, driver_named
    from rotators.client._flow import Attempt
    from rotators.client._retrieve_url import RetrieveUrl
    from rotators.client._secret_cache import SecretCache

__all__ = [
    "COMMON",
    "AsyncCredentials",
    "AsyncSecretCache",
    "Attempt",
    "Credentials",
    "RetrieveUrl",
    "SecretCache",
    "SecretsManager",
    "driver_named",
]

_WHERE = {
    "COMMON": "rotators.client._drivers",
    "AsyncCredentials": "rotators.client._aio",
    "AsyncSecretCache": "rotators.client._aio",
    "Attempt": "rotators.client._flow",
    "Credentials": "rotators.client._credentials",
    "RetrieveUrl": "rotators.client._retrieve_url",
    "SecretCache": "rotators.client._secret_cache",
    "SecretsManager": "rotators.aws.secrets",
    "driver_named": "rotators.client._drivers",
}


def __getattr__(name: str) -> object:
    # Imported on first use: a function that only reads secrets should not import asyncio in its cold start.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
