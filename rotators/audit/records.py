"""CloudTrail's records: their forms in files, and the members that the questions need.

A record becomes a row of the table that Athena has for CloudTrail's records (Athena's User Guide,
create-cloudtrail-table), so that both are asked with the same SQL. A row has only the members that the
questions need: no parameter of a call that could be a value.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rotators.audit.reading import Damage
from rotators.aws.events import OF_SERVICE, SOURCE, secrets_in

Row = dict[str, Any]

KMS = "kms.amazonaws.com"

_IDENTITY = ("arn", "principalId", "accountId", "invokedBy")
_TEXTS = (
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "errorCode",
    "eventID",
    "sharedEventID",
    "recipientAccountId",
    "eventCategory",
)
_OBJECTS = {
    "requestParameters": (
        "SecretId",
        "secretId",
        "name",
        "secretIdList",
        "versionId",
        "versionStage",
        "versionStages",
        "clientRequestToken",
        "moveToVersionId",
        "removeFromVersionId",
        "encryptionContext",
    ),
    "responseElements": ("arn", "aRN", "versionId"),
    "additionalEventData": ("SecretId", "secretId", "name"),
    "serviceEventDetails": ("SecretId", "secretId", "name"),
}
"""Members of a record that are objects, with the keys that the questions need."""

_CONTEXT = ("SecretARN", "SecretVersionId")  # keys of KMS's encryption context

COLUMNS: Mapping[str, str] = {
    "eventTime": "VARCHAR",
    "userIdentity": "STRUCT(arn VARCHAR, principalId VARCHAR, accountId VARCHAR, invokedBy VARCHAR, "
    "sessionContext STRUCT(sessionIssuer STRUCT(arn VARCHAR)))",
    **dict.fromkeys((*_TEXTS, *_OBJECTS), "VARCHAR"),
}
"""Columns of a row and their types in DuckDB. Names of columns are compared without regard to case."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
# Network activity repeats calls through a VPC endpoint, without their parameters (a public sample:
# gist.github.com/rami-wiz, VPCe Examples).
_OTHER_CATEGORIES = ("Insight", "NetworkActivity")
_DIGEST = "digestStartTime"  # a file with the digests of a trail
_LARGEST = 1 << 20  # characters of a row; a record of CloudTrail is smaller


def unwrapped(value: object) -> Iterator[object]:
    """Yield the records in a value of a file.

    Args:
        value: a record; a document with ``Records`` (log file) or ``Events`` (LookupEvents); an event of
            LookupEvents or of EventBridge around a record; a digest, which has none.

    Yields:
        Records, not checked: an element can be any JSON value. Nothing for a digest.
    """
    if not isinstance(value, dict):
        yield value
    elif isinstance(value.get("Records"), list):
        yield from value["Records"]
    elif isinstance(value.get("Events"), list):
        yield from map(_looked_up, value["Events"])
    elif "CloudTrailEvent" in value:
        yield _looked_up(value)
    elif isinstance(value.get("detail"), dict) and "detail-type" in value:
        yield value["detail"]
    elif _DIGEST not in value:
        yield value


def row(record: object) -> Row | Damage | None:
    """Return the members of a record that the questions need.

    Args:
        record: a record, or another value.

    Returns:
        The row; None if the questions do not need the record, such as one of another service; a `Damage` if
        this is not a record, or if it lacks a required member.
    """
    if isinstance(record, Damage):
        return record
    if not isinstance(record, dict) or not {"eventSource", "eventName", "eventCategory"} & record.keys():
        return Damage("foreign", "this is not a record of CloudTrail")
    if not _matters(record):
        return None
    if missing := next(_missing(record), None):
        return Damage("incomplete", missing)
    made = _row(record)
    if missing := next(_unnamed(record, made), None):
        return Damage("incomplete", missing)
    return made


def _matters(record: Row) -> bool:
    """True for records of Secrets Manager, of KMS about secrets, and those that do not tell their source."""
    source = record.get("eventSource")
    if record.get("eventCategory") in _OTHER_CATEGORIES:
        return False
    return _decrypts_a_secret(record) if source == KMS else source == SOURCE or not isinstance(source, str)


def _decrypts_a_secret(record: Row) -> bool:
    return record.get("eventName") == "Decrypt" and bool(_context(record).get("SecretARN"))


def _context(record: Row) -> Row:
    request = record.get("requestParameters")
    found = request.get("encryptionContext") if isinstance(request, dict) else None
    return found if isinstance(found, dict) else {}


def _missing(record: Row) -> Iterator[str]:
    """Yield a text for each member that a record lacks or has in another form."""
    for name in ("eventSource", "eventName", "awsRegion"):
        if not isinstance(record.get(name), str):
            yield f"{name} is missing"
    if _time(record.get("eventTime")) is None:
        yield "eventTime is missing, or is not a time"
    for name in ("userIdentity", *_OBJECTS):
        if not isinstance(record.get(name) or {}, dict):
            yield f"{name} is not an object"
    if not record.get("userIdentity"):
        yield "userIdentity is missing"


def _should_name_a_secret(record: Row) -> bool:
    """True for a read that was not refused, and for an event of the service."""
    name, request = record["eventName"], record.get("requestParameters") or {}
    if name in OF_SERVICE:
        return True
    if record.get("errorCode"):
        return False
    return name == "GetSecretValue" or (name == "BatchGetSecretValue" and "filters" not in request)


def _unnamed(record: Row, made: Row) -> Iterator[str]:
    """Yield why a record does not name its secret or the secret's account; its read would not be counted."""
    named = secrets_in(made)
    if _should_name_a_secret(record) and not named:
        yield f"{record['eventName']} names no secret"
    listed = (made["requestParameters"] or {}).get("secretIdList") or named[:1]
    tells = made["recipientAccountId"] or made["userIdentity"]["accountId"]
    if not tells and not all(each.startswith("arn:") for each in listed):
        yield "recipientAccountId and userIdentity.accountId are missing"


def _row(record: Row) -> Row:
    made: Row = {name: _text(record.get(name)) for name in _TEXTS}
    for name, keys in _OBJECTS.items():
        members = record.get(name) or {}
        kept = {key: _kept(value) for key, value in members.items() if key in keys}
        made[name] = {key: value for key, value in kept.items() if value} or None
    identity = record["userIdentity"]
    made["userIdentity"] = {name: _text(identity.get(name)) for name in _IDENTITY}
    made["userIdentity"]["sessionContext"] = {"sessionIssuer": {"arn": _issuer(identity)}}
    made["eventTime"] = _time(record["eventTime"])
    if made["eventID"] is None:  # equal records are then the same event
        made["eventID"] = hashlib.sha256(json.dumps(made).encode()).hexdigest()
    return made


def _kept(value: object) -> object:
    """Return a text, the texts in a list, or KMS's context of a secret; None for other values."""
    if isinstance(value, list):
        return [each for each in value if isinstance(each, str)]
    if isinstance(value, dict):
        return {key: each for key in _CONTEXT if isinstance(each := value.get(key), str)}
    return value if isinstance(value, str) else None


def _issuer(identity: Row) -> str | None:
    found: object = identity
    for name in ("sessionContext", "sessionIssuer", "arn"):
        found = found.get(name) if isinstance(found, dict) else None
    return _text(found)


def _text(value: object) -> str | None:
    """Return a text, or the type of another value: an errorCode of any type means a refusal."""
    return value if value is None or isinstance(value, str) else type(value).__name__


def _time(value: object) -> str | None:
    """Return the time in CloudTrail's format; None if it is not a time."""
    if not isinstance(value, str):
        return None
    try:
        moment = dt.datetime.fromisoformat(value)
        if _TIME.fullmatch(value):
            return value
        utc = moment.astimezone(dt.UTC).replace(tzinfo=None, microsecond=0)
    except (ValueError, OverflowError):
        return None
    return f"{utc.isoformat()}Z" if moment.tzinfo else None


def line(made: Row) -> bytes | Damage:
    """Return a row as one line of JSON; a `Damage` if it is larger than any record of CloudTrail.

    Args:
        made: a row.

    Returns:
        UTF-8 with a line end.
    """
    # Half of a surrogate pair is not a character, and other readers of JSON refuse it.
    text = json.dumps(made, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
    return text if len(text) <= _LARGEST else Damage("incomplete", "the record is larger than 1 MB")


def _looked_up(event: object) -> object:
    """Return the record in an event of LookupEvents; other values unchanged."""
    text = event.get("CloudTrailEvent") if isinstance(event, dict) else None
    if not isinstance(text, str):
        return event
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return Damage("not-json", "CloudTrailEvent is not JSON")
