"""The content of a receipt: an in-toto statement whose predicate describes one rotation.

Formats: in-toto attestation, spec/v1/statement.md and digest_set.md. The subject is the new version of the
secret. A digest of its value would help to guess the value, so the subject has the version's id instead: the
value of a version never changes, and digest_set.md permits an identifier that is immutable by other means.

The members are bounded, because KMS signs at most 4,096 bytes (API:Sign, Message).
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from rotators.receipts.errors import ReceiptUnreadable

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:rotators:receipt:v1"

LONGEST_NAME = 64
"""Largest number of characters of a rotator's or strategy's name."""

LONGEST_WORD = 16
"""Largest number of characters of a step's name or outcome."""

_VERSION_ID = "secretVersionId"  # instead of the name of a digest's algorithm

Arn = Annotated[str, StringConstraints(min_length=1, max_length=640)]
ShortName = Annotated[str, StringConstraints(max_length=LONGEST_NAME)]
Word = Annotated[str, StringConstraints(max_length=LONGEST_WORD)]
Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
VersionId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Fact = Literal["code", "replacedVersion", "rotator", "steps"]
"""A fact that can be unknown when a receipt is written."""


class _Part(BaseModel):
    """A part of a statement: members in camelCase, no others."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )


class ReceiptStep(_Part):
    """A step that succeeded: the last success of its kind before the end of the rotation."""

    name: Word
    started: AwareDatetime
    ended: AwareDatetime
    outcome: Word


class Code(_Part):
    """The code of the rotation function that ran the steps."""

    sha256: Digest


class Receipt(_Part):
    """One rotation of a secret that succeeded.

    `number` counts the receipts of a secret from 1. `previous` is the SHA-256 of the file of the previous
    receipt. `rotated` is the end of finishSecret; if the steps are unknown, the time of the event
    RotationSucceeded. `filledLater` is true if the receipt was not written because of its rotation's own
    event. `unknown` names the facts that could not be found; their members are null or incomplete.
    """

    secret: Arn
    number: Annotated[int, Field(ge=1, le=999_999_999)]
    previous: Digest | None
    version: VersionId
    replaced_version: VersionId | None
    rotated: AwareDatetime
    steps: Annotated[tuple[ReceiptStep, ...], Field(max_length=4)]
    failed_steps: Annotated[int, Field(ge=0)] | None
    passed_tests: Annotated[tuple[Word, ...], Field(max_length=1)]
    rotator: ShortName | None
    strategy: ShortName | None
    function: Arn
    code: Code | None
    signing_key: Arn
    written: AwareDatetime
    filled_later: bool
    unknown: Annotated[tuple[Fact, ...], Field(max_length=4)]


class _Subject(_Part):
    name: str
    digest: dict[str, str]


class _Statement(_Part):
    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: tuple[_Subject, ...]
    predicate_type: Literal["urn:rotators:receipt:v1"]
    predicate: Receipt

    @model_validator(mode="after")
    def _same_subject(self) -> Self:
        if self.subject != (_subject(self.predicate),):
            raise ValueError("the subject is not the version of the predicate")
        return self


def _subject(receipt: Receipt) -> _Subject:
    return _Subject(name=receipt.secret, digest={_VERSION_ID: receipt.version})


def encoded(receipt: Receipt) -> bytes:
    """Return the statement of a receipt as JSON.

    Args:
        receipt: the predicate.

    Returns:
        JSON in UTF-8.
    """
    statement = _Statement(
        _type=STATEMENT_TYPE, subject=(_subject(receipt),), predicate_type=PREDICATE_TYPE, predicate=receipt
    )
    return statement.model_dump_json(by_alias=True).encode()


def decoded(payload: bytes) -> Receipt:
    """Read a statement.

    Args:
        payload: JSON; untrusted.

    Returns:
        Its predicate.

    Raises:
        ReceiptUnreadable: it is not a statement about a rotation.
    """
    try:
        return _Statement.model_validate_json(payload).predicate
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        place = ".".join(map(str, fault["loc"]))[:LONGEST_NAME]
    raise ReceiptUnreadable(
        f"it is not a statement about a rotation ({place or 'the whole'}: {fault['type']})"
    )


def now() -> dt.datetime:
    """Return the time in UTC, to the millisecond."""
    moment = dt.datetime.now(dt.UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
