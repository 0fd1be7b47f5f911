"""The audit records of an invocation: one JSON line on stdout for each secret that it was about.

The lines do not pass through the logger, so no log level drops them. A record that cannot be written to
stdout is written to stderr, together with the reason. Nothing here makes a function fail.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rotators.core.audit import AuditRecord, code_of, line, outcome_of, place_of, timestamp

if TYPE_CHECKING:
    from rotators.core.audit import Facts
    from rotators.core.errors import RotatorsError
    from rotators.handlers.observation import Observation

AUDITED = frozenset({"rotate", "store", "retrieve", "operate"})
"""Functions whose invocations are recorded: those that read or change secrets."""


def write_records(
    observation: Observation, started: float, milliseconds: float, error: RotatorsError | None
) -> None:
    """Write the records of an invocation that has ended.

    Args:
        observation: observation of the invocation.
        started: time of its begin, in seconds since 1970.
        milliseconds: its duration.
        error: what it failed with, or None.
    """
    if observation.function not in AUDITED:
        return
    documents: list[dict[str, Any]] = []
    try:
        common = _common(observation) | {"time": timestamp(started), "duration_ms": milliseconds}
        records = (_record(common, facts, error) for facts in observation.records or [{}])
        documents += (record.document() for record in records)
        sys.stdout.write("".join(f"{line(each)}\n" for each in documents))
        sys.stdout.flush()
    except Exception as lost:  # noqa: BLE001 - the function has acted already
        with suppress(Exception):
            _report_loss(observation.function, documents, type(lost).__name__)


def _report_loss(function: str, documents: list[dict[str, Any]], reason: str) -> None:
    lines = [line(each, audit_lost=reason) for each in documents]
    text = "\n".join(lines or [json.dumps({"audit_lost": reason, "function": function})])
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _common(observation: Observation) -> dict[str, Any]:
    """Return the members that all records of an invocation have."""
    keys, context = observation.keys, observation.context
    chosen = {name: keys.get(name) for name in ("step", "rotator", "strategy", "token", "caller", "secret")}
    return {
        **chosen,
        "source": observation.function,
        "action": keys.get("action", observation.function),
        "result": keys.get("outcome"),
        "function": _text(context, "invoked_function_arn"),
        "request_id": _text(context, "aws_request_id"),
    }


def _record(common: dict[str, Any], facts: Facts, error: RotatorsError | None) -> AuditRecord:
    members: dict[str, Any] = {"outcome": "succeeded", **common, **facts}
    if error is not None:
        members |= {"outcome": outcome_of(error), "error_code": code_of(error), "result": None}
    elif "error_code" in facts:  # one secret of many
        members["outcome"] = "failed"
    account, region = place_of(members["secret"], members["function"])
    return AuditRecord(
        **members,
        account=account,
        region=region or os.environ.get("AWS_REGION"),
    )


def _text(context: object, name: str) -> str | None:
    found = getattr(context, name, None)
    return found if isinstance(found, str) else None
