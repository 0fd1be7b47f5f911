"""The JSON Schemas of events and audit records, generated from the classes that check or write them.

A schema accepts every event that its function accepts. It does not express every rule: a schedule, base64 and
the size of a value are checked by the function only.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from rotators.core.audit import KEY, LONGEST, AuditRecord, StageMove
from rotators.core.request import ID, ROTATION_TOKEN, RotationRequest, Step
from rotators.handlers.events import RetrieveRequest, StoreRequest
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
        "store": _schema("store", StoreRequest, _model(StoreRequest)),
        "retrieve": _schema("retrieve", RetrieveRequest, _model(RetrieveRequest)),
        "operate": _schema("operate", OperateRequest, _model(OperateRequest)),
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
    lost = {"type": "string", "description": "Why the line is on stderr and not on stdout."}
    return {
        "title": "Line with an audit record",
        "description": "A line of a function's log, or of the file of ROTATORS_AUDIT_FILE.",
        **_object({KEY: _written(record, AuditRecord)}, {"audit_lost": lost}),
        "$defs": moves,
    }


def _written(schema: dict[str, Any], of: type) -> dict[str, Any]:
    """Describe the written form of a record: members without content are left out, and texts have a limit."""
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


def _object(required: dict[str, Any], optional: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with members that must or may be there."""
    return {"type": "object", "required": [*required], "properties": required | optional}


def _schema(function: str, about: type, rest: dict[str, Any]) -> dict[str, Any]:
    told = {"title": f"Event of the {function} function", "description": _summary(about.__doc__)}
    return told | rest | told  # first, and instead of pydantic's text


def _model(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(schema_generator=_Untitled)
    for part in schema.get("$defs", {}).values():
        part["description"] = _summary(part["description"])
    return schema


def _summary(docstring: str | None) -> str:
    """Return the first paragraph of a docstring, on one line."""
    return " ".join((docstring or "").partition("\n\n")[0].split()).replace("``", "`")


def _rotate() -> dict[str, Any]:
    of_id = {"pattern": f"^{ID.pattern}$"}
    proof = {"type": "string", "pattern": f"^{ROTATION_TOKEN.pattern}$"}
    required = {
        "Step": {"enum": [*Step]},
        "SecretId": {"type": "string", "maxLength": 2048, **of_id},
        "ClientRequestToken": {"type": "string", "minLength": 32, "maxLength": 64, **of_id},
    }
    optional = {"RotationToken": {"anyOf": [proof, {"type": "null"}]}}
    return _schema("rotate", RotationRequest, _object(required, optional))


def _notify() -> dict[str, Any]:
    # The function reads the other members if they exist.
    detail = _object({"eventName": {"enum": [*FAILURES]}}, {})
    return _schema("notify", FailureEvent, _object({"detail": detail}, {}))


def _receipt() -> dict[str, Any]:
    detail = _object({"eventName": {"const": SUCCEEDED}, "eventTime": {"type": "string"}}, {})
    succeeded = {**_object({"detail": detail}, {}), "not": {"required": ["Fill"]}}
    fill = _schema("receipt", FillRequest, _model(FillRequest))
    del fill["title"]
    return _schema("receipt", SucceededEvent, {"anyOf": [succeeded, fill]})


def _receipt_predicate() -> dict[str, Any]:
    about = " ".join((Receipt.__doc__ or "").split())
    return {**_model(Receipt), "title": "Receipt of a rotation", "description": about}


def _widget() -> dict[str, Any]:
    # Members of any kind are accepted; the console sends these.
    members = {"type": "object", "properties": {"describe": {}, "widgetContext": {}}}
    return _schema("widget", WidgetRequest, members)
