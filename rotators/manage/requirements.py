"""The requirements that a rule of a policy can have. Each checks one secret."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rotators.manage.calls import faults_of_policy, policy_of
from rotators.manage.failures import FailedRotations, failed_rotations
from rotators.manage.inventory import Entry
from rotators.manage.keys import OWN_KEY, key_ids
from rotators.manage.selector import duration, is_overdue

Check = Callable[[Entry], str]
"""Returns why a secret does not meet the requirement; an empty text if it does."""


@dataclass(frozen=True)
class Requirement:
    """A requirement.

    Attributes:
        kind: type of its value in a policy file; a boolean can only be true.
        unmet: returns why a secret does not meet it, from the secret, the prepared value and the time of the
            run; an empty text if it does.
        prepare: prepares the value once for all secrets; raises SelectorInvalid for one that cannot be read.
    """

    kind: type
    unmet: Callable[[Entry, Any, dt.datetime], str]
    prepare: Callable[[Any], Any] = lambda value: value

    def check(self, value: Any, now: dt.datetime) -> Check:
        """Return the check of a value.

        Args:
            value: the value in the policy file.
            now: the time of the run.

        Raises:
            StoreError: the value could not be prepared.
        """
        prepared = self.prepare(value)
        return lambda entry: self.unmet(entry, prepared, now)


def _age(entry: Entry, most: dt.timedelta, now: dt.datetime) -> str:
    since = entry.value_since
    return f"its value is {(now - since).days} days old" if since and now - since > most else ""


def _unused(entry: Entry, most: dt.timedelta, now: dt.datetime) -> str:
    since = entry.unread_since
    if since is None or now - since <= most:
        return ""
    return f"not read for {(now - since).days} days" if entry.accessed else "never read"


def _rotation(entry: Entry, _true: bool, _now: dt.datetime) -> str:
    # Secrets that a service manages also have RotationEnabled.
    return "" if entry.rotation_enabled else "rotation is off"


def _on_schedule(entry: Entry, failures: FailedRotations, now: dt.datetime) -> str:
    failure = failures.last(entry)
    if failure is not None:
        return f"its last rotation failed: {failure.message}"
    return "its rotation is overdue" if is_overdue(entry, now) else ""


def _customer_key(entry: Entry, _true: bool, _now: dt.datetime) -> str:
    own = not entry.key or entry.key.endswith(OWN_KEY)
    return f"its key is {OWN_KEY}" if own else ""


def _key(entry: Entry, spellings: frozenset[str], _now: dt.datetime) -> str:
    return "" if (entry.key or "") in spellings else f"its key is {entry.key or OWN_KEY}"


def _tags(entry: Entry, keys: list[str], _now: dt.datetime) -> str:
    missing = [key for key in keys if not entry.tags.get(key)]
    return f"without the tag {', '.join(missing)}" if missing else ""


def _replicated(entry: Entry, _true: bool, _now: dt.datetime) -> str:
    return "" if entry.replicated else "it has no replica"


def _private(entry: Entry, _true: bool, _now: dt.datetime) -> str:
    policy = policy_of(entry.arn)
    faults = faults_of_policy(entry.arn, policy) if policy else None
    return "" if faults is None else f"its policy does not pass ValidateResourcePolicy: {' '.join(faults)}"


REQUIREMENTS = {
    "max_age": Requirement(str, _age, duration),
    "max_unused": Requirement(str, _unused, duration),
    "rotation": Requirement(bool, _rotation),
    "on_schedule": Requirement(bool, _on_schedule, lambda _true: failed_rotations()),
    "customer_key": Requirement(bool, _customer_key),
    "key": Requirement(str, _key, key_ids),
    "tags": Requirement(list, _tags),
    "replicated": Requirement(bool, _replicated),
    "private": Requirement(bool, _private),
}
"""Requirements by their names in a policy file."""
