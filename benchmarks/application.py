"""An application under measurement, in a process of its own: threads that log in, or use a pool, for ever.

    python -m benchmarks.application KIND SECRET DRIVER TTL

It says ``ready``, works from a first line on stdin to a second, and prints what happened as one JSON
document. KIND says how it gets its credentials: ``naive`` reads AWSCURRENT for each connection, ``cached``
keeps it for 300 s by AWS's own caching library, ``ours`` uses rotators.client. DRIVER is ``psycopg`` or
``pymysql``. A session that is cut in a statement is no failed login, and is counted apart.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import sqlalchemy
from aws_secretsmanager_caching import (  # type: ignore[import-untyped] # it has no types
    SecretCache as AwsSecretCache,
)
from aws_secretsmanager_caching import SecretCacheConfig

from rotators.client import Credentials, SecretCache
from rotators.client.drivers import driver_named
from rotators.client.integrations.sqlalchemy import attach
from rotators.core.secret import Secret

THREADS = 8
PAUSE_SECONDS = 0.02
RECYCLE_SECONDS = 1
URLS = {"psycopg": "postgresql+psycopg://", "pymysql": "mysql+pymysql://"}

Connect = Callable[[], Any]


class Cut(Exception):
    """A session that had been logged in ended in a statement."""


@contextlib.contextmanager
def session() -> Iterator[None]:
    """What is done in a session; its errors are no failed logins."""
    try:
        yield
    except Exception as error:
        raise Cut from error


@contextlib.contextmanager
def lent(engine: sqlalchemy.Engine) -> Iterator[sqlalchemy.Connection]:
    """A connection of the pool. One that is just dying answers the pool's ping so; that is no login."""
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
    """What came of every attempt of one kind of use."""

    def __init__(self) -> None:
        self.made: list[tuple[float, float, str]] = []
        self.cut = 0

    def make(self, attempt: Callable[[], None]) -> None:
        """Attempt once, and note begin, end, and the error's first line if it failed."""
        began = time.monotonic()
        error = ""
        try:
            attempt()
        except Cut:
            self.cut += 1
        except Exception as failed:  # noqa: BLE001 - whatever it is, the application saw it
            said = re.sub("'[^']*'|\"[^\"]*\"|port [0-9]+", "…", str(failed).splitlines()[0])
            error = f"{type(failed).__name__}: {said[:150]}"
        self.made.append((began, time.monotonic(), error))

    def document(self) -> dict[str, Any]:
        """Counts, and the longest time in which attempts failed and none succeeded."""
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


def uses(kind: str, secret: str, package: str, ttl: float) -> tuple[Connect, Any, Counter[str], Any]:
    """How this kind connects, its engine with a pool, the calls that it makes, and its credentials.

    Args:
        kind: ``naive``, ``cached`` or ``ours``.
        secret: its ARN.
        package: the driver's.
        ttl: of our cache, in seconds.
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
    module = __import__(package)
    engine = sqlalchemy.create_engine(
        URLS[package], pool_size=THREADS, pool_recycle=RECYCLE_SECONDS, pool_pre_ping=True
    )
    if credentials:
        attach(engine, credentials)
        return lambda: credentials.connect(module.connect), engine, calls, credentials
    cache = AwsSecretCache(SecretCacheConfig(secret_refresh_interval=300), client)

    def read() -> str:
        if kind == "cached":
            return str(cache.get_secret_string(secret))
        return client.get_secret_value(SecretId=secret)["SecretString"]

    def connect(*_: Any) -> Any:
        return module.connect(**driver_named(package).parameters(Secret.from_string(read()), {}))

    sqlalchemy.event.listen(engine, "do_connect", connect)
    return connect, engine, calls, None


def main() -> None:
    """Work until told to stop, and tell what happened."""
    kind, secret, package, ttl = sys.argv[1:5]
    # A pool reports each connection that it gives up, with a traceback; here that is counted.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    connect, engine, calls, credentials = uses(kind, secret, package, float(ttl))
    new, pooled = Attempts(), Attempts()
    ended = threading.Event()

    def log_in() -> None:
        connection = connect()
        with session(), contextlib.closing(connection):
            connection.cursor().execute("SELECT 1")

    def borrow() -> None:
        with lent(engine) as connection, session():
            connection.execute(sqlalchemy.text("SELECT 1"))

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
        document["cache"] = credentials.shared.cache.counts()
    print(json.dumps(document), flush=True)


if __name__ == "__main__":
    main()
