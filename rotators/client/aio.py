"""The cache and the credentials for asyncio. The decisions are the same as for threads."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from typing import TYPE_CHECKING, Any, TypeVar

from rotators.cache.loading import Wait
from rotators.client.calls import checked
from rotators.client.drivers import driver_named
from rotators.client.flow import Shared
from rotators.client.messages import Attempt, Close, Fetch, Limits, Made, Pause, Refusal
from rotators.client.secret_cache import SecretCache, parsed
from rotators.core.errors import ConfigurationError, InvalidInput, RotatorsError
from rotators.core.redaction import without_frames
from rotators.logins.driver import Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from rotators.aws.reading import SecretVersion
    from rotators.client.messages import Do, Doing, Outcome
    from rotators.logins.driver import Driver

C = TypeVar("C")
T = TypeVar("T")


class AsyncSecretCache:
    """A SecretCache for asyncio: a hit does not wait, and nothing blocks the event loop.

    Loads run in threads, as boto3 has no asyncio of its own; however many tasks wait, there is one.

    Args:
        cache: shared with threads of the same process; a new one when left out.
        options: of a new one: see ``SecretCache``.

    Raises:
        InvalidInput: both were given, or an option cannot be meant.
    """

    def __init__(self, cache: SecretCache | None = None, **options: Any) -> None:
        if cache and options:
            raise InvalidInput(f"{', '.join(options)} given with a cache", remedy="Give them to the cache.")
        self.sync = cache or SecretCache(**options)

    async def get_secret_string(self, secret_id: str, version_stage: str | None = None) -> str | None:
        """See ``SecretCache.get_secret_string``."""
        content = (await self.read(secret_id, stage=version_stage)).content
        return content if isinstance(content, str) else None

    async def get_secret_binary(self, secret_id: str, version_stage: str | None = None) -> bytes | None:
        """See ``SecretCache.get_secret_binary``."""
        content = (await self.read(secret_id, stage=version_stage)).content
        return content if isinstance(content, bytes) else None

    async def get_secret_json(self, secret_id: str, field: str | None = None) -> Any:
        """See ``SecretCache.get_secret_json``."""
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
        """See ``SecretCache.read``."""
        end = time.monotonic() + (self.sync.timeout if timeout is None else timeout)
        while True:
            found = self.sync.look(secret_id, stage, version, since, end - time.monotonic())
            if not isinstance(found, Wait):
                return found
            if found.flight is None:
                await asyncio.sleep(found.seconds)
                continue
            flight = asyncio.wrap_future(found.flight)
            # Looked at here, or asyncio would log an error of the load as one that nobody cared for.
            flight.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            await asyncio.wait({flight}, timeout=found.seconds)
            if found.flight.done() and self.sync.cache.settles(found.flight, since):
                return found.flight.result()

    async def warm(self, secret_ids: Iterable[str]) -> dict[str, RotatorsError]:
        """See ``SecretCache.warm``."""
        return await asyncio.to_thread(self.sync.warm, secret_ids)

    def counts(self) -> dict[str, int]:
        """See ``SecretCache.counts``."""
        return self.sync.counts()

    def __repr__(self) -> str:
        return f"<Async{repr(self.sync)[1:]}"


class AsyncCredentials:
    """`Credentials` for asyncio; see there for what it does and what the arguments mean.

    Args:
        secret_id: name or ARN.
        cache: of either kind; an `AsyncSecretCache` of its own when left out.
        pending, deadline, logins: as for `Credentials`.
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
        self._cache = cache if isinstance(cache, AsyncSecretCache) else AsyncSecretCache(cache)
        self.shared = Shared(secret_id, self._cache.sync, Limits(deadline, logins, pending))

    async def connect(
        self,
        connect: Callable[..., Awaitable[C]],
        *args: Any,
        driver: Driver | str | None = None,
        **kwargs: Any,
    ) -> C:
        """Connect with a driver's own coroutine, such as ``psycopg.AsyncConnection.connect``.

        Args and errors as for ``Credentials.connect``. A client that reconnects by itself, such as
        redis-py's, is not covered.
        """
        call = checked(driver, connect, args, kwargs)
        if call.driver.reconnects:
            raise ConfigurationError(
                f"{call.driver.name} is not covered for asyncio",
                remedy="Use it with Credentials in a thread.",
            )

        async def login(attempt: Attempt) -> C:
            made: C = await call.made(attempt)
            return made

        return await self.login(login, call.driver, call.given)

    async def login(
        self,
        login: Callable[[Attempt], Awaitable[C]],
        driver: Driver | str,
        given: Iterable[str] = (),
    ) -> C:
        """See ``Credentials.login``."""
        made: C = await self._run(self.shared.login(driver_named(driver), given), login)
        return made

    async def retired(self, version: str | None) -> bool:
        """See ``Credentials.retired``."""
        return await self._run(self.shared.retired(version))

    async def secret(self) -> dict[str, Any]:
        """See ``Credentials.secret``."""
        return await self._run(self.shared.secret())

    def counts(self) -> dict[str, int]:
        """See ``Shared.counts``."""
        return self.shared.counts()

    async def _run(self, doing: Doing[T], login: Callable[[Attempt], Awaitable[Any]] | None = None) -> T:
        """Do in this task what is yielded, and give what is returned."""
        outcome: Outcome = None
        with contextlib.closing(doing):
            while True:
                try:
                    ask = doing.send(outcome)
                except StopIteration as done:
                    result: T = done.value
                    return result
                outcome = await self._done(ask, login)

    async def _done(self, ask: Do, login: Callable[[Attempt], Awaitable[Any]] | None) -> Outcome:
        if isinstance(ask, Pause):
            await asyncio.sleep(ask.seconds)
        elif isinstance(ask, Close):
            closed = ask.connection.close()
            if inspect.isawaitable(closed):
                await closed
        elif isinstance(ask, Fetch):
            cache = self._cache
            try:
                return await cache.read(ask.secret_id, stage=ask.stage, since=ask.since, timeout=ask.timeout)
            except RotatorsError as error:
                return error
        elif login:
            return await _attempted(ask, login)
        return None

    def __repr__(self) -> str:
        return repr(self.shared)


async def _attempted(attempt: Attempt, login: Callable[[Attempt], Awaitable[Any]]) -> Outcome:
    try:
        async with asyncio.timeout(attempt.seconds):
            return Made(await login(attempt))
    except TimeoutError as late:
        # The driver's own time-out is coarser, or there is none.
        return Refusal(Verdict.UNAVAILABLE, without_frames(late))
    except Exception as error:  # noqa: BLE001 - the flow judges it
        return error
