"""pymongo: every connection of a client logs in with a version that works now.

    client = Credentials("prod/app/mongo").connect(pymongo.MongoClient)

A client of pymongo has one user and password for its lifetime. Therefore the client gets its own class of
pools: a pool logs in with `Credentials`, which may repeat a rejected login on another connection. pymongo has
an argument for this class, for tests and wrappers (``_pool_class``).

A client stays with the target that the secret named when the client was created, and with the members of its
replica set. A version for another target is not sent there: after AWSCURRENT's address has changed, create a
new client. A changed password ends no session, so open connections stay open after a rotation.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import pymongo
from pymongo.synchronous.pool import Pool

from rotators.client._call import Destination
from rotators.client.integrations import place_of, require_same
from rotators.core.errors import ConfigurationError
from rotators.core.secret import Secret
from rotators.engines.mongodb.driver import PYMONGO
from rotators.logins.driver import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymongo.auth_shared import MongoCredential
    from pymongo.pool_options import PoolOptions

    from rotators.client._credentials import Credentials
    from rotators.client._flow import Attempt

C = TypeVar("C")

_CREDENTIAL: ContextVar[MongoCredential | None] = ContextVar("rotators_credential", default=None)
"""Credential of the login in progress, in this thread or task."""


def _judged(error: Exception, secret: Secret) -> Verdict:
    """Like other logins, but an unavailable server ends the login.

    pymongo then looks for another member of the replica set, and repeats what it may.
    """
    verdict = PYMONGO.judge(error, secret)
    return Verdict.OTHER if verdict is Verdict.UNAVAILABLE else verdict


POOLED = replace(PYMONGO, judge=_judged)
"""pymongo in the pools of a client."""


class RotatingOptions:
    """Options of a pool, whose credential is the one of the login in progress.

    Args:
        options: pymongo's.
    """

    def __init__(self, options: PoolOptions) -> None:
        self._options = options

    def __getattr__(self, name: str) -> Any:
        return getattr(self._options, name)

    @property
    def _credentials(self) -> MongoCredential | None:
        return _CREDENTIAL.get() or self._options._credentials  # noqa: SLF001 - there is no public way


class ClientLogins:
    """Logins of the pools of one client.

    Args:
        secret: value that the client is created with.
        given: the caller's arguments of the client.

    Attributes:
        given: as passed.
    """

    def __init__(self, secret: Secret, given: dict[str, Any]) -> None:
        self.given = given
        self._secret, self._place = secret, place_of(secret)
        self._last: tuple[str, MongoCredential] | None = None

    def arguments(self, pool: type[object]) -> dict[str, Any]:
        """Return the keyword arguments of the client.

        Args:
            pool: class of its pools.

        Returns:
            Arguments of ``MongoClient`` by name: address, TLS and credential, the caller's own, and the
            pool's class.
        """
        return {**PYMONGO.parameters(self._secret, self.given), **self.given, "_pool_class": pool}

    @contextmanager
    def begun(self, attempt: Attempt, options: PoolOptions) -> Iterator[None]:
        """Block in which pymongo connects and logs in.

        Args:
            attempt: version to log in with.
            options: options of the pool.

        Raises:
            ConfigurationError: the version is for another target.
        """
        require_same(Destination(frozenset(self.given), PYMONGO), attempt.secret, self._place)
        token = _CREDENTIAL.set(self._credential(attempt, options))
        try:
            with pymongo.timeout(attempt.seconds):
                yield
        finally:
            _CREDENTIAL.reset(token)

    def _credential(self, attempt: Attempt, options: PoolOptions) -> MongoCredential:
        """Return pymongo's credential for a version; the same object for the same version.

        A credential keeps what was derived from its password, which takes milliseconds for each login.
        """
        last = self._last
        if last and last[0] == attempt.version:
            return last[1]
        credential = options._credentials  # noqa: SLF001 - there is no public way
        if credential is None:
            raise ConfigurationError("the client logs in without a password", remedy="Omit authMechanism.")
        values = PYMONGO.parameters(attempt.secret, self.given) | self.given
        changed: MongoCredential = credential._replace(
            username=values["username"],
            password=values["password"],
            source=values["authSource"],
            cache=type(credential.cache)(),
        )
        self._last = attempt.version, changed
        return changed


def connected(credentials: Credentials, make: Callable[..., C], *args: Any, **kwargs: Any) -> C:
    """Create a client and log in once, for ``Credentials.connect(pymongo.MongoClient)``.

    Args:
        credentials: log in.
        make: ``pymongo.MongoClient`` or a subclass.
        *args: passed to it.
        **kwargs: passed to it; they override the secret.

    Returns:
        The client. Each of its connections logs in with the credentials.

    Raises:
        pymongo.errors.PyMongoError: as from a client's first command.
        ConfigurationError: the client is for asyncio.
    """
    if not (isinstance(make, type) and issubclass(make, pymongo.MongoClient)):
        raise ConfigurationError(
            "this function of pymongo does not create a client for threads",
            remedy="Pass pymongo.MongoClient, or pymongo.AsyncMongoClient to AsyncCredentials.",
        )
    logins = ClientLogins(Secret(credentials.secret()), kwargs)

    class RotatingPool(Pool):
        """A pool whose connections log in with the credentials."""

        def __init__(self, address: Any, options: Any, *args: Any, **more: Any) -> None:
            super().__init__(address, RotatingOptions(options), *args, **more)  # type: ignore[arg-type]

        def connect(self, handler: Any = None) -> Any:
            connect = super().connect
            if self.is_sdam:  # a connection that watches the server, without a login
                return connect(handler)

            def login(attempt: Attempt) -> Any:
                with logins.begun(attempt, self.opts):
                    return connect(handler)

            return credentials.login(login, POOLED, kwargs)

    client: Any = make(*args, **logins.arguments(RotatingPool))
    try:
        client.admin.command("ping")
    except BaseException:
        client.close()
        raise
    made: C = client
    return made
