"""Audit records in the form of the Open Cybersecurity Schema Framework, version 1.8.0.

Every record is an event of the class Entity Management (3004): an operation by a micro service or a user on a
managed entity, here the secret. API Activity (6003) was not chosen, because a step of a rotation is not an
API call, and CloudTrail has the calls. Account Change (3001) was not chosen either: it is about the user, and
its successor is another class since 1.9.0.

Source: github.com/ocsf/ocsf-schema, tag v1.8.0: events/base_event.json, events/iam/entity_management.json,
objects/managed_entity.json, profiles/cloud.json.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from rotators import __version__
from rotators.core.audit import KEY, AuditRecord, StageMove
from rotators.manage.errors import RecordInvalid

_SCHEMA = "1.8.0"
_CATEGORY, _CLASS = 3, 3004
_ACTIVITIES = {"Create": 1, "Read": 2, "Update": 3, "Delete": 4, "Enable": 8, "Other": 99}
_OF_RESULTS = {"created": "Create", "unchanged": "Read"}
_OF_OPERATIONS = {"CreateSecret": "Create", "DeleteSecret": "Delete", "RestoreSecret": "Enable"}
_OF_ACTIONS = {
    "check": "Read",
    "doctor": "Read",
    "exec": "Read",
    "export": "Read",
    "key rotate": "Update",
    "repair": "Update",
    "retrieve": "Read",
    "rollback": "Update",
    "rotate": "Update",
    "store": "Update",
}
_STATUS = {"succeeded": (1, "Success"), "failed": (2, "Failure"), "unknown": (0, "Unknown")}
_MAPPED = {"id", "time", "account", "region", "caller", "outcome", "error_code", "secret", "key"}
_REQUIRED = ("id", "time", "duration_ms", "source", "action", "outcome")


def record_in(line: str) -> AuditRecord | None:
    """Return the audit record in a line of a log.

    Args:
        line: one line. Tools that print logs may put a time and a name before it.

    Returns:
        The record; None if the line has none.

    Raises:
        RecordInvalid: the line has a record that cannot be read, such as one that was cut off.
    """
    start = line.find(f'{{"{KEY}"')
    if start < 0:
        return None
    try:
        found = json.loads(line[start:])[KEY]
    except (ValueError, RecursionError):
        raise RecordInvalid("the record is not complete JSON") from None
    if not isinstance(found, dict):
        raise RecordInvalid("the record is not a JSON object")
    members = {each.name: found[each.name] for each in fields(AuditRecord) if each.name in found}
    wrong = [name for name in _REQUIRED if name not in members]
    wrong += [name for name, value in members.items() if not _CHECKS.get(name, _is_text)(value)]
    if wrong:
        raise RecordInvalid(f"members are missing, or their values cannot be read: {', '.join(wrong)}")
    moved = [StageMove(**move) for move in members.get("moved", ())]
    return AuditRecord(**{**members, "moved": moved})


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_number(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _is_move(value: object) -> bool:
    known = {each.name for each in fields(StageMove)}
    return (
        isinstance(value, dict)
        and "stage" in value
        and value.keys() <= known
        and all(map(_is_text, value.values()))
    )


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "version": lambda value: type(value) is int and value == 1,
    "time": lambda value: _is_text(value) and _milliseconds(value) is not None,
    "duration_ms": _is_number,
    "outcome": lambda value: _is_text(value) and value in _STATUS,
    "versions": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "moved": lambda value: isinstance(value, list) and all(map(_is_move, value)),
}
"""The check of the value, by member of a record; the other members are texts."""


def ocsf_event(audited: AuditRecord) -> dict[str, Any]:
    """Return the event of OCSF for an audit record.

    Args:
        audited: the record.

    Returns:
        The event, as JSON types. Facts without an attribute in the class are in ``unmapped``.
    """
    record = audited.document()
    activity = _activity(record)
    number = _ACTIVITIES[activity]
    status, status_name = _STATUS[record["outcome"]]
    account, caller = record.get("account"), record.get("caller")
    operation = record.get("operation") or record.get("step") or record["action"]
    request = record.get("api_request_id") or record.get("request_id")
    event = {
        "activity_id": number,
        "activity_name": activity,
        "category_uid": _CATEGORY,
        "category_name": "Identity & Access Management",
        "class_uid": _CLASS,
        "class_name": "Entity Management",
        "type_uid": _CLASS * 100 + number,
        "type_name": f"Entity Management: {activity}",
        "severity_id": 1,
        "severity": "Informational",
        "status_id": status,
        "status": status_name,
        "time": _milliseconds(record["time"]),
        "metadata": _metadata(record),
        "cloud": {
            "provider": "AWS",
            "region": record.get("region"),
            "account": account and {"uid": account, "type_id": 10, "type": "AWS Account"},
        },
        "api": {"operation": operation, "request": request and {"uid": request}},
        "actor": {"app_name": f"rotators {record['source']}", "user": caller and {"uid": caller}},
        "entity": _entity(record),
        "unmapped": {name: value for name, value in record.items() if name not in _MAPPED},
        "status_code": record.get("error_code"),
    }
    return _known(event)


def _known(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without the members that are None, at any depth."""
    return {
        name: _known(value) if isinstance(value, dict) else value
        for name, value in members.items()
        if value is not None
    }


def _activity(record: Mapping[str, Any]) -> str:
    """Return the activity: by the result of a store, else by the API's operation, else by the action."""
    if record["source"] == "store" and record.get("result") in _OF_RESULTS:
        return _OF_RESULTS[record["result"]]
    if "operation" in record:
        return _OF_OPERATIONS.get(record["operation"], "Update")
    return _OF_ACTIONS.get(record["action"], "Other")


def _milliseconds(time: str) -> int | None:
    """Return a time in milliseconds since 1970; None if it is not a time with a zone."""
    try:
        moment = dt.datetime.fromisoformat(time)
        return round(moment.timestamp() * 1000) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _metadata(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "version": _SCHEMA,
        "profiles": ["cloud"],
        "product": {"name": "rotators", "vendor_name": "rotators", "version": __version__},
        "log_name": "rotators.audit",
        "log_version": str(record["version"]),
        "original_event_uid": record["id"],
        "original_time": record["time"],
        "correlation_uid": record.get("token") or record.get("request_id"),
    }


def _entity(record: Mapping[str, Any]) -> dict[str, Any]:
    subject = record.get("secret") or record.get("key") or "unknown"
    kind = "Key" if "key" in record else "Secret"
    return {"type_id": 99, "type": kind, "uid" if subject.startswith("arn:") else "name": subject}
