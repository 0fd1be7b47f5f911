"""pymongo's client for asyncio: every connection logs in with a version that works now.

    client = await AsyncCredentials("prod/app/mongo").connect(pymongo.AsyncMongoClient)

See ``rotators.client.integrations.pymongo``, which has the rules.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo.asynchronous.pool import Pool
from pymongo.errors import NetworkTimeout

from rotators.client.integrations.pymongo import POOLED, ClientLogins, RotatingOptions
from rotators.core.errors import ConfigurationError
from rotators.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rotators.client._aio import AsyncCredentials
    from rotators.client._flow import Attempt

_SHARE = 0.95
"""Of the time of a login: the rest is left to end it with pymongo's error."""


async def connected(
    credentials: AsyncCredentials, make: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """Create a client and log in once, for ``AsyncCredentials.connect(pymongo.AsyncMongoClient)``.

    Args:
        credentials: log in.
        make: ``pymongo.AsyncMongoClient`` or a subclass.
        *args: passed to it.
        **kwargs: passed to it; they override the secret.

    Returns:
        The client. Each of its connections logs in with the credentials.

    Raises:
        pymongo.errors.PyMongoError: as from a client's first command.
        ConfigurationError: the client is for threads.
    """
    if not (isinstance(make, type) and issubclass(make, pymongo.AsyncMongoClient)):
        raise ConfigurationError(
            "this function of pymongo does not create a client for asyncio",
            remedy="Pass pymongo.AsyncMongoClient, or use Credentials in a thread.",
        )
    logins = ClientLogins(Secret(await credentials.secret()), kwargs)

    client = make(*args, **logins.arguments(_pool(credentials, logins, kwargs)))
    try:
        await client.admin.command("ping")
    except BaseException:
        await client.close()
        raise
    return client


def _pool(credentials: AsyncCredentials, logins: ClientLogins, kwargs: Mapping[str, Any]) -> type[Pool]:
    """Return the class of the client's pools."""

    class RotatingPool(Pool):
        """A pool whose connections log in with the credentials."""

        def __init__(self, address: Any, options: Any, *args: Any, **more: Any) -> None:
            super().__init__(address, RotatingOptions(options), *args, **more)  # type: ignore[arg-type]

        async def connect(self, handler: Any = None) -> Any:
            connect = super().connect
            if self.is_sdam:  # a connection that watches the server, without a login
                return await connect(handler)

            async def login(attempt: Attempt) -> Any:
                try:
                    async with asyncio.timeout(attempt.seconds * _SHARE):
                        with logins.begun(attempt, self.opts):
                            return await connect(handler)
                except TimeoutError:
                    host, port = self.address
                    raise NetworkTimeout(f"{host}:{port}: the login did not end in time") from None

            return await credentials.login(login, POOLED, kwargs)

    return RotatingPool
