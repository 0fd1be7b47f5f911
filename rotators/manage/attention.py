"""Decides which secrets need attention, and why; this is the order of the inventory and the report."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from rotators.aws.views import FailedRotation
from rotators.core.states import Stage
from rotators.manage.inventory import Entry
from rotators.manage.selector import is_overdue


class Urgency(IntEnum):
    """Kinds of attention, the most urgent first."""

    FAILED = 1
    """The last rotation failed."""
    NO_CURRENT = 2
    """No version has AWSCURRENT, so applications read no value."""
    OVERDUE = 3
    """The time of the next rotation has passed."""
    INTERRUPTED = 4
    """A rotation is running, or was interrupted."""
    DELETED = 5
    """The secret is scheduled for deletion."""
    UNROTATED = 6
    """Rotation is on, but never happened."""
    OFF = 7
    """Rotation was turned on before, and is off now."""
    NONE = 8
    """No attention is needed."""


@dataclass(frozen=True)
class Attention:
    """Why a secret needs attention.

    Attributes:
        urgency: kind of attention.
        reason: the reason in words; empty if there is none.
        next: the next action, as a command; empty if there is none.
    """

    urgency: Urgency
    reason: str = ""
    next: str = ""


def attention(entry: Entry, failure: FailedRotation | None, now: dt.datetime) -> Attention:
    """Return the most urgent reason for which a secret needs attention.

    Args:
        entry: the secret.
        failure: its last rotation, if that failed.
        now: present time, with a zone.
    """
    for urgency, applies, reason, command in _reasons(entry, failure, now):
        if applies:
            return Attention(urgency, reason, f"`rotators {command}`")
    return Attention(Urgency.NONE)


def _reasons(
    entry: Entry, failure: FailedRotation | None, now: dt.datetime
) -> Iterator[tuple[Urgency, bool, str, str]]:
    """Each reason: its urgency, if it applies, its words, and the next command."""
    name, on = entry.id, entry.rotation_enabled
    current = any(Stage.CURRENT in each for each in entry.stages.values())
    failed = f"{failure.event}: {failure.message}" if failure else ""
    yield Urgency.DELETED, entry.deleted is not None, "scheduled for deletion", f"restore {name}"
    yield Urgency.FAILED, failure is not None, failed, f"doctor {name}"
    yield Urgency.NO_CURRENT, not current, "no version has AWSCURRENT", f"show {name}"
    yield Urgency.OVERDUE, is_overdue(entry, now), "the rotation is overdue", f"check {name}"
    interrupted = "a rotation is in progress, or was interrupted"
    yield Urgency.INTERRUPTED, entry.interrupted, interrupted, f"rotate {name}"
    unrotated = "never rotated, although rotation is on"
    yield Urgency.UNROTATED, on and entry.rotated is None, unrotated, f"rotate {name}"
    off = bool(entry.function_arn) and not on
    yield Urgency.OFF, off, "rotation was turned off", f"rotate {name} --enable"
