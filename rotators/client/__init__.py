"""For applications: secrets from memory, and database logins that survive rotation.

    from rotators.client import Credentials
    database = Credentials("prod/app/db")
    with database.connect(psycopg.connect) as connection: ...

`SecretCache` reads secrets; `Credentials` logs in; `AsyncSecretCache` and `AsyncCredentials` do the same for
asyncio. Recipes: docs/how-to/clients.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rotators.client.aio import AsyncCredentials, AsyncSecretCache
    from rotators.client.credentials import Credentials
    from rotators.client.secret_cache import SecretCache

__all__ = ["AsyncCredentials", "AsyncSecretCache", "Credentials", "SecretCache"]

_WHERE = {
    "AsyncCredentials": "aio",
    "AsyncSecretCache": "aio",
    "Credentials": "credentials",
    "SecretCache": "secret_cache",
}


def __getattr__(name: str) -> object:
    # Imported on first use: a function that only reads secrets should not import asyncio in its cold start.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
