"""The event that Secrets Manager sends to a rotation function, checked once before any use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rotators.core.errors import InvalidEvent, UnknownStep

ROTATION_TOKEN = re.compile(r"[a-zA-Z0-9-]{36,256}")
"""Pattern of a whole RotationToken (API:PutSecretValue)."""

ID = re.compile(r"[A-Za-z0-9/_+=.@!:-]+")
"""Characters of names and ARNs of secrets (API:CreateSecret, Name). Ids are logged, so nothing else is
accepted: a secret's value in the wrong field would be logged."""


class Step(StrEnum):
    """The four steps, as Secrets Manager spells them (User Guide, rotate-secrets_lambda-functions)."""

    CREATE = "createSecret"
    SET = "setSecret"
    TEST = "testSecret"
    FINISH = "finishSecret"


@dataclass(frozen=True, slots=True)
class RotationRequest:
    """One call of one step.

    Attributes:
        secret_id: the secret's ARN (its name works as well).
        token: the version id that the rotation promotes, 32 to 64 characters.
        step: which of the four.
        rotation_token: proof that Secrets Manager started this rotation, passed on to PutSecretValue;
            sensitive, so it is kept out of the repr. Events before June 2024 do not have it.
    """

    secret_id: str
    token: str
    step: Step
    rotation_token: str | None = field(default=None, repr=False)

    @classmethod
    def from_event(cls, event: object) -> RotationRequest:
        """Read an event of Secrets Manager's shape (User Guide, rotate-secrets_lambda).

        Args:
            event: ``{"Step", "SecretId", "ClientRequestToken", "RotationToken"?}``; other fields are ignored.

        Returns:
            The checked request.

        Raises:
            UnknownStep: Step is not one of the four, in camelCase.
            InvalidEvent: a field is missing or breaks its rule; the field is named, its value is not shown.
        """
        if not isinstance(event, Mapping):
            raise InvalidEvent(f"a rotation event is a JSON object, not {type(event).__name__}")
        secret_id = _text(event, "SecretId", ID, longest=2048)
        token = _text(event, "ClientRequestToken", ID, longest=64, shortest=32)
        rotation_token = event.get("RotationToken")
        if rotation_token is not None and not (
            isinstance(rotation_token, str) and ROTATION_TOKEN.fullmatch(rotation_token)
        ):
            raise InvalidEvent("RotationToken must be 36 to 256 letters, digits and hyphens")
        return cls(secret_id, token, _step(_text(event, "Step", _ANY, longest=256)), rotation_token)


_ANY = re.compile(r".*", re.DOTALL)
_NO_LETTERS = re.compile(r"[^a-z]")


def _step(value: str) -> Step:
    if value in set(Step):
        return Step(value)
    # Only another spelling of a step is repeated in the error; anything else could be a value of a secret.
    letters = _NO_LETTERS.sub("", value.lower())
    known = letters in {step.lower() for step in Step}
    raise UnknownStep(f"Invalid step parameter{f' {value!r}' if known else ''} in field Step")


def _text(
    event: Mapping[object, object],
    name: str,
    pattern: re.Pattern[str],
    *,
    longest: int,
    shortest: int = 1,
) -> str:
    value = event.get(name)
    if value is None:
        raise InvalidEvent(f"field {name} is missing")
    if not isinstance(value, str):
        raise InvalidEvent(f"field {name} must be a string, not {type(value).__name__}")
    if not shortest <= len(value) <= longest:
        raise InvalidEvent(f"field {name} must have {shortest} to {longest} characters, not {len(value)}")
    if not pattern.fullmatch(value):
        raise InvalidEvent(f"field {name} contains a character that is not permitted")
    return value
