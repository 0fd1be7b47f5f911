"""The stored values that setSecret may try: their order and their number.

Every rotator can use it::

    tries = Tries(rotation)
    for stored in tries:
        key = stored.value.get("api_key")
        if not tries.may_send(stored, key, same_target=is_for(stored.value, rotation.current)):
            continue
        try:
            log_in_and_set(key)
        except CredentialsRejected:
            continue
        tries.accepted()

Return:
    raise tries.failure("Unable to log in")

The first value is the current one, which normally works. If it is rejected, an earlier rotation was
interrupted or the credential was changed by hand. The other values follow in the order of probability:

1. the pending value: an earlier attempt of this rotation set it (later in the order if this process has just
stored it);
2. lost versions, the newest first: an older rotation stopped between the change of the target and the
promotion;
3. the previous value and the replaced versions: the target was restored from a snapshot.

Targets lock accounts after some rejected logins in a row, so setSecret stops after ``MAX_REJECTED_LOGINS`` in
a rotation. Secrets Manager repeats a failed step with the same token, so earlier rejections in this process
count too (``progress.Rejected``). Of those values only the current and the pending one are tried again,
because an operator or another delivery may have set them since. The last login uses one of the remaining
values at random, so that repeated rotations reach every value.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple

from rotators.core.errors import AccessDenied, CredentialsRejected, StoreError
from rotators.core.progress import REMEMBERED_SECONDS, Credential
from rotators.core.rotation import UNREADABLE, failed_look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret


_MINUTES = round(REMEMBERED_SECONDS / 60)


class StoredValue(NamedTuple):
    """A stored value that may log in.

    Attributes:
        name: the name of the value in messages.
        value: as it was stored.
    """

    name: str
    value: Secret


class Tries:
    """Iterates over the stored values. A request for the next value means that the last one was rejected.

    Args:
        rotation: rotation with the values. The names of rejected values are added to its ``rejections``, and
            their credentials to its ``rejected``.
        current_first: True if the current value comes first even if only one login is left, because no login
            with it has been rejected so far.

    Attributes:
        rejected: the values that the target has rejected in this rotation, including those that were not
            tried again for that reason.
    """

    def __init__(self, rotation: Rotation, *, current_first: bool = False) -> None:
        self._rotation = rotation
        self._current_first = current_first
        self._limit = rotation.settings.most_rejected
        self._sent: tuple[StoredValue, Credential] | None = None
        self._known: list[Credential] = []
        self.rejected: list[Secret] = []
        self._again: list[str] = []
        self._moved: list[str] = []
        self._untried: list[str] = []
        self._remarks: list[str] = []

    def __iter__(self) -> Iterator[StoredValue]:
        """Yield the values, the most probable first. Each is read, with one call, when it is reached."""
        waiting = self._stored()
        if self._current_first:
            yield next(waiting)
            self._note_rejected()
        while True:
            if self.repeated and self._left() == 1 and (remaining := list(waiting)):
                chosen = secrets.choice(remaining)
                waiting = iter([chosen, *(each for each in remaining if each is not chosen)])
            stored = next(waiting, None)
            if stored is None:
                return
            yield stored
            self._note_rejected()

    def may_send(self, stored: StoredValue, credential: Credential | None, *, same_target: bool) -> bool:
        """Decide whether a value may be tried. Call it for every value before a login.

        Args:
            stored: the value.
            credential: a string, bytes or a tuple of them; None if the value has no credential, or that of
                another user. Equal credentials are sent once.
            same_target: True if the value was stored for the target of the login. A credential must not be
                sent to another target: anyone who may write the secret could have changed the address in it.

        Returns:
            True if the caller has to log in with the credential now; False if it has to skip the value.
        """
        if credential is None or credential in self._known:
            return False
        if not same_target:
            self._moved.append(stored.name)
            return False
        self._known.append(credential)
        again = credential in self._rotation.rejected
        if again and stored.value not in (self._rotation.current, self._rotation.proposed):
            self.rejected.append(stored.value)
        elif self._left() > 0:
            self._sent = stored, credential
            return True
        (self._again if again else self._untried).append(stored.name)
        return False

    @property
    def repeated(self) -> bool:
        """True if the target has rejected a login of this rotation, in an earlier step or in this one."""
        return self._rotation.rejected.count() > 0

    @property
    def rejections(self) -> int:
        """Number of logins of this rotation that the target has rejected, including the last one.

        Valid before the first login of a step, and after a rejection.
        """
        return self._rotation.rejected.count() + (self._sent is not None)

    def limit(self, allowed: int | None) -> None:
        """Observe the target's own limit. Call it after a rejection, and at the start if ``repeated``.

        Args:
            allowed: number of logins in a row that the target may reject; None if there is no limit or it is
                not known.
        """
        if allowed is not None:
            self._limit = min(self._limit, allowed)

    def accepted(self) -> None:
        """Reset the count of rejections: the target accepted a value, even if the step fails later."""
        self._rotation.rejected.clear()

    def failure(self, what: str) -> CredentialsRejected:
        """Return the error to raise when every value was rejected.

        Args:
            what: beginning of the message, such as ``Unable to log in``.

        Returns:
            An error whose message lists the values that were tried, those that were not and why, and the next
            action.
        """
        lists = (
            ("rejected with", self._rotation.rejections),
            ("rejected minutes ago in this rotation, so not tried again:", self._again),
            ("stored for another target, so not tried:", self._moved),
            ("not tried, to keep the account from being locked:", self._untried),
        )
        parts = [f"{words} {', '.join(names)}" for words, names in lists if names]
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
                f"Rotate again after {_MINUTES} minutes: each rotation tries another of these versions."
                " Or set MAX_REJECTED_LOGINS on the function, or store a credential that logs in"
                " (PutSecretValue)."
            )
        if self._again:
            return (
                "Run `rotators doctor SECRET`, or store a credential that logs in (PutSecretValue), which is"
                " tried at once. If the target accepts a stored credential again, rotate again after"
                f" {_MINUTES} minutes."
            )
        return None

    def _left(self) -> int:
        return self._limit - self._rotation.rejected.count()

    def _note_rejected(self) -> None:
        if self._sent is not None:
            (name, value), credential = self._sent
            self.rejected.append(value)
            self._rotation.rejections.append(name)
            self._rotation.rejected.add(credential)
            self._sent = None

    def _stored(self) -> Iterator[StoredValue]:
        """Yield all stored values. One that cannot be read must not prevent the use of those after it."""
        rotation = self._rotation
        yield StoredValue("current", rotation.current)
        if not rotation.untouched:
            yield StoredValue("pending", rotation.pending)
        yield from self._numbered("lost version", lambda: rotation.lost)
        if rotation.untouched:
            yield StoredValue("pending", rotation.pending)
        try:
            if rotation.previous is not None:
                yield StoredValue("previous", rotation.previous)
        except (StoreError, *UNREADABLE) as error:
            if not (isinstance(error, UNREADABLE) or failed_look_up(error)):
                raise
            self._remarks.append(f"previous could not be read: {error.full_code}")
        yield from self._numbered("older version", lambda: rotation.history)

    def _numbered(self, name: str, values: Callable[[], Iterable[Secret]]) -> Iterator[StoredValue]:
        remark = "older versions could not be listed: grant secretsmanager:ListSecretVersionIds"
        try:
            for number, value in enumerate(values(), 1):
                yield StoredValue(f"{name} {number}", value)
        except AccessDenied:
            if remark not in self._remarks:
                self._remarks.append(remark)
