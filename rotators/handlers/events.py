"""The events of ``store`` and ``retrieve``: fields, limits, and messages that never quote a value.

Fields are spelled as in AWS's API. The limits are those of the API reference (CreateSecret, TagResource,
RotateSecret, GetSecretValue) and of the User Guide's pages reference_limits and rotate-secrets_schedule;
they are checked before any call.
"""

from __future__ import annotations

import base64
import json
import os
import re
from difflib import get_close_matches
from itertools import takewhile
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_pascal

from rotators.core.errors import InvalidEvent, SecretFormatError
from rotators.core.schedule import parse_schedule
from rotators.core.secret import MOST_LEVELS, Members, Secret, is_too_deep

LONGEST_VALUE = 65_536
"""Bytes of a secret's value (UG:reference_limits)."""

MOST_SECRETS = 50
"""Secrets of one retrieve event, so that the answer stays within Lambda's 6 MB."""

_MOST_RULES = 20  # in one error
_LONGEST_FIELD = 40
_MOST_TAGS = 50
_SIZE_RULE = f"a value has at most {LONGEST_VALUE} bytes"

R = TypeVar("R", bound="Request")


def _add_choice(schema: dict[str, Any], model: type[Request]) -> None:
    """Add the rule of ``choice`` to a model's JSON Schema."""
    if model.choice:
        schema["oneOf"] = [
            {"required": [field], "properties": {field: {"not": {"type": "null"}}}}
            for field in map(to_pascal, model.choice)
        ]


class Request(BaseModel):
    """A part of an event: fields in AWS's spelling, no others, no conversions, no inputs in errors.

    Attributes:
        choice: fields of which exactly one is not null.
    """

    model_config = ConfigDict(
        alias_generator=to_pascal,
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra=_add_choice,
    )
    choice: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _one_of_choice(self) -> Self:
        if self.choice:
            given = [field for field in self.choice if getattr(self, field) is not None]
            *others, last = map(to_pascal, self.choice)
            _require(len(given) == 1, f"give exactly one of {', '.join(others)} and {last}")
        return self

    @classmethod
    def from_event(cls: type[R], event: object) -> R:
        """Return the request of an event.

        Args:
            event: event that Lambda passed to the handler.

        Returns:
            The checked request.

        Raises:
            InvalidEvent: it names each field and the rule it breaks, but no content and no unknown field;
                nothing was called.
        """
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            details = error.errors(include_input=False)[:_MOST_RULES]
        # Outside the handler: pydantic's error holds the whole input.
        raise InvalidEvent("; ".join(dict.fromkeys(_broken_rule(cls, detail) for detail in details)))


def _broken_rule(cls: type[Request], detail: Any) -> str:
    names, path = _names(cls), detail["loc"]
    known = [*takewhile(lambda step: isinstance(step, int) or step in names, path)]
    if detail["type"] == "invalid_key":  # a key that is not a text, which JSON does not have
        known.pop()
    place = ".".join(map(str, known)) or f"the {cls.__name__.removesuffix('Request').lower()} event"
    if len(known) == len(path):
        return f"{place}: {detail['msg'].removeprefix('Value error, ')}"
    # A key that is not a field may be a misplaced value of a secret. It is shown only if it is another
    # spelling of a field.
    key = str(path[len(known)])[:_LONGEST_FIELD]
    near = get_close_matches(key, names, n=1, cutoff=0.75)
    alike = [name for name in names if name.lower() == key.lower().replace("_", "").replace("-", "")]
    what = f"an unknown field {key}" if alike else "an unknown field"
    return f"{place}: there is {what}" + "".join(f" (did you mean {name}?)" for name in alike or near)


def _names(cls: type[Request]) -> list[str]:
    """Return the fields of an event and of its parts, as they are spelled there."""
    return [
        field.alias or name for part in (cls, Tag, RotationRules) for name, field in part.model_fields.items()
    ]


def _require(holds: bool, rule: str) -> None:
    """Stop the validation with the text of a rule, which must not quote the input."""
    if not holds:
        raise ValueError(rule)


def _within_limit(value: str) -> str:
    _require(len(value.encode()) <= LONGEST_VALUE, _SIZE_RULE)
    return value


def _base64(value: str) -> str:
    try:
        decoded = base64.b64decode(value, validate=True)
    except ValueError:
        decoded = b""
    _require(bool(decoded), "must be base64 (RFC 4648, with padding) and not empty")
    _require(len(decoded) <= LONGEST_VALUE, _SIZE_RULE)
    return value


def _json_object(value: dict[str, Any]) -> dict[str, Any]:
    _require(not is_too_deep(value), f"must not be nested more than {MOST_LEVELS} levels deep")
    try:
        stored = as_json(value).encode()
    except (TypeError, ValueError):
        stored = b""
    _require(bool(stored), "must be a JSON object (no NaN or Infinity, only valid Unicode)")
    _require(len(stored) <= LONGEST_VALUE, _SIZE_RULE)
    return value


def _not_reserved(key: str) -> str:
    _require(not key.lower().startswith("aws:"), "the prefix aws: is reserved")
    return key


def as_json(value: dict[str, Any]) -> str:
    """Return a JSON object as it is stored: in the given order, so equal events give equal versions.

    Args:
        value: object from the event.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _function_arn(arn: str) -> str:
    found = re.fullmatch(
        r"arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):\d{12}:function:[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9_$-]+)?",
        arn,
    )
    _require(found is not None, "must be the ARN of a Lambda function")
    # UG:rotate-secrets_lambda: secret and function are in the same Region.
    here = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    region = found["region"] if found else None
    _require(here in {None, "", region}, "must be in the Region of the secret")
    return arn


def _schedule(expression: str) -> str:
    parse_schedule(expression)
    return expression


Name = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[A-Za-z0-9/_+=.@-]+$")]
SecretId = Annotated[
    str, StringConstraints(min_length=1, max_length=2048, pattern=r"^[A-Za-z0-9/_+=.@!:-]+$")
]
Token = Annotated[str, StringConstraints(min_length=32, max_length=64, pattern=r"^[!-~]+$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2048)]


class Tag(Request):
    """A tag. It is not encrypted, so it must not hold anything secret."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_not_reserved)]
    value: Annotated[str, StringConstraints(max_length=256)]


class RotationRules(Request):
    """Schedule and function of the secret's rotation."""

    choice = ("automatically_after_days", "schedule_expression")

    function_arn: Annotated[str, StringConstraints(max_length=2048), AfterValidator(_function_arn)] = Field(
        alias="FunctionArn"
    )
    automatically_after_days: Annotated[int, Field(ge=1, le=1000)] | None = None
    schedule_expression: (
        Annotated[str, StringConstraints(max_length=256), AfterValidator(_schedule)] | None
    ) = None
    duration: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]?h$")] | None = None
    rotate_immediately: bool = True

    def rules(self) -> dict[str, Any]:
        """Return the ``RotationRules`` of the API.

        Returns:
            Members by the API's names; those that were not given are left out.
        """
        return self.model_dump(
            by_alias=True, exclude_none=True, exclude={"function_arn", "rotate_immediately"}
        )


class StoreRequest(Request):
    """A request to ``store``. Exactly one of ``Value``, ``SecretString`` and ``SecretBinary``."""

    choice = ("value", "secret_string", "secret_binary")

    name: Name
    value: Annotated[dict[str, Any], AfterValidator(_json_object)] | None = Field(default=None, repr=False)
    secret_string: Annotated[str, StringConstraints(min_length=1), AfterValidator(_within_limit)] | None = (
        Field(default=None, repr=False)
    )
    secret_binary: Annotated[str, StringConstraints(min_length=1), AfterValidator(_base64)] | None = Field(
        default=None, repr=False
    )
    kms_key_id: Text | None = None
    description: Annotated[str, StringConstraints(max_length=2048)] | None = None
    tags: Annotated[list[Tag], Field(max_length=_MOST_TAGS)] = []
    client_request_token: Token | None = None
    rotation: RotationRules | None = None
    during_rotation: bool = False

    @model_validator(mode="after")
    def _each_tag_once(self) -> Self:
        _require(len({tag.key for tag in self.tags}) == len(self.tags), "Tags: a key may be given once")
        return self

    def content(self) -> dict[str, Any]:
        """Return the value for the API: ``SecretString`` or ``SecretBinary``. Clear text.

        Returns:
            One member: ``SecretString`` with text, or ``SecretBinary`` with bytes.
        """
        if self.secret_binary is not None:
            return {"SecretBinary": base64.b64decode(self.secret_binary)}
        return {"SecretString": self.secret_string if self.value is None else as_json(self.value)}

    def secret(self) -> Secret | None:
        """Return the value as rotators see it; None if it is not a JSON object."""
        text = self.secret_string if self.value is None else as_json(self.value)
        try:
            return None if text is None else Secret.from_string(text)
        except SecretFormatError:
            return None

    def sensitive(self, members: Members) -> frozenset[str]:
        """Return every string that must not be shown: the given value and, if it is JSON, its strings.

        Args:
            members: those that the rotator of the value declares.

        Returns:
            Texts to mask. Keys of the JSON object are not among them.
        """
        given = frozenset(text for text in (self.secret_string, self.secret_binary) if text)
        secret = self.secret()
        return given | secret.sensitive(*members) if secret is not None else given


class RetrieveRequest(Request):
    """A request to ``retrieve``. Exactly one of ``SecretId`` and ``SecretIds``."""

    choice = ("secret_id", "secret_ids")

    secret_id: SecretId | None = None
    secret_ids: Annotated[list[SecretId], Field(min_length=1, max_length=MOST_SECRETS)] | None = None
    version_stage: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    version_id: Token | None = None
    fields: Annotated[list[Annotated[str, StringConstraints(min_length=1)]], Field(min_length=1)] | None = (
        None
    )
    refresh: bool = False

    @model_validator(mode="after")
    def _of_one_version(self) -> Self:
        one_version = self.version_stage is not None or self.version_id is not None
        _require(
            self.version_stage is None or self.version_id is None, "give VersionStage or VersionId, not both"
        )
        _require(
            self.secret_ids is None or not one_version,
            "VersionStage and VersionId are permitted only with SecretId; SecretIds returns AWSCURRENT",
        )
        ids = self.secret_ids or []
        _require(len(set(ids)) == len(ids), "SecretIds: an id may be given once")
        return self
