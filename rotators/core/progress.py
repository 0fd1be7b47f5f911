"""The memory of one process about the rotations whose steps it ran."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from typing import NamedTuple, TypeVar

REMEMBERED_SECONDS = 600.0
"""The time in seconds for which a rejected login of a rotation counts.

Secrets Manager repeats a failed step, and servers count rejected logins. An idle Lambda container is kept for
about this time, so a longer time would have no effect.
"""

Credential = str | bytes | tuple[str | bytes, ...]
"""A credential in a form whose ``repr`` differs from that of every other credential."""

_MOST_ROTATIONS = 256

K = TypeVar("K")
V = TypeVar("V")


class Moment(NamedTuple):
    """A point in time on two clocks: one may be set back, the other stops in a frozen container.

    Attributes:
        wall: seconds since 1970.
        steady: seconds of the monotonic clock.
    """

    wall: float
    steady: float

    @classmethod
    def now(cls) -> Moment:
        """Return this point in time."""
        return cls(time.time(), time.monotonic())

    def age(self) -> float:
        """Return the seconds since then, by the clock that counted more of them.

        Returns:
            Seconds.
        """
        now = Moment.now()
        return max(now.wall - self.wall, now.steady - self.steady)


class Rejected:
    """The credentials of one account that a target rejected during one rotation, within REMEMBERED_SECONDS.

    Only keyed digests are kept, because credentials must not stay in memory longer than a step.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._logins: list[tuple[bytes, Moment]] = []

    def add(self, credential: Credential) -> None:
        """Note a rejected login with a credential.

        Args:
            credential: the rejected one, in the form that sessions take.

        Raises:
            TypeError: the credential is an object whose ``repr`` may be equal for different credentials.
        """
        self._logins.append((self._digest(credential), Moment.now()))

    def count(self) -> int:
        """Return the number of rejected logins.

        Returns:
            Different credentials of the last REMEMBERED_SECONDS.
        """
        return len(self._recent())

    def __contains__(self, credential: Credential) -> bool:
        """True if a login with this credential was rejected."""
        return self._digest(credential) in {digest for digest, _ in self._recent()}

    def clear(self) -> None:
        """Delete all entries, because the target is about to be changed or a login was accepted."""
        self._logins.clear()

    def _recent(self) -> list[tuple[bytes, Moment]]:
        return [each for each in self._logins if each[1].age() < REMEMBERED_SECONDS]

    def _digest(self, credential: Credential) -> bytes:
        if type(credential) not in {str, bytes, tuple}:
            kind = type(credential).__name__
            raise TypeError(f"a credential must be a string, bytes or a tuple, not {kind}")
        return hashlib.blake2b(repr(credential).encode(errors="surrogatepass"), key=self._key).digest()


class Progress:
    """The rotations whose steps this process ran; a new container starts without any.

    It saves calls, improves the order of logins, and limits the rejected logins of repeated steps.
    """

    def __init__(self) -> None:
        self._stored: dict[tuple[str, str], bool] = {}
        self._tested: dict[tuple[str, str], tuple[str, str]] = {}
        self._rejected: dict[tuple[str, str, str | None], Rejected] = {}
        self._lock = threading.Lock()

    def stored(self, arn: str, token: str) -> None:
        """Note that this process stored the pending value of a rotation.

        Args:
            arn: ARN of the secret.
            token: token of the rotation.
        """
        with self._lock:
            _remember(self._stored, (arn, token), True)

    def begin_set(self, arn: str, token: str) -> bool:
        """Note that setSecret begins.

        Args:
            arn: ARN of the secret.
            token: token of the rotation.

        Returns:
            True if this process stored the pending value and has not begun a setSecret for it before.
        """
        return self._stored.pop((arn, token), False)

    def tested(self, arn: str, token: str, by: tuple[str, str]) -> None:
        """Note that testSecret passed with the pending value.

        Args:
            arn: ARN of the secret.
            token: token of the rotation.
            by: names of the rotator that tested and of its strategy.
        """
        with self._lock:
            _remember(self._tested, (arn, token), by)

    def passed(self, arn: str, token: str) -> tuple[str, str] | None:
        """Return the rotator and strategy with which testSecret passed in this process; None if it did not.

        Args:
            arn: ARN of the secret.
            token: token of the rotation.

        Returns:
            Name of the rotator and name of the strategy.
        """
        return self._tested.get((arn, token))

    def rejected(self, arn: str, token: str, current: str | None) -> Rejected:
        """Return the rejected logins of a rotation.

        Args:
            arn: ARN of the secret.
            token: token of the rotation.
            current: the id of the AWSCURRENT version. A value that is stored after a failed rotation may be
                correct, or be for another account, so it starts without rejections.

        Returns:
            The same object for the same arguments, until the process ends.
        """
        key = (arn, token, current)
        with self._lock:
            if key not in self._rejected:
                _remember(self._rejected, key, Rejected())
            return self._rejected[key]

    def clear(self) -> None:
        """Forget everything, as a new container would."""
        self._stored.clear()
        self._tested.clear()
        self._rejected.clear()


def _remember(known: dict[K, V], key: K, value: V) -> None:
    known[key] = value
    while len(known) > _MOST_ROTATIONS:
        del known[next(iter(known))]


progress = Progress()
"""The memory of this process."""
