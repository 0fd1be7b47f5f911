"""The logins of setSecret with stored values: which are tried, in which order, and how many.

The first one is the current value, and on the normal path it works. Where it is rejected, an earlier rotation
stopped half-way or somebody changed the password. Then the order is by what most likely happened:

1. the pending value: an earlier attempt of this rotation was here (later in the order if this process has
   just stored it);
2. lost versions, the newest first: an older rotation died between the target's change and the promotion;
3. the previous value and the replaced versions: the target was restored from a snapshot.

Servers lock accounts after so many rejected logins in a row. So a step stops after
``Settings.most_rejected``, or below the server's limit where an admin can read it. The last login goes to
one of the remaining values by chance, so that repeated rotations reach every value. A password is sent only
to the target that it was stored for. A server that cannot be reached ends the step: that is no rejection.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from rotators.core.errors import AccessDenied, CredentialsRejected, RotatorFailure, TargetRefused
from rotators.core.rotation import UNREADABLE
from rotators.strategies.identity import direct, proven_admin, same_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.strategies.engine import Engine, Session

T = TypeVar("T")


class Candidate(NamedTuple):
    """A stored value that may log in.

    Attributes:
        label: what messages call it.
        secret: the current value with the password of the stored one.
    """

    label: str
    secret: Secret


@dataclass
class Attempts:
    """The logins of one step. Each object serves one step.

    Args:
        engine: whose logins.
        rotation: whose values.

    Attributes:
        passwords: those that were rejected.
        blocked: whether the server refuses every login of the user because too many were rejected before.
    """

    engine: Engine
    rotation: Rotation
    passwords: list[str] = field(default_factory=list, init=False, repr=False)
    blocked: bool = field(default=False, init=False)
    _limit: int = field(init=False)
    _moved: list[str] = field(default_factory=list, init=False)
    _untried: list[str] = field(default_factory=list, init=False)
    _remarks: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._limit = self.rotation.settings.most_rejected

    def first(self, use: Callable[[Session, Secret], T]) -> T | None:
        """Log in with one value after the other until one is accepted.

        Args:
            use: called with the session and the value that was accepted.

        Returns:
            What ``use`` returned; None when no value was accepted.

        Raises:
            TargetUnavailable, TargetRefused, SecretFormatError: a login did not come about for another reason
                than its password; no further value was tried.
        """
        for label, secret in self._bounded(self._candidates()):
            try:
                with self.engine.login(secret, self.rotation.settings) as session:
                    return use(session, secret)
            except CredentialsRejected:
                self.passwords.append(secret.text("password"))
                self.rotation.rejections.append(label)
            except TargetRefused as error:
                # Too many logins were rejected before: that says nothing about this password, and an admin
                # can help.
                if error.reason != "blocked" or self.rotation.current.get("masterarn") is None:
                    raise
                self.blocked = True
                return None
        return None

    def failure(self) -> CredentialsRejected:
        """The error for the caller to raise when nothing was accepted: what was tried, and what was not."""
        user = self.rotation.pending.text("username")
        cause = (
            f"Unable to log into database as {user!r}: rejected with {', '.join(self.rotation.rejections)}"
        )
        if self._moved:
            cause += f"; stored for another target, so not tried: {', '.join(self._moved)}"
        if self._untried:
            cause += f"; not tried, to keep the account from being locked: {', '.join(self._untried)}"
        if self._remarks:
            cause += f"; {', '.join(self._remarks)}"
        return CredentialsRejected(cause, remedy=self._remedy())

    def _remedy(self) -> str | None:
        if self._moved:
            return (
                "If the database has moved, store its new address together with the password that works there"
                " (PutSecretValue), or name both addresses in the function's ALLOWED_TARGETS; then rotate."
                " If it has not moved, find out who changed the address in the secret."
            )
        if self._untried:
            return (
                "Rotate again: each rotation tries another one of them. Or set MAX_REJECTED_LOGINS on the"
                " function, or store a credential that logs in with PutSecretValue."
            )
        return None

    def _bounded(self, candidates: Iterator[Candidate]) -> Iterator[Candidate]:
        """As many candidates as may be rejected; the last one by chance."""
        yield next(candidates)
        self._limit = min(self._limit, self._allowed_by_server())
        while (left := self._limit - len(self.passwords)) > 1:
            candidate = next(candidates, None)
            if candidate is None:
                return
            yield candidate
        remaining = list(candidates)
        chosen = secrets.choice(remaining) if remaining and left == 1 else None
        self._untried = [each.label for each in remaining if each is not chosen]
        if chosen is not None:
            yield chosen

    def _allowed_by_server(self) -> int:
        """The server's own limit as an admin reads it; ours where there is no admin, or it cannot be read."""
        if self.rotation.current.get("masterarn") is None:
            return self._limit
        try:
            admin = proven_admin(self.rotation, self.engine)
            if admin is None:
                return self._limit
            with self.engine.login(admin, self.rotation.settings) as session:
                allowed = session.rejections_allowed(self.rotation.current.text("username"))
        except (RotatorFailure, *UNREADABLE):
            # The admin is needed only if no stored value works, and its error is reported then.
            return self._limit
        return self._limit if allowed is None else allowed

    def _candidates(self) -> Iterator[Candidate]:
        """The stored values of this user, each password once; lazily, for reading one costs a call."""
        current, settings = self.rotation.current, self.rotation.settings
        known: set[object] = set()
        for label, secret in self._stored():
            password = secret.get("password")
            if (
                secret.get("username") != current["username"]
                or not isinstance(password, str)
                or password in known
            ):
                continue
            if not same_target(secret, current, self.engine, settings):
                self._moved.append(label)
                continue
            known.add(password)
            yield Candidate(label, direct(current.replace(password=password), self.engine))

    def _stored(self) -> Iterator[Candidate]:
        """All stored values. One that cannot be read must not hide those behind it."""
        rotation = self.rotation
        yield Candidate("current", rotation.current)
        if not rotation.untouched:
            yield Candidate("pending", rotation.pending)
        yield from self._numbered("lost version", lambda: rotation.lost)
        if rotation.untouched:
            yield Candidate("pending", rotation.pending)
        try:
            if rotation.previous is not None:
                yield Candidate("previous", rotation.previous)
        except UNREADABLE as error:
            self._remarks.append(f"previous could not be read: {error.code}")
        yield from self._numbered("older version", lambda: rotation.history)

    def _numbered(self, name: str, values: Callable[[], Iterable[Secret]]) -> Iterator[Candidate]:
        remark = "older versions could not be listed: grant secretsmanager:ListSecretVersionIds"
        try:
            for number, secret in enumerate(values(), 1):
                yield Candidate(f"{name} {number}", secret)
        except AccessDenied:
            if remark not in self._remarks:
                self._remarks.append(remark)
