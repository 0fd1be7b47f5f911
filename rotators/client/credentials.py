"""Logins that outlive a rotation unseen, whatever its strategy.

``walk.py`` decides what to try; here it is done, in a thread or in a task, and told by counter and log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from rotators.client.arguments import number_between, secret_named
from rotators.client.drivers import LIBPQ, REDIS, Driver, driver_named, driver_of
from rotators.client.secret_cache import SecretCache
from rotators.client.walk import Limits, Login, Memory, Pause, Read, Refusal, Verdict, secret_of, walk
from rotators.core.errors import InvalidInput, RotatorsError
from rotators.core.redaction import redacted
from rotators.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rotators.aws.reading import SecretVersion
    from rotators.client.walk import Answer, Steps

C = TypeVar("C")

_log = logging.getLogger("rotators.client")

PATIENCE_SECONDS = 1.0
"""For a read that somebody waits for who has a connection that works."""

# All others at INFO: a rotation is worth a line, a login is not.
_LEVELS = {
    **dict.fromkeys(("held", "refreshed", "remembered"), logging.DEBUG),
    **dict.fromkeys(("denied", "gave-up", "other-target", "unreadable"), logging.WARNING),
}
_OURS = frozenset({"user", "username", "password", "passwd"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One login to be made.

    Attributes:
        secret: whom and where. Its repr shows no value.
        version: the version's id.
        seconds: what is left of the deadline.
    """

    secret: Secret
    version: str
    seconds: float


@dataclass
class Shared:
    """What `Credentials` and its asyncio twin have in common.

    Args:
        secret_id: name or ARN.
        cache: where versions are read.
        limits: of a call.

    Raises:
        InvalidInput: one of them cannot be meant.
    """

    secret_id: str
    cache: SecretCache
    limits: Limits
    _memory: Memory = field(default_factory=Memory)
    _counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        secret_named(self.secret_id)
        number_between(0, deadline=self.limits.deadline)
        number_between(1, logins=self.limits.logins)

    def counts(self) -> dict[str, int]:
        """What was decided so far.

        Returns:
            How often, by name: ``logins`` (accepted), ``rejected``, ``refreshed`` (reads past the memory),
            ``current``, ``pending``, ``previous`` (accepted after a rejection), ``remembered`` (used first in
            AWSCURRENT's stead), ``retired`` (replaced in a pool), ``held`` (not tried, for it was rejected
            lately), ``denied`` (a label that may not be read), ``other-target`` (a version that leads
            elsewhere), ``unavailable``, ``gave-up``, ``unreadable`` (a connection kept for that).
        """
        with self._lock:
            return dict(self._counts)

    def note(self, decision: str, version: str | None) -> None:
        """Count and log a decision; a version's id is no secret."""
        with self._lock:
            self._counts[decision] += 1
        _log.log(
            _LEVELS.get(decision, logging.INFO),
            "%s of %s: %s",
            f"version {version}" if version else "a login",
            self.secret_id,
            decision,
            extra={"secret": self.secret_id, "version": version, "decision": decision},
        )

    def start(self, driver: Driver) -> Steps[SecretVersion]:
        """A new walk."""
        return walk(self._memory, self.limits, self.note, shortest=driver.shortest)

    def succeeded(self) -> None:
        """Count a login."""
        with self._lock:
            self._counts["logins"] += 1

    def preferred(self, current: SecretVersion) -> SecretVersion:
        """What to log in with, when AWSCURRENT is this."""
        return self._memory.preferred(current)

    def __repr__(self) -> str:
        return f"<credentials of {self.secret_id!r}>"


class Credentials:
    """The credentials in a secret, for as long as the process runs; shared by its threads.

    A rotation does not show: a login that the server rejects is made again with what Secrets Manager says
    now, then with AWSPENDING, then with AWSPREVIOUS. Nothing is tried again for any other error, except that
    a server which is not there, or not ready, is asked again until the deadline.

    Args:
        secret_id: name or ARN of a secret with AWS's keys (``host``, ``username``, ``password`` …).
        cache: where versions are read; a `SecretCache` of its own when left out.
        pending: whether AWSPENDING may be tried. It needs secretsmanager:GetSecretValue on that version; a
            denial is counted, and nothing fails for it.
        deadline: seconds for a login in all. The driver's own time-out is set to what is left, unless given.
        logins: how many logins of one call may be rejected.

    Raises:
        InvalidInput: an argument cannot be meant.
    """

    def __init__(
        self,
        secret_id: str,
        *,
        cache: SecretCache | None = None,
        pending: bool = True,
        deadline: float = 10.0,
        logins: int = 8,
    ) -> None:
        self.shared = Shared(secret_id, cache or SecretCache(), Limits(deadline, logins, pending))

    def connect(
        self, connect: Callable[..., C], *args: Any, driver: Driver | str | None = None, **kwargs: Any
    ) -> C:
        """Connect, with a driver's own function.

        Args:
            connect: ``psycopg.connect``, ``pymysql.connect``, ``redis.Redis`` …
            *args: handed on.
            driver: whose names and errors are meant, or its package's name, when ``connect`` is a function of
                your own; else found by the module of ``connect``.
            **kwargs: handed on; they win over what the secret says (``host`` of a proxy, ``dbname`` …).

        Returns:
            What ``connect`` returned.

        Raises:
            Exception: the driver's own, when it is no rejection, or when no stored version was accepted.
            CredentialsRejected: reason ``held-back``: all were rejected a moment ago.
            StoreError: the secret cannot be read, and is not in memory.
            InvalidInput: ``user`` or ``password`` was given: they come from the secret.
        """
        known = checked(driver, connect, kwargs)
        if known is REDIS:
            from rotators.client.redis import connected  # noqa: PLC0415 - needs redis-py

            return connected(self, connect, *args, **kwargs)

        def login(attempt: Attempt) -> C:
            connection = connect(*args, **known.arguments(attempt.secret, attempt.seconds, kwargs))
            known.settle(connection, kwargs)
            return connection

        return self.login(login, known)

    def login(self, login: Callable[[Attempt], C], driver: Driver | str) -> C:
        """Log in by a function of your own.

        Args:
            login: makes the connection of an attempt, or raises the driver's error.
            driver: by whose errors a rejection is recognised.

        Returns:
            What ``login`` returned when it first did not raise.

        Raises:
            Exception: as ``connect``.
        """
        known = driver_named(driver) if isinstance(driver, str) else driver
        steps = self.shared.start(known)
        answer: Answer = None
        made: list[C] = []
        since = self.shared.cache.now()
        while True:
            try:
                ask = steps.send(answer)
            except StopIteration:
                self.shared.succeeded()
                return made[0]
            if isinstance(ask, Pause):
                since = self.shared.cache.now()
                time.sleep(ask.seconds)
                answer = None
            elif isinstance(ask, Read):
                answer = self._read(ask, since)
            else:
                try:
                    made.append(login(Attempt(ask.secret, ask.version.version, ask.seconds)))
                    answer = None
                except Exception as error:  # noqa: BLE001 - what is no refusal is raised on
                    answer = judged(error, ask, known)
                    since = self.shared.cache.now()

    def _read(self, ask: Read, since: float) -> SecretVersion | RotatorsError:
        cache = self.shared.cache
        try:
            return cache.read(
                self.shared.secret_id,
                stage=ask.stage,
                since=since if ask.anew else None,
                timeout=ask.seconds,
            )
        except RotatorsError as error:
            return error

    def retired(self, version: str | None) -> bool:
        """Whether a connection that was made with this version should be replaced when it is next idle.

        False when the secret cannot be read: a connection that works is not given up for that.
        """
        try:
            return version != self._preferred(PATIENCE_SECONDS).version
        except RotatorsError:
            self.shared.note("unreadable", version)
            return False

    def secret(self) -> dict[str, Any]:
        """The secret that would be tried first now, as a dictionary of its own. Clear text.

        Raises:
            StoreError: it cannot be read, and is not in memory.
            SecretFormatError: it is no JSON object.
        """
        return dict(secret_of(self._preferred()))

    def parameters(self, driver: Driver | str = LIBPQ) -> dict[str, Any]:
        """The same in a driver's words; libpq's, for example, also as a connection string's. Clear text."""
        known = driver_named(driver) if isinstance(driver, str) else driver
        return known.parameters(Secret(self.secret()))

    def url(self, scheme: str = "postgresql") -> str:
        """The same as a URL of libpq's form, all parts percent-encoded. Clear text.

        Args:
            scheme: ``postgresql``, ``mysql+pymysql`` … whatever the reader understands.
        """
        secret = Secret(self.secret())
        user, password = (quote(secret.text(key), safe="") for key in ("username", "password"))
        where = quote(secret.text("host"), safe="[]:") + (f":{secret['port']}" if "port" in secret else "")
        query = {}
        if scheme.startswith("postgres"):
            query = {
                key: value for key, value in self.parameters().items() if key in {"sslmode", "sslrootcert"}
            }
        name = quote(secret.text("dbname"), safe="") if "dbname" in secret else ""
        return f"{scheme}://{user}:{password}@{where}/{name}" + (f"?{urlencode(query)}" if query else "")

    def counts(self) -> dict[str, int]:
        """See ``Shared.counts``."""
        return self.shared.counts()

    def _preferred(self, timeout: float | None = None) -> SecretVersion:
        return self.shared.preferred(self.shared.cache.read(self.shared.secret_id, timeout=timeout))

    def __repr__(self) -> str:
        return repr(self.shared)


def judged(error: Exception, ask: Login, driver: Driver) -> Refusal:
    """What a login's error says. Values of the secret are masked in it.

    Raises:
        Exception: the error itself, when it is neither a rejection nor an absence.
    """
    verdict = driver.judge(error, ask.secret)
    shown = redacted(error, ask.secret.sensitive())
    if verdict is Verdict.OTHER:
        raise shown
    return Refusal(verdict, shown)


def checked(
    driver: Driver | str | None, connect: Callable[..., object], given: Mapping[str, object]
) -> Driver:
    """The driver that is meant.

    Raises:
        InvalidInput: a user or password was given.
    """
    if named := sorted(_OURS & given.keys()):
        raise InvalidInput(
            f"{' and '.join(named)} given to connect()",
            remedy="Leave them out: they come from the secret and change with it.",
        )
    if driver is None:
        return driver_of(connect)
    return driver_named(driver) if isinstance(driver, str) else driver
