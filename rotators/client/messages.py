"""What a walk asks for and is answered with; ``walk.py`` says how they go together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from rotators.core.states import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rotators.aws.reading import SecretVersion
    from rotators.core.errors import RotatorsError
    from rotators.core.secret import Secret


class Verdict(Enum):
    """What a driver's error says about a login."""

    REJECTED = "rejected"  # this user with this password
    UNAVAILABLE = "unavailable"  # nobody judged the credential; the same login may work in a moment
    DATABASE = "database"  # the server has no such database, or it is not for this user
    SERVER = "server"  # another server than the secret means: its certificate, or its rules, do not admit us
    BLOCKED = "blocked"  # too many logins were rejected; the server judges no password of this account now
    CLOSED = "closed"  # the password is right, and the account may not log in: locked, expired, no right to
    OTHER = "other"  # none of these; the application's to see


@dataclass(frozen=True, slots=True)
class Read:
    """Read the version with a label; answered by the version or the error."""

    stage: str
    anew: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Login:
    """Log in with a version; answered by None, or by what was refused."""

    version: SecretVersion
    secret: Secret
    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait; answered by None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """A login that did not come about.

    Attributes:
        verdict: what the error says.
        error: the driver's.
    """

    verdict: Verdict
    error: Exception

    def or_raise(self) -> Refusal:
        """Itself, if a walk knows what to do.

        Raises:
            Exception: the error, if its verdict is OTHER.
        """
        if self.verdict is Verdict.OTHER:
            raise self.error
        return self


if TYPE_CHECKING:
    T = TypeVar("T")
    Ask = Read | Login | Pause
    Answer = SecretVersion | RotatorsError | Refusal | None
    Note = Callable[[str, str | None], None]
    Steps = Generator[Ask, Answer, T]


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a call may go.

    Attributes:
        deadline: seconds for all of it.
        logins: how many logins may be rejected in it.
        pending: whether AWSPENDING may be tried.
    """

    deadline: float = 10.0
    logins: int = 8
    pending: bool = True

    @property
    def stages(self) -> tuple[str, ...]:
        """The labels of a round, in order."""
        return (Stage.CURRENT, *((Stage.PENDING,) if self.pending else ()), Stage.PREVIOUS)
