"""The audit record: who did what with which secret, when, and how it ended. It has no member for a value.

A record contains only names, ids, codes and times. It contains no free text: no message of an error, no
description, no tag and no parameter, because a person can put a password into any of them. `document` accepts
any content: texts are shortened and their control characters are escaped; values other than texts and numbers
are left out.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from rotators.core.errors import ServiceUnavailable
from rotators.core.visible import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotators.core.errors import RotatorsError

KEY = "audit"
"""Name of the member that contains the record. No other log line of the functions has this member."""

LONGEST = 2048
"""Largest number of characters of a text: that of a secret's ARN (API:DescribeSecret, SecretId)."""

_PARTS_OF_ARN = 6


# eq and repr are not used, and their generation would make each cold start slower.
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StageMove:
    """A stage that was moved.

    Attributes:
        stage: name of the stage.
        from_version: id of the version that had it; absent if none had, or it is not known.
        to_version: id of the version that has it now; absent if it was removed.
    """

    stage: str
    from_version: str | None = None
    to_version: str | None = None


class Facts(TypedDict, total=False):
    """Facts about one secret, filled in by the code that handles it; see AuditRecord."""

    secret: str
    key: str
    versions: list[str]
    moved: list[StageMove]
    result: str
    error_code: str
    api_request_id: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AuditRecord:
    """One action on one secret.

    Attributes:
        version: version of this format.
        id: id of the record.
        time: start of the action, in ISO 8601, UTC.
        duration_ms: duration in milliseconds.
        source: function that acted, or ``command``.
        action: ``rotate``, ``store``, ``retrieve``, ``doctor``, ``repair``, ``check``, or the command's name.
        operation: operation of Secrets Manager's API, if the action is one call.
        step: step of a rotation.
        outcome: ``failed`` if it ended with an error; ``unknown`` if it was stopped or the answer of AWS was
            lost, so it may have been done. ``moved`` lists the stages that it had moved.
        result: the result in one word, such as ``already-stored``, ``created`` or ``cached``.
        error_code: code of the error, as in docs/reference/errors.md.
        secret: ARN of the secret; its name where no ARN is known.
        key: KMS key, if the action was about one.
        account: account of the secret; of the function where no ARN of the secret is known.
        region: Region of the secret or of the process.
        versions: ids of the versions that were stored, read, tested or promoted.
        moved: stages that were moved.
        rotator: rotator that acted, which is the engine's name for built-in ones.
        strategy: its strategy.
        token: ClientRequestToken of the rotation or of the stored value.
        caller: ARN of the caller, where it is proven: the role behind a function URL, or the identity of a
            command. In other cases CloudTrail has the caller, under ``request_id``.
        function: ARN of the function.
        request_id: Lambda's id of the invocation; for commands an id of the run.
        api_request_id: id of the call that made the change, as in CloudTrail's ``requestID``.
    """

    version: Literal[1] = 1
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    time: str
    duration_ms: float
    source: Literal["rotate", "store", "retrieve", "operate", "command"]
    action: str
    operation: str | None = None
    step: str | None = None
    outcome: Literal["succeeded", "failed", "unknown"]
    result: str | None = None
    error_code: str | None = None
    secret: str | None = None
    key: str | None = None
    account: str | None = None
    region: str | None = None
    versions: list[str] = field(default_factory=list)
    moved: list[StageMove] = field(default_factory=list)
    rotator: str | None = None
    strategy: str | None = None
    token: str | None = None
    caller: str | None = None
    function: str | None = None
    request_id: str | None = None
    api_request_id: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the record as JSON types, without empty members.

        Returns:
            Members by the names of the attributes; ``moved`` is a list of objects.
        """
        return _members(self)


def line(document: Mapping[str, object], **more: str) -> str:
    """Return a record as one line of JSON in ASCII, which every output accepts, without the line's end.

    Args:
        document: document of a record.
        more: further members of the line.
    """
    return json.dumps({KEY: document, **more}, separators=(",", ":"))


def timestamp(seconds: float) -> str:
    """Return a time in the form of a record.

    Args:
        seconds: seconds since 1970-01-01 UTC.
    """
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")


def outcome_of(error: RotatorsError) -> Literal["failed", "unknown"]:
    """Return the outcome of an action that ended with an error.

    Args:
        error: the error. If the service's answer was lost, the call may have had its effect.
    """
    return "unknown" if isinstance(error, ServiceUnavailable) else "failed"


def code_of(error: RotatorsError) -> str:
    """Return the code of an error, and its reason if that is one word: third-party rotators choose it.

    Args:
        error: any error with a code.
    """
    is_word = re.fullmatch("[a-z0-9]+(?:[-/][a-z0-9]+)*", error.full_code)
    return error.full_code if is_word else error.code


def place_of(*names: str | None) -> tuple[str | None, str | None]:
    """Return account and Region of the first name that is an ARN; None for each that no name contains.

    Args:
        names: ARNs or other names, such as that of a secret and that of a function.

    Returns:
        Account id of 12 digits and name of the Region, each None if unknown.
    """
    for name in names:
        parts = (name or "").split(":", _PARTS_OF_ARN - 1)
        if len(parts) == _PARTS_OF_ARN and parts[0] == "arn":
            return parts[4] or None, parts[3] or None
    return None, None


def _members(one: AuditRecord | StageMove) -> dict[str, Any]:
    plain = {each.name: _plain(getattr(one, each.name)) for each in fields(one)}
    return {name: value for name, value in plain.items() if value not in (None, "", [])}


def _plain(value: object) -> Any:
    if isinstance(value, str):
        return visible(value[:LONGEST])[:LONGEST]
    if isinstance(value, StageMove):
        return _members(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value if isinstance(value, int | float) else None
