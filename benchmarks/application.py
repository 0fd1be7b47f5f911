"""An application that is measured, in a separate process: threads that log in, or use a pool.

    python -m benchmarks.application KIND SECRET DRIVER TTL

It prints ``ready``, works from the first line on stdin until the second, and prints its results as one JSON
document. KIND selects how it gets its credentials: ``naive`` reads AWSCURRENT for each connection, ``cached``
keeps it for 300 s with AWS's caching library, ``ours`` uses rotators.client. DRIVER is ``psycopg``,
``pymysql``, ``redis``, ``pymongo`` or ``ldap3``. ``BENCH_THREADS`` is the number of threads of each use, 8 by
default. A session that ends during a statement is not a failed login and is counted separately.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import ldap3
import pymongo
import redis
import sqlalchemy
from aws_secretsmanager_caching import (  # type: ignore[import-untyped] # it has no types
    SecretCache as AwsSecretCache,
)
from aws_secretsmanager_caching import SecretCacheConfig

from rotators.client import Credentials, SecretCache
from rotators.client._drivers import driver_named
from rotators.client.integrations.redis import RedisCredentials
from rotators.client.integrations.sqlalchemy import attach
from rotators.core.secret import Secret

THREADS = int(os.environ.get("BENCH_THREADS", "8"))
"""Threads that log in, and threads that use the pool."""
PAUSE_SECONDS = 0.02
RECYCLE_SECONDS = 1
URLS = {"psycopg": "postgresql+psycopg://", "pymysql": "mysql+pymysql://"}

Use = Callable[[], None]
Read = Callable[[], dict[str, Any]]
"""The arguments of the driver, for an application without rotators.client."""


class Cut(Exception):
    """A session ended during a statement, after its login."""


@contextlib.contextmanager
def session() -> Iterator[None]:
    """Block of statements in a session. Its errors are raised as Cut, because they are not failed logins."""
    try:
        yield
    except Exception as error:
        raise Cut from error


@contextlib.contextmanager
def lent(engine: sqlalchemy.Engine) -> Iterator[sqlalchemy.Connection]:
    """A connection of the pool. A connection that the server closes during the ping is not a failed login."""
    try:
        connection = engine.connect()
    except sqlalchemy.exc.OperationalError as error:
        if "terminating connection" in str(error) and "connection failed" not in str(error):
            raise Cut from error
        raise
    try:
        yield connection
    finally:
        with session():
            connection.close()


class Attempts:
    """Results of all attempts of one kind of use."""

    def __init__(self) -> None:
        self.made: list[tuple[float, float, str]] = []
        self.cut = 0

    def make(self, attempt: Callable[[], None]) -> None:
        """Attempt once, and record begin, end, and the error's first line if it failed."""
        began = time.monotonic()
        error = ""
        try:
            attempt()
        except Cut:
            self.cut += 1
        except Exception as failed:  # noqa: BLE001 - an application gets every error
            said = re.sub("'[^']*'|\"[^\"]*\"|port [0-9]+", "…", str(failed).splitlines()[0])
            error = f"{type(failed).__name__}: {said[:150]}"
        self.made.append((began, time.monotonic(), error))

    def document(self) -> dict[str, Any]:
        """Return counts, and the longest time in milliseconds in which attempts failed and none succeeded."""
        failed = Counter(error for *_, error in self.made if error)
        return {
            "attempts": len(self.made),
            "failed": failed.total(),
            "sessions_cut": self.cut,
            "longest_outage_ms": round(self._longest_outage() * 1000),
            "longest_wait_ms": round(max((end - begin for begin, end, _ in self.made), default=0) * 1000),
            "errors": dict(failed.most_common(3)),
        }

    def _longest_outage(self) -> float:
        longest, began = 0.0, None
        for begin, end, error in sorted(self.made, key=lambda attempt: attempt[1]):
            if error and began is None:
                began = begin
            elif not error and began is not None:
                longest, began = max(longest, end - began), None
        return max(longest, self.made[-1][1] - began) if began is not None else longest


def uses(
    kind: str, secret: str, package: str, ttl: float
) -> tuple[Use, Use, Counter[str], Credentials | None]:
    """Return how this kind logs in and uses its pool, the calls that it makes, and its credentials.

    Args:
        kind: ``naive``, ``cached`` or ``ours``.
        secret: ARN of the secret.
        package: name of the driver's package.
        ttl: lifetime in the cache of rotators.client, in seconds.

    Returns:
        The function that connects, the engine with a pool, the counter of API calls, and the credentials
        (None except for ``ours``).
    """
    calls: Counter[str] = Counter()
    client = boto3.client("secretsmanager")
    credentials = Credentials(secret, cache=SecretCache(ttl=ttl)) if kind == "ours" else None
    events = [client.meta.events]
    if credentials:
        from rotators.aws import clients  # noqa: PLC0415 - only this kind has it

        events.append(clients.secrets_reader().meta.events)
    for each in events:
        each.register("before-call.secrets-manager", lambda model, **_: calls.update([model.name]))
    cache = AwsSecretCache(SecretCacheConfig(secret_refresh_interval=300), client)

    def read() -> dict[str, Any]:
        cached = kind == "cached"
        found = (
            cache.get_secret_string(secret)
            if cached
            else client.get_secret_value(SecretId=secret)["SecretString"]
        )
        return dict(driver_named(package).parameters(Secret.from_string(str(found)), {}))

    log_in, borrow = _USES.get(package, _sql)(package, credentials, read)
    return log_in, borrow, calls, credentials


def _sql(package: str, credentials: Credentials | None, read: Read) -> tuple[Use, Use]:
    module = __import__(package)
    engine = sqlalchemy.create_engine(
        URLS[package], pool_size=THREADS, pool_recycle=RECYCLE_SECONDS, pool_pre_ping=True
    )

    def connect(*_: Any) -> Any:
        return credentials.connect(module.connect) if credentials else module.connect(**read())

    if credentials:
        attach(engine, credentials)
    else:
        sqlalchemy.event.listen(engine, "do_connect", connect)

    def log_in() -> None:
        connection = connect()
        with session(), contextlib.closing(connection):
            connection.cursor().execute("SELECT 1")

    def borrow() -> None:
        with lent(engine) as connection, session():
            connection.execute(sqlalchemy.text("SELECT 1"))

    return log_in, borrow


def _redis(_: str, credentials: Credentials | None, read: Read) -> tuple[Use, Use]:
    class Reading(redis.CredentialProvider):
        def get_credentials(self) -> tuple[str, str]:
            values = read()
            return values["username"], values["password"]

    def log_in() -> None:
        client = credentials.connect(redis.Redis) if credentials else redis.Redis(**read())
        with contextlib.closing(client):
            client.ping()

    if credentials:
        pooled = redis.Redis(**RedisCredentials(credentials).options())
    else:
        place = {name: value for name, value in read().items() if name not in {"username", "password"}}
        pooled = redis.Redis(**place, credential_provider=Reading())
    recycled = [time.monotonic()]

    def borrow() -> None:
        if time.monotonic() - recycled[0] > RECYCLE_SECONDS:
            recycled[0] = time.monotonic()
            pooled.connection_pool.disconnect(inuse_connections=False)
        pooled.ping()

    return log_in, borrow


def _mongodb(_: str, credentials: Credentials | None, read: Read) -> tuple[Use, Use]:
    # One connection watches the server; its time is not measured.
    options: dict[str, Any] = {"directConnection": True, "serverMonitoringMode": "poll"}

    def make() -> Any:
        if credentials:
            return credentials.connect(pymongo.MongoClient, **options)
        client: Any = pymongo.MongoClient(**read(), **options)
        client.admin.command("connectionStatus")
        return client

    def log_in() -> None:
        make().close()

    if not credentials:  # a client that has one password for its lifetime
        return log_in, _renewed(make, lambda client: client.admin.command("connectionStatus"), "close")
    pooled, recycled = make(), [time.monotonic()]

    def borrow() -> None:
        if time.monotonic() - recycled[0] > RECYCLE_SECONDS:
            recycled[0] = time.monotonic()
            for server in list(pooled._topology._servers.values()):  # noqa: SLF001 - there is no public way
                server.pool.reset_without_pause()
        pooled.admin.command("connectionStatus")

    return log_in, borrow


def _ldap(_: str, credentials: Credentials | None, read: Read) -> tuple[Use, Use]:
    def make() -> Any:
        return credentials.connect(ldap3.Connection) if credentials else ldap3.Connection(**read())

    def use(connection: Any) -> None:
        with session():
            connection.extend.standard.who_am_i()

    def log_in() -> None:
        connection = make()
        use(connection)
        connection.unbind()

    return log_in, _renewed(make, use, "unbind")


def _renewed(make: Callable[[], Any], use: Callable[[Any], object], end: str) -> Use:
    """Return the use of a connection that each thread keeps, and replaces after RECYCLE_SECONDS."""
    kept = threading.local()

    def borrow() -> None:
        if time.monotonic() - getattr(kept, "began", 0.0) > RECYCLE_SECONDS:
            if hasattr(kept, "connection"):
                getattr(kept.connection, end)()
                del kept.connection, kept.began
            kept.connection, kept.began = make(), time.monotonic()
        use(kept.connection)

    return borrow


_USES = {"redis": _redis, "pymongo": _mongodb, "ldap3": _ldap}


def main() -> None:
    """Work until told to stop, and print the results."""
    kind, secret, package, ttl = sys.argv[1:5]
    # A pool logs each connection that it discards, with a traceback; here such connections are counted.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    log_in, borrow, calls, credentials = uses(kind, secret, package, float(ttl))
    new, pooled = Attempts(), Attempts()
    ended = threading.Event()

    def work(attempts: Attempts, attempt: Callable[[], None]) -> None:
        while not ended.is_set():
            attempts.make(attempt)
            time.sleep(PAUSE_SECONDS)

    log_in()
    borrow()
    print("ready", flush=True)
    sys.stdin.readline()
    calls.clear()
    workers = [
        threading.Thread(target=work, args=each)
        for _ in range(THREADS)
        for each in ((new, log_in), (pooled, borrow))
    ]
    for worker in workers:
        worker.start()
    sys.stdin.readline()
    ended.set()
    for worker in workers:
        worker.join()
    document: dict[str, Any] = {"new": new.document(), "pool": pooled.document(), "api_calls": calls.total()}
    if credentials:
        document["decisions"] = credentials.counts()
        document["cache"] = credentials.cache.counts()
    print(json.dumps(document), flush=True)


if __name__ == "__main__":
    main()
