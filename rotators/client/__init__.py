"""For applications: secrets from memory, and credentials that outlive a rotation unseen.

    from rotators.client import Credentials
    database = Credentials("prod/app/db")
    with database.connect(psycopg.connect) as connection: ...

`SecretCache` reads; `Credentials` logs in; both have a form for asyncio. Recipes: docs/how-to/clients.md.
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
    # When first asked for: a function that only reads should not pay for asyncio in its cold start.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
