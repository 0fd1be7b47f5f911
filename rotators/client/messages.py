"""What ``walk.py`` and ``flow.py`` ask for and are answered with; they say how it goes together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from rotators.core.states import Stage
from rotators.logins.driver import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rotators.aws.reading import SecretVersion
    from rotators.core.errors import RotatorsError
    from rotators.core.secret import Secret


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
class Fetch:
    """Read a version from the cache; answered by the version or the error.

    Attributes:
        secret_id: name or ARN.
        stage: the version's label; AWSCURRENT when left out.
        since: a mark of the cache, to have it read anew after that; None for the one in memory.
        timeout: seconds to wait at most; None for the cache's own.
    """

    secret_id: str
    stage: str | None
    since: int | None
    timeout: float | None


@dataclass(frozen=True, slots=True)
class Made:
    """The connection that an attempt made."""

    connection: Any


@dataclass(frozen=True, slots=True)
class Close:
    """Close a connection; answered by None."""

    connection: Any


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
    Do = Fetch | Pause | Attempt | Close
    Outcome = SecretVersion | Made | Refusal | Exception | None
    Doing = Generator[Do, Outcome, T]


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
