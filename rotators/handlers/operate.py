"""One event of the operate function: actions of operators, run where the targets can be reached."""

from __future__ import annotations

import os
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from rotators.aws.secrets import SecretStore
from rotators.core.audit import Facts
from rotators.core.settings import Settings
from rotators.handlers.events import Request, SecretId
from rotators.handlers.telemetry import observed
from rotators.recovery.checking import preflight
from rotators.recovery.checkup import Document, Mending, check_up


class OperateRequest(Request):
    """An operate event.

    Attributes:
        action: name of the action.
        secret_id: name or ARN of the secret.
        idle: True if no rotation is known to run (doctor, repair).
        dry_run: True to report only what would be done (repair).
        function: name or ARN of the rotation function that would rotate the secret (check); None means the
            secret's own, or the stack's.
    """

    action: Literal["doctor", "repair", "check"]
    secret_id: SecretId
    idle: bool = False
    dry_run: bool = False
    function: str | None = Field(default=None, min_length=1, max_length=170, pattern=r"^[\w:$-]+$")

    @model_validator(mode="after")
    def _options_belong_to_the_action(self) -> Self:
        allowed = {"doctor": {"idle"}, "repair": {"idle", "dry_run"}, "check": {"function"}}[self.action]
        given = self.model_fields_set - {"action", "secret_id"} - allowed
        if given:
            raise ValueError(f"{', '.join(sorted(given))} does not belong to the action {self.action}")
        return self


def handler(event: object, context: object = None) -> Document:
    """Perform the action of an operator's request, and log the request.

    Args:
        event: ``Action`` (``doctor``, ``repair``, ``check``), ``SecretId``, and ``Idle``, ``DryRun`` or
            ``Function`` where they belong to the action.
        context: Lambda's context; its ids are in the audit record.

    Returns:
        The document that the command of the same name shows. It never holds a value of a secret.

    Raises:
        InvalidEvent: a field breaks a rule; nothing was called.
        RepairRefused: a person has to act; nothing was changed.
        RotatorsError: the action failed; cause and next action are in the text.
    """
    with observed("operate", context) as observation:
        request = OperateRequest.from_event(event)
        observation.add(secret=request.secret_id, action=request.action)
        facts: Facts = {}
        observation.records = [facts]
        document = _done(request, facts)
        observation.add(outcome=str(document["state"]))
        facts["secret"] = document["arn"]
        return document


def _done(request: OperateRequest, facts: Facts) -> dict[str, Any]:
    settings = Settings.from_environment(os.environ)
    store, secret = SecretStore(), request.secret_id
    if request.action == "doctor":
        return check_up(store, settings, secret, idle=request.idle).document()
    if request.action == "repair":
        return _repaired(Mending(store, settings, secret, request.idle), facts, dry_run=request.dry_run)
    default = os.environ.get("ROTATE_FUNCTION") or "rotators-rotate"
    return preflight(store, settings, secret, function=request.function, default=default)


def _repaired(mending: Mending, facts: Facts, *, dry_run: bool) -> Document:
    try:
        return mending.run(dry_run=dry_run)
    finally:
        facts["moved"] = mending.moved
