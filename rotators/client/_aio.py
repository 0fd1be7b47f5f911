"""`SecretCache` and `Credentials` for asyncio: only the waiting differs from the classes for threads."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Iterable
from importlib import import_module
from typing import Any, TypeVar, overload

from rotators.aws.secrets import SecretVersion
from rotators.cache.cache import Wait
from rotators.client._call import ConnectCall
from rotators.client._credentials import CredentialsBase
from rotators.client._flow import Attempt, Close, Connected, FailedLogin, Fetch, Flow, Pause, Request
from rotators.client._secret_cache import SecretCache, parsed
from rotators.core.errors import InvalidInput, RotatorsError
from rotators.core.redaction import without_frames
from rotators.logins.driver import Driver, Verdict

C = TypeVar("C")
T = TypeVar("T")


class AsyncSecretCache:
    """A `SecretCache` for asyncio: a hit does not wait, and no call blocks the event loop.

    Loads run in threads, because boto3 has no asyncio interface. Any number of waiting tasks share one load.

    Args:
        cache: to share with threads of the process; a new one if None.
        options: options of a new cache: see `SecretCache`.

    Raises:
        InvalidInput: both were passed, or an option is invalid.

    Attributes:
        sync: the cache for threads.
    """

    def __init__(self, cache: SecretCache | None = None, **options: Any) -> None:
        if cache and options:
            raise InvalidInput(f"{', '.join(options)} given with a cache", remedy="Give them to the cache.")
        self.sync = cache or SecretCache(**options)

    async def get_secret_string(self, secret_id: str, version_stage: str | None = None) -> str | None:
        """See `SecretCache.get_secret_string`."""
        content = (await self.read(secret_id, stage=version_stage)).content
        return content if isinstance(content, str) else None

    async def get_secret_binary(self, secret_id: str, version_stage: str | None = None) -> bytes | None:
        """See `SecretCache.get_secret_binary`."""
        content = (await self.read(secret_id, stage=version_stage)).content
        return content if isinstance(content, bytes) else None

    async def get_secret_json(self, secret_id: str, field: str | None = None) -> Any:
        """See `SecretCache.get_secret_json`."""
        return parsed(await self.read(secret_id), field)

    async def read(
        self,
        secret_id: str,
        *,
        stage: str | None = None,
        version: str | None = None,
        since: int | None = None,
        timeout: float | None = None,
    ) -> SecretVersion:
        """See `SecretCache.read`."""
        steps = self.sync.steps(secret_id, stage, version, since, timeout)
        try:
            while True:
                await _wait(next(steps))
        except StopIteration as done:
            found: SecretVersion = done.value
            return found

    async def warm(self, secret_ids: Iterable[str]) -> dict[str, RotatorsError]:
        """See `SecretCache.warm`."""
        return await asyncio.to_thread(self.sync.warm, secret_ids)

    def counts(self) -> dict[str, int]:
        """See `SecretCache.counts`."""
        return self.sync.counts()

    def __repr__(self) -> str:
        return f"<Async{repr(self.sync)[1:]}"


async def _wait(wait: Wait[Any]) -> None:
    if wait.flight is None:
        await asyncio.sleep(wait.seconds)
        return
    flight = asyncio.wrap_future(wait.flight)
    # The error is retrieved here, or asyncio would log that it never was.
    flight.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    await asyncio.wait({flight}, timeout=wait.seconds)


class AsyncCredentials(CredentialsBase):
    """`Credentials` for asyncio.

    Args:
        secret_id: name or ARN.
        cache: cache of either kind; a separate `AsyncSecretCache` if None.
        pending, deadline, logins: as for `Credentials`.

    Raises:
        InvalidInput: an argument is invalid.
    """

    def __init__(
        self,
        secret_id: str,
        *,
        cache: AsyncSecretCache | SecretCache | None = None,
        pending: bool = True,
        deadline: float = 10.0,
        logins: int = 8,
    ) -> None:
        sync = cache.sync if isinstance(cache, AsyncSecretCache) else cache
        super().__init__(secret_id, cache=sync, pending=pending, deadline=deadline, logins=logins)
        self._cache = AsyncSecretCache(self.cache)

    @overload
    async def connect(
        self,
        connect: Callable[..., Awaitable[C]],
        *args: Any,
        driver: Driver | str | None = None,
        **kwargs: Any,
    ) -> C: ...

    @overload
    async def connect(
        self, connect: type[C], *args: Any, driver: Driver | str | None = None, **kwargs: Any
    ) -> C: ...

    async def connect(
        self, connect: Callable[..., Any], *args: Any, driver: Driver | str | None = None, **kwargs: Any
    ) -> Any:
        """Connect with a driver's coroutine function. See `Credentials.connect`.

        Args:
            connect: coroutine function, such as ``psycopg.AsyncConnection.connect``, or the class of a client
                that reconnects by itself, such as ``pymongo.AsyncMongoClient``.
            *args: passed to it.
            driver: as for `Credentials.connect`.
            **kwargs: passed to it; they override the secret.

        Returns:
            The result of ``connect``.

        Raises:
            Exception: as `Credentials.connect`.
            ConfigurationError: also if ``connect`` is for threads.
        """
        call = ConnectCall.of(driver, connect, args, kwargs)
        if call.driver.reconnects:
            integration = import_module(f"rotators.client.integrations.{call.driver.name}_asyncio")
            return await integration.connected(self, call.connect, *call.args, **call.given)
        return await self.login(
            lambda attempt: call.made(attempt.secret, attempt.seconds), call.driver, call.given
        )

    async def login(
        self,
        login: Callable[[Attempt], Awaitable[C]],
        driver: Driver | str,
        given: Iterable[str] = (),
    ) -> C:
        """See `Credentials.login`."""
        made: C = await self._run(self._login_flow(driver, given), login)
        return made

    async def retired(self, version: str | None) -> bool:
        """See `Credentials.retired`."""
        return await self._run(self._retired_flow(version))

    async def secret(self) -> dict[str, Any]:
        """See `Credentials.secret`."""
        return await self._run(self._secret_flow())

    async def _run(self, flow: Flow[T], login: Callable[[Attempt], Awaitable[Any]] | None = None) -> T:
        """Perform a flow's requests in this task, and return its result."""
        result: Any = None
        with contextlib.closing(flow):
            try:
                while True:
                    result = await self._perform(flow.send(result), login)
            except StopIteration as done:
                returned: T = done.value
                return returned

    async def _perform(self, request: Request, login: Callable[[Attempt], Awaitable[Any]] | None) -> Any:
        if isinstance(request, Pause):
            await asyncio.sleep(request.seconds)
        elif isinstance(request, Close):
            closed = request.connection.close()
            if inspect.isawaitable(closed):
                await closed
        elif isinstance(request, Fetch):
            try:
                return await self._cache.read(
                    self.secret_id, stage=request.stage, since=request.since, timeout=request.timeout
                )
            except RotatorsError as error:
                return error
        elif login:
            try:
                async with asyncio.timeout(request.seconds):
                    return Connected(await login(request))
            except TimeoutError as late:
                # The driver's own timeout is coarser, or there is none.
                return FailedLogin(Verdict.UNAVAILABLE, without_frames(late))
            except Exception as error:  # noqa: BLE001 - the flow classifies it
                return error
        return None
