"""CloudTrail's records, and LookupEvents: conditions, pages and errors, as in its API reference.

It does not simulate the rate of two requests per second, the delay of some minutes, and Insights events.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import uuid
from typing import TYPE_CHECKING, Any

from rotators.local.secretsmanager.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

SECRETS_MANAGER = "secretsmanager.amazonaws.com"
"""The source of Secrets Manager's events."""

_PAGE = 50
_LONGEST = 2000
_COUNT_TWICE = "_ ,\n"
_ATTRIBUTES = (
    "AccessKeyId",
    "EventId",
    "EventName",
    "EventSource",
    "ReadOnly",
    "ResourceName",
    "ResourceType",
    "Username",
)
_SAME_ON_EVERY_PAGE = ("LookupAttributes", "StartTime", "EndTime", "EventCategory")


def record(time: dt.datetime, name: str, region: str, account: str, **members: Any) -> dict[str, Any]:
    """Return a record of an event.

    Args:
        time: time of the event, in UTC.
        name: name of the event.
        region: Region of the event.
        account: account of the event.
        members: the further members, which also replace those that all records have.
    """
    return {
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": SECRETS_MANAGER,
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": SECRETS_MANAGER,
        "userAgent": SECRETS_MANAGER,
        "requestParameters": None,
        "responseElements": None,
        "eventID": str(uuid.uuid4()),
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
        **members,
    }


def element(
    record: dict[str, Any], time: dt.datetime, kind: str = "", resources: Iterable[str] = (), **members: str
) -> dict[str, Any]:
    """Return a record as an element of LookupEvents' answer.

    Args:
        record: the record.
        time: time of the event, in UTC.
        kind: type of its resources.
        resources: their names. An event of the service itself has none: it names its secret in
            ``additionalEventData`` only.
        members: further members.

    Returns:
        The element; ``EventTime`` in seconds since the epoch, ``CloudTrailEvent`` not encoded yet.
    """
    return {
        "EventId": record["eventID"],
        "EventName": record["eventName"],
        "ReadOnly": str(record["readOnly"]).lower(),
        "EventTime": time.timestamp(),
        "EventSource": record["eventSource"],
        "Resources": [{"ResourceType": kind, "ResourceName": name} for name in resources],
        "CloudTrailEvent": record,
        **members,
    }


def lookup(records: Iterable[dict[str, Any]], region: str, params: dict[str, Any]) -> dict[str, Any]:
    """Answer LookupEvents.

    Args:
        records: elements of its answer, of all Regions; ``CloudTrailEvent`` is not encoded yet.
        region: Region of the request; it has only the events of its own calls.
        params: The request: LookupAttributes (at most one), StartTime, EndTime, EventCategory, MaxResults,
            NextToken.

    Returns:
        The response, newest first. Its token names the last event of the page, so events that arrive
        meanwhile neither repeat nor hide others.

    Raises:
        SecretsManagerClientError: a parameter is not valid; moto sends it.
    """
    limit = _limit(params)
    _check(params)
    after = _place(params)
    found = sorted(
        (
            record
            for record in _with_attributes(records, params)
            if record["CloudTrailEvent"]["awsRegion"] == region
            and (after is None or _position(record) < after)
            and _fits(record, params)
        ),
        key=_position,
        reverse=True,
    )
    page = found[:limit]
    encoded = [{**each, "CloudTrailEvent": json.dumps(each["CloudTrailEvent"])} for each in page]
    answer: dict[str, Any] = {"Events": encoded}
    if len(found) > limit:
        answer["NextToken"] = _token(params, page[-1])
    return answer


def _limit(params: dict[str, Any]) -> int:
    limit = int(params.get("MaxResults", _PAGE))
    if not 1 <= limit <= _PAGE:
        raise refusal("InvalidMaxResultsException", f"MaxResults must be between 1 and {_PAGE}.")
    return limit


def _check(params: dict[str, Any]) -> None:
    attributes = params.get("LookupAttributes") or []
    if len(attributes) > 1 or not all(map(_is_attribute, attributes)):
        raise refusal("InvalidLookupAttributesException", f"Give one attribute of {', '.join(_ATTRIBUTES)}.")
    start, end = params.get("StartTime"), params.get("EndTime")
    if start is not None and end is not None and float(start) > float(end):
        raise refusal("InvalidTimeRangeException", "StartTime is after EndTime.")
    if params.get("EventCategory", "insight") != "insight":
        raise refusal("InvalidEventCategoryException", "EventCategory must be insight.")


def _is_attribute(attribute: dict[str, Any]) -> bool:
    value = attribute.get("AttributeValue", "")
    length = len(value) + sum(map(value.count, _COUNT_TWICE))
    return attribute.get("AttributeKey") in _ATTRIBUTES and 1 <= length <= _LONGEST


def _with_attributes(records: Iterable[dict[str, Any]], params: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Return the records with the attribute of the request. It is compared first: few records have it."""
    for attribute in params.get("LookupAttributes") or ():
        key, value = attribute["AttributeKey"], attribute["AttributeValue"]
        if key in {"ResourceName", "ResourceType"}:
            records = [
                record for record in records if [each for each in record["Resources"] if each[key] == value]
            ]
        else:
            records = [record for record in records if str(record.get(key, "")) == value]
    return records


def _fits(record: dict[str, Any], params: dict[str, Any]) -> bool:
    start, end, time = params.get("StartTime"), params.get("EndTime"), float(record["EventTime"])
    if (start is not None and time < float(start)) or (end is not None and time > float(end)):
        return False
    return "EventCategory" not in params  # there are no Insights events


def _position(record: dict[str, Any]) -> tuple[float, str]:
    return float(record["EventTime"]), str(record["EventId"])


def _token(params: dict[str, Any], last: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([_asked(params), *_position(last)]).encode()).decode()


def _place(params: dict[str, Any]) -> tuple[float, str] | None:
    """Return the position of the last event of the page before; None for the first page."""
    if "NextToken" not in params:
        return None
    try:
        asked, time, event_id = json.loads(base64.urlsafe_b64decode(params["NextToken"]))
        after = float(time), str(event_id)
    except (binascii.Error, ValueError, TypeError):
        asked, after = None, None
    if after is None or asked != _asked(params):
        raise refusal("InvalidNextTokenException", "The NextToken is not one of a request like this.")
    return after


def _asked(params: dict[str, Any]) -> list[Any]:
    return [params.get(name) for name in _SAME_ON_EVERY_PAGE]
