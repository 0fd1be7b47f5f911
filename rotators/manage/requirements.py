"""The requirements that a rule of a policy can have. Each looks at one secret."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.manage.failures import failed_rotations
from rotators.manage.keys import OWN_KEY, key_ids
from rotators.manage.selector import duration, is_overdue

if TYPE_CHECKING:
    import datetime as dt

    from rotators.manage.inventory import Entry

Check = Callable[["Entry"], str]
"""Returns why a secret does not meet the requirement; an empty text if it does."""


@dataclass(frozen=True)
class Requirement:
    """A requirement.

    Attributes:
        kind: type of its value in a policy file; a boolean can only be true.
        check: makes the check from the value and the time of the run; raises SelectorInvalid for a value that
            cannot be read.
    """

    kind: type
    check: Callable[[Any, dt.datetime], Check]


def _age(text: str, now: dt.datetime) -> Check:
    most = duration(text)

    def check(entry: Entry) -> str:
        since = entry.value_since
        return f"its value is {(now - since).days} days old" if since and now - since > most else ""

    return check


def _unused(text: str, now: dt.datetime) -> Check:
    most = duration(text)

    def check(entry: Entry) -> str:
        since = entry.unread_since
        if since is None or now - since <= most:
            return ""
        return f"not read for {(now - since).days} days" if entry.accessed else "never read"

    return check


def _rotation(_true: bool, _now: dt.datetime) -> Check:
    # Secrets that a service manages show RotationEnabled too.
    return lambda entry: "" if entry.rotation_enabled else "rotation is off"


def _on_schedule(_true: bool, now: dt.datetime) -> Check:
    failures = failed_rotations()

    def check(entry: Entry) -> str:
        failure = failures.last(entry)
        if failure is not None:
            return f"its last rotation failed: {failure.message}"
        return "its rotation is overdue" if is_overdue(entry, now) else ""

    return check


def _customer_key(_true: bool, _now: dt.datetime) -> Check:
    def check(entry: Entry) -> str:
        own = not entry.key or entry.key.endswith(OWN_KEY)
        return f"its key is {OWN_KEY}" if own else ""

    return check


def _key(named: str, _now: dt.datetime) -> Check:
    spellings = key_ids(named)
    return lambda entry: "" if (entry.key or "") in spellings else f"its key is {entry.key or OWN_KEY}"


def _tags(keys: list[str], _now: dt.datetime) -> Check:
    def check(entry: Entry) -> str:
        missing = [key for key in keys if not entry.tags.get(key)]
        return f"without the tag {', '.join(missing)}" if missing else ""

    return check


def _replicated(_true: bool, _now: dt.datetime) -> Check:
    return lambda entry: "" if entry.replicated else "it has no replica"


def _private(_true: bool, _now: dt.datetime) -> Check:
    client = clients.secrets_lister()

    def check(entry: Entry) -> str:
        with translated("GetResourcePolicy", entry.arn):
            policy = client.get_resource_policy(SecretId=entry.arn).get("ResourcePolicy")
        if not policy:
            return ""
        with translated("ValidateResourcePolicy", entry.arn):
            answer = client.validate_resource_policy(SecretId=entry.arn, ResourcePolicy=policy)
        errors = [each.get("ErrorMessage", "") for each in answer.get("ValidationErrors", ())]
        passed = answer["PolicyValidationPassed"]
        return "" if passed else f"its policy does not pass ValidateResourcePolicy: {' '.join(errors)}"

    return check


REQUIREMENTS = {
    "max_age": Requirement(str, _age),
    "max_unused": Requirement(str, _unused),
    "rotation": Requirement(bool, _rotation),
    "on_schedule": Requirement(bool, _on_schedule),
    "customer_key": Requirement(bool, _customer_key),
    "key": Requirement(str, _key),
    "tags": Requirement(list, _tags),
    "replicated": Requirement(bool, _replicated),
    "private": Requirement(bool, _private),
}
"""Requirements by their names in a policy file."""
