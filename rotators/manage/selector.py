"""The selector of the secrets of a command. All commands share it.

All conditions must hold. Of several values of one condition, one must hold. ``!`` before a value negates it,
and each negated value must hold. The service filters names and tags as far as it can (API reference,
ListSecrets, Filters); Every condition is checked here again, because its filters do not connect a tag's value
with its key.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rotators.aws.secrets import SecretVersion
from rotators.core.errors import AccessDenied, RotatorsError, SecretFormatError, SecretNotFound
from rotators.manage.errors import SecretsUnreadable, SelectorInvalid
from rotators.manage.failures import failed_rotations
from rotators.manage.inventory import Entry, described, entries, named
from rotators.manage.keys import key_ids
from rotators.manage.values import values_of

_Check = Callable[[Entry], bool]

_DURATION = re.compile(r"([0-9]{1,6})(min|h|d|w)")
_UNITS = {"min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FILTER_VALUES = 10  # largest number of values of a filter
_NEGATION = "!"
_MOST_NAMED = 10  # largest number of names in an error
# Characters of a value of a filter (API reference, Filter), without the negation.
_FILTERABLE = re.compile(r"[a-zA-Z0-9 :_@/+=.\-][a-zA-Z0-9 :_@/+=.\-!]*")


@dataclass(frozen=True)
class Selector:
    """Conditions on secrets. A condition that is empty or None does not apply.

    Attributes:
        ids: names or ARNs; only these secrets are checked.
        names: beginnings of names.
        tags: ``key`` or ``key=value``.
        engines: names of engines in the secrets' values, which are read for this.
        keys: aliases, ids or ARNs of KMS keys.
        stale: ages such as ``30d``: the value is at least that old.
        unused: ages: no value was read for that long, and the secret is that old.
        never_rotated: True for secrets that were never rotated; False for the others.
        failed: True for secrets whose last rotation failed; False for the others.
        overdue: True for secrets whose next rotation is in the past; False for the others.
        replicated: True for replicated secrets; False for the others.
        deleted: True to include secrets that are scheduled for deletion.
        everything: True to select all secrets without a condition.
    """

    ids: Sequence[str] = ()
    names: Sequence[str] = ()
    tags: Sequence[str] = ()
    engines: Sequence[str] = ()
    keys: Sequence[str] = ()
    stale: Sequence[str] = ()
    unused: Sequence[str] = ()
    never_rotated: bool | None = None
    failed: bool | None = None
    overdue: bool | None = None
    replicated: bool | None = None
    deleted: bool = False
    everything: bool = False

    @property
    def is_empty(self) -> bool:
        """True if there is no condition, so that all secrets are selected."""
        return replace(self, deleted=False) == Selector()

    def select(self, now: dt.datetime) -> Selection:
        """Find the secrets that meet all conditions.

        Args:
            now: time that ages are counted from, with a zone.

        Returns:
            The secrets; they are listed while the result is iterated.

        Raises:
            SelectorInvalid: a condition is not valid; no call was made yet.
            StoreError: a key or the failed rotations could not be read.
        """
        meets = self.check(now)
        unread: list[tuple[str, RotatorsError]] = []
        if self.ids:
            listed = named(self.ids, unread, deleted=self.deleted)
        else:
            listed = entries(self._filters(), deleted=self.deleted)
        return Selection(meets, listed, self.engines, unread)

    def check(self, now: dt.datetime) -> Callable[[Entry], bool]:
        """Return the check of all conditions but the engine and `ids`.

        Args:
            now: time that ages are counted from, with a zone.

        Returns:
            A function that returns True for a secret that meets the conditions.

        Raises:
            SelectorInvalid: a condition cannot be read.
            StoreError: a key or the failed rotations could not be read.
        """
        checks = [*self._checks(now), *self._flags(now)]
        if not self.deleted:
            checks.append(lambda entry: entry.deleted is None)
        return lambda entry: all(check(entry) for check in checks)

    def _checks(self, now: dt.datetime) -> Iterator[_Check]:
        yield _check(self.names, _begins)
        yield _check(self.stale, partial(_older, now, lambda entry: entry.value_since))
        yield _check(self.unused, partial(_older, now, lambda entry: entry.unread_since))
        yield from (_check(texts, _has_tag) for texts in _by_key(self.tags))
        yield _check(self.keys, _has_key)

    def _flags(self, now: dt.datetime) -> Iterator[_Check]:
        if self.never_rotated is not None:
            yield lambda entry: (entry.rotated is None) == self.never_rotated
        if self.overdue is not None:
            yield lambda entry: is_overdue(entry, now) == self.overdue
        if self.replicated is not None:
            yield lambda entry: entry.replicated == self.replicated
        if self.failed is not None:
            failures = failed_rotations()
            yield lambda entry: (failures.last(entry) is not None) == self.failed

    def _filters(self) -> list[dict[str, Any]]:
        """Filters of the service that leave out no secret that meets the conditions."""
        conditions = [("name", self.names)]
        # Only one key: the API does not define the meaning of two filters of one kind.
        conditions += [("tag-key", _keys(texts)) for texts in _by_key(self.tags)[:1]]
        return [
            {"Key": key, "Values": list(dict.fromkeys(values))}
            for key, values in conditions
            if 0 < len(values) <= _FILTER_VALUES and all(map(_FILTERABLE.fullmatch, values))
        ]


@dataclass(frozen=True)
class Selection:
    """The secrets that a selector finds; iterate once.

    Attributes:
        meets: check of all conditions but the engine.
        found: the secrets to check.
        engines: values of the condition on the engine; the secrets' values are read only if there are any.
        unread: names of secrets that the caller may not describe, or whose engine is unknown because their
            values could not be read, with the error. They are not selected. Complete after the iteration.
    """

    meets: _Check
    found: Iterable[Entry]
    engines: Sequence[str]
    unread: list[tuple[str, RotatorsError]]

    def __iter__(self) -> Iterator[Entry]:
        met = filter(self.meets, self.found)
        return self._with_engines(met) if self.engines else met

    def now(self, entry: Entry) -> Entry | None:
        """Describe a selected secret again, because listings lag behind.

        Args:
            entry: the secret, as it was listed.

        Returns:
            The secret as it is; None if it no longer meets the conditions, no longer exists, or may not be
            described. In the last case, `unread` has its name.

        Raises:
            StoreError: it cannot be described for another reason.
        """
        try:
            fresh = replace(described(entry.arn), engine=entry.engine)
        except SecretNotFound:
            return None
        except AccessDenied as error:
            if error.reason is not None:  # see `named`
                raise
            self.unread.append((entry.name, error))
            return None
        return fresh if self.meets(fresh) else None

    def require_complete(self) -> None:
        """Raise an error if secrets are missing in the selection. Call it after the iteration.

        Raises:
            SecretsUnreadable: the caller may not read some of the secrets.
        """
        refuse_unread(self.unread)

    def _with_engines(self, met: Iterable[Entry]) -> Iterator[Entry]:
        meets = _check(self.engines, lambda text: lambda entry: entry.engine == text.lower())
        for entry, value in values_of(met):
            if isinstance(value, RotatorsError):
                self.unread.append((entry.name, value))
            elif meets(known := replace(entry, engine=_engine_of(value))):
                yield known


def _engine_of(value: SecretVersion) -> str | None:
    try:
        engine = value.secret.get("engine")
    except SecretFormatError:
        return None
    return engine.lower() if isinstance(engine, str) else None


def refuse_unread(unread: Sequence[tuple[str, RotatorsError]]) -> None:
    """Raise an error if a result is incomplete.

    Args:
        unread: names of secrets that could not be read, with the error.

    Raises:
        SecretsUnreadable: ``unread`` is not empty.
    """
    if unread:
        names = ", ".join(f"{name} [{error.full_code}]" for name, error in unread[:_MOST_NAMED])
        more = f" and {len(unread) - _MOST_NAMED:,} more" if len(unread) > _MOST_NAMED else ""
        raise SecretsUnreadable(f"{len(unread):,} of the secrets could not be read: {names}{more}")


def duration(text: str) -> dt.timedelta:
    """Return the duration that a text such as ``90d``, ``12h``, ``2w`` or ``30min`` names.

    Args:
        text: a number and a unit.

    Raises:
        SelectorInvalid: the text is not a duration.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise SelectorInvalid(
            f"{text!r} is not a duration", remedy="Write a number and min, h, d or w, such as 30d."
        )
    return dt.timedelta(**{_UNITS[found[2]]: int(found[1])})


def is_overdue(entry: Entry, now: dt.datetime) -> bool:
    """Return True if the time of the next rotation has passed.

    Args:
        entry: the secret.
        now: present time, with a zone.
    """
    return entry.rotation_enabled and entry.next_rotation is not None and entry.next_rotation < now


def _check(texts: Sequence[str], of: Callable[[str], _Check]) -> _Check:
    """Return the check that one of the plain values holds, if there are any, and none of the negated ones."""
    wanted = [of(text) for text in texts if not _negated(text)]
    refused = [of(text.removeprefix(_NEGATION)) for text in texts if _negated(text)]

    def check(entry: Entry) -> bool:
        if wanted and not any(meets(entry) for meets in wanted):
            return False
        return not any(meets(entry) for meets in refused)

    return check


def _negated(text: str) -> bool:
    return text.startswith(_NEGATION)


def _older(now: dt.datetime, since: Callable[[Entry], dt.datetime | None], text: str) -> _Check:
    age = duration(text)

    def check(entry: Entry) -> bool:
        moment = since(entry)
        return moment is not None and now - moment >= age

    return check


def _begins(text: str) -> _Check:
    if not text:
        raise SelectorInvalid("the prefix of a name is empty", remedy="Give --all if all secrets are meant.")
    return lambda entry: entry.name.startswith(text)


def _has_tag(text: str) -> _Check:
    key, equals, value = text.partition("=")
    if not key:
        raise SelectorInvalid(f"{text!r} is not a tag", remedy="Write a key, or key=value.")
    return lambda entry: key in entry.tags and (not equals or entry.tags[key] == value)


def _has_key(text: str) -> _Check:
    spellings = key_ids(text)
    return lambda entry: (entry.key or "") in spellings


def _keys(tags: Sequence[str]) -> list[str]:
    return [text.partition("=")[0] for text in tags]


def _by_key(tags: Sequence[str]) -> list[list[str]]:
    """Conditions on tags, grouped by key: the values of one key are alternatives."""
    groups: dict[str, list[str]] = {}
    for text in tags:
        groups.setdefault(text.removeprefix(_NEGATION).partition("=")[0], []).append(text)
    return list(groups.values())
