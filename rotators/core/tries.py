"""The stored values that setSecret may try, in order and bounded.

Every rotator can use it::

    tries = Tries(rotation, usable=same_service, credential=lambda value: value.get("api_key"))
    for _, value in tries:
        try:
            log_in_and_set(value)
        except CredentialsRejected:
            continue
        tries.accepted()

Return:
    raise tries.failure("Unable to log in")

The first value is the current one, and on the normal path it works. Where it is rejected, an earlier rotation
stopped half-way or the credential was changed by hand. Then the order is by what most likely happened:

1. the pending value: an earlier attempt of this rotation was here (later in the order if this process has
   just stored it);
2. lost versions, the newest first: an older rotation died between the target's change and the promotion;
3. the previous value and the replaced versions: the target was restored from a snapshot.

Targets lock accounts after so many rejected logins in a row, so setSecret stops after ``MAX_REJECTED_LOGINS``
in a rotation. Secrets Manager repeats a failed step with the same token, so what this process saw rejected
minutes ago counts (``progress.Rejected``). Of those values only the current and the pending one are tried
again, because an operator or another delivery may have set them since. The last login goes to one of the
remaining values by chance, so that repeated rotations reach every value.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple

from rotators.core.errors import AccessDenied, CredentialsRejected
from rotators.core.progress import REMEMBERED_SECONDS
from rotators.core.rotation import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rotators.core.progress import Credential
    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret


_MINUTES = round(REMEMBERED_SECONDS / 60)


class Candidate(NamedTuple):
    """A stored value that may log in.

    Attributes:
        label: what messages call it.
        value: as it was stored.
    """

    label: str
    value: Secret


class Tries:
    """The values to try, one after the other. Who asks for the next one says that the last was rejected.

    Args:
        rotation: whose values; its ``rejections`` get the labels of those that were rejected, and its
            ``rejected`` their credentials.
        usable: whether a value was stored for the target that is to be asked. A credential must be sent
            nowhere else: anyone who may write the secret could have changed the address in it.
        credential: gives what logs in, as a string, bytes or a tuple of them, to try each once; None for a
            value that has none, or another user's.
        allowed: how many rejected logins in a row the target allows, where it says that; None if there is no
            limit or it is not known. Called once, after the first rejection.

    Attributes:
        rejected: the values that the target has rejected in this rotation, also those that were not tried
            again for that reason.
    """

    def __init__(
        self,
        rotation: Rotation,
        usable: Callable[[Secret], bool],
        credential: Callable[[Secret], Credential | None],
        allowed: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._rotation, self._usable, self._credential, self._allowed = rotation, usable, credential, allowed
        self.rejected: list[Secret] = []
        self._again: list[str] = []
        self._moved: list[str] = []
        self._untried: list[str] = []
        self._remarks: list[str] = []

    def __iter__(self) -> Iterator[Candidate]:
        """The values, the likeliest first; lazily, because reading one costs a call."""
        candidates = self._candidates()
        first = None if self._rotation.rejected.count() else next(candidates, None)
        if first is not None:
            yield first
            self._note(first)
        limit = self._limit()
        while limit - self._rotation.rejected.count() > 1:
            candidate = next(candidates, None)
            if candidate is None:
                return
            yield candidate
            self._note(candidate)
        remaining = list(candidates)
        left = limit - self._rotation.rejected.count()
        chosen = secrets.choice(remaining) if remaining and left > 0 else None
        for each in remaining:
            if each is not chosen:
                credential = self._credential(each.value)
                again = credential is not None and credential in self._rotation.rejected
                (self._again if again else self._untried).append(each.label)
        if chosen is not None:
            yield chosen
            self._note(chosen)

    def accepted(self) -> None:
        """Note that the target accepted a value: it counts from zero again, also if the step fails later."""
        self._rotation.rejected.clear()

    def failure(self, what: str) -> CredentialsRejected:
        """The error to raise when every value was rejected.

        Args:
            what: could not be done, as the beginning of a sentence.

        Returns:
            An error that says what was tried, what was not and why, and what to do.
        """
        lists = (
            ("rejected with", self._rotation.rejections),
            ("rejected minutes ago in this rotation, so not tried again:", self._again),
            ("stored for another target, so not tried:", self._moved),
            ("not tried, to keep the account from being locked:", self._untried),
        )
        parts = [f"{words} {', '.join(labels)}" for words, labels in lists if labels]
        cause = f"{what}: {'; '.join([*parts, *self._remarks])}"
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
                f"Rotate again after {_MINUTES} minutes: each rotation tries another one of them. Or set"
                " MAX_REJECTED_LOGINS on the function, or store a credential that logs in"
                " (PutSecretValue)."
            )
        if self._again:
            return (
                "Run `rotators doctor SECRET`, or store a credential that logs in (PutSecretValue), which is"
                f" tried at once. If the target accepts a stored one by now, rotate again after {_MINUTES}"
                " minutes."
            )
        return None

    def _limit(self) -> int:
        ours, theirs = self._rotation.settings.most_rejected, self._allowed()
        return ours if theirs is None else min(ours, theirs)

    def _note(self, candidate: Candidate) -> None:
        self.rejected.append(candidate.value)
        self._rotation.rejections.append(candidate.label)
        credential = self._credential(candidate.value)
        if credential is not None:
            self._rotation.rejected.add(credential)

    def _candidates(self) -> Iterator[Candidate]:
        known: list[Credential] = []
        for label, value in self._stored():
            credential = self._credential(value)
            if credential is None or credential in known:
                continue
            if not self._usable(value):
                self._moved.append(label)
                continue
            known.append(credential)
            likely = value is self._rotation.current or value is self._rotation.proposed
            if not likely and credential in self._rotation.rejected:
                self.rejected.append(value)
                self._again.append(label)
                continue
            yield Candidate(label, value)

    def _stored(self) -> Iterator[Candidate]:
        """All stored values. One that cannot be read must not hide those behind it."""
        rotation = self._rotation
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
            for number, value in enumerate(values(), 1):
                yield Candidate(f"{name} {number}", value)
        except AccessDenied:
            if remark not in self._remarks:
                self._remarks.append(remark)
