"""The JSON Schemas of events and audit records, generated from the classes that check or write them.

A schema accepts every event that its function accepts. It does not express every rule: a schedule, base64 and
the size of a value are checked by the function only.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from rotators.core.audit import KEY, LONGEST, AuditRecord, StageMove
from rotators.core.request import ID, ROTATION_TOKEN, RotationRequest, Step
from rotators.handlers.events import Request, RetrieveRequest, StoreRequest
from rotators.handlers.failure_events import FAILURES, FailureEvent
from rotators.handlers.operate import OperateRequest
from rotators.handlers.receipt import SUCCEEDED, FillRequest, SucceededEvent
from rotators.handlers.widget import WidgetRequest
from rotators.receipts.statement import Receipt


class _Untitled(GenerateJsonSchema):
    """Without a title for each field, which would only repeat its name."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def event_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema (draft 2020-12) of each function's event.

    Returns:
        Schema by the function's name, as JSON types.
    """
    return {
        "rotate": _rotate(),
        "store": _model("store", StoreRequest),
        "retrieve": _model("retrieve", RetrieveRequest),
        "operate": _model("operate", OperateRequest),
        "notify": _notify(),
        "receipt": _receipt(),
        "widget": _widget(),
    }


def record_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schemas (draft 2020-12) of lines with an audit record, and of predicates of receipts.

    Returns:
        The schemas by name, as JSON types.
    """
    return {"audit-record": _audit_record(), "receipt": _receipt_predicate()}


def _audit_record() -> dict[str, Any]:
    record = TypeAdapter(AuditRecord).json_schema(schema_generator=_Untitled)
    moves = record.pop("$defs")
    record["required"] = ["version", "id", *record["required"]]
    moves["StageMove"] = _written(moves["StageMove"], StageMove)
    return {
        "title": "Line with an audit record",
        "description": "A line of a function's log, or of the file of ROTATORS_AUDIT_FILE.",
        "type": "object",
        "required": [KEY],
        "properties": {
            KEY: _written(record, AuditRecord),
            "audit_lost": {"type": "string", "description": "Why the line is on stderr and not on stdout."},
        },
        "$defs": moves,
    }


def _written(schema: dict[str, Any], of: type) -> dict[str, Any]:
    """Describe what is written of a record: members without content are left out, and texts have a limit."""
    docstring = inspect.getdoc(of) or ""
    told = dict(re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", docstring, re.MULTILINE))
    properties = {}
    for name, given in schema["properties"].items():
        member = {**given.pop("anyOf", [{}])[0], **given, "description": _summary(told[name])}
        member.pop("default", None)
        if member.get("type") == "string" and "enum" not in member:
            member["maxLength"] = LONGEST
        properties[name] = member
    del schema["title"]
    return {**schema, "description": _summary(docstring), "properties": properties}


def _schema(function: str, about: type, rest: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": f"Event of the {function} function",
        "description": _summary(about.__doc__),
        **rest,
    }


def _model(function: str, model: type[Request]) -> dict[str, Any]:
    schema = model.model_json_schema(schema_generator=_Untitled)
    for part in schema.get("$defs", {}).values():
        part["description"] = _summary(part["description"])
    del schema["title"], schema["description"]
    return _schema(function, model, schema)


def _summary(docstring: str | None) -> str:
    """Return the first paragraph of a docstring, on one line."""
    return " ".join((docstring or "").partition("\n\n")[0].split()).replace("``", "`")


def _rotate() -> dict[str, Any]:
    return _schema(
        "rotate",
        RotationRequest,
        {
            "type": "object",
            "required": ["Step", "SecretId", "ClientRequestToken"],
            "properties": {
                "Step": {"enum": [*Step]},
                "SecretId": {"type": "string", "maxLength": 2048, "pattern": f"^{ID.pattern}$"},
                "ClientRequestToken": {
                    "type": "string",
                    "minLength": 32,
                    "maxLength": 64,
                    "pattern": f"^{ID.pattern}$",
                },
                "RotationToken": {
                    "anyOf": [
                        {"type": "string", "pattern": f"^{ROTATION_TOKEN.pattern}$"},
                        {"type": "null"},
                    ]
                },
            },
        },
    )


def _notify() -> dict[str, Any]:
    # The function reads what it finds of the other members.
    detail = {"type": "object", "required": ["eventName"], "properties": {"eventName": {"enum": [*FAILURES]}}}
    return _schema(
        "notify",
        FailureEvent,
        {"type": "object", "required": ["detail"], "properties": {"detail": detail}},
    )


def _receipt() -> dict[str, Any]:
    detail = {
        "type": "object",
        "required": ["eventName", "eventTime"],
        "properties": {"eventName": {"const": SUCCEEDED}, "eventTime": {"type": "string"}},
    }
    succeeded = {
        "type": "object",
        "required": ["detail"],
        "properties": {"detail": detail},
        "not": {"required": ["Fill"]},
    }
    fill = {**_model("receipt", FillRequest)}
    del fill["title"]
    return _schema("receipt", SucceededEvent, {"anyOf": [succeeded, fill]})


def _receipt_predicate() -> dict[str, Any]:
    schema = Receipt.model_json_schema(schema_generator=_Untitled)
    for part in schema.get("$defs", {}).values():
        part["description"] = _summary(part["description"])
    about = Receipt.__doc__ or ""
    return {**schema, "title": "Receipt of a rotation", "description": " ".join(about.split())}


def _widget() -> dict[str, Any]:
    # Members of any kind are accepted; the console sends these.
    return _schema(
        "widget",
        WidgetRequest,
        {"type": "object", "properties": {"describe": {}, "widgetContext": {}}},
    )
