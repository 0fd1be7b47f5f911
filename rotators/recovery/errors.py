"""Errors of the recovery."""

from __future__ import annotations

from rotators.core.errors import RotationStateError


class RepairRefused(RotationStateError):
    """`rotators repair` found nothing that is sure to lose nothing; nothing was changed."""

    code = "repair-refused"
    remedy = "Take the action that `rotators doctor SECRET` names; a person must decide."


class RollbackRefused(RotationStateError):
    """`rotators rollback` cannot return to this version without a risk; nothing was changed."""

    code = "rollback-refused"
    remedy = "Choose another version (`rotators show SECRET`), or rotate to a new value."
