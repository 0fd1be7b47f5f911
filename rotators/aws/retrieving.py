"""Reading values of secrets, one or many, with a bounded memory that forgets in time."""

from __future__ import annotations

import base64
import json
import math
import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rotators.aws import clients
from rotators.aws.faults import Refusal, translate, translated
from rotators.aws.models import RetrieveRequest
from rotators.aws.telemetry import observed
from rotators.core.cache import TtlCache
from rotators.core.errors import AccessDenied, ConfigurationError, RotatorsError, SecretFormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_secretsmanager import SecretsManagerClient

_CACHE_VARIABLE = "RETRIEVE_CACHE_SECONDS"
_DEFAULT_SECONDS = 300.0
_MOST_ENTRIES = 128

# API:BatchGetSecretValue, SecretIdList.
_BATCH = 20


def retrieve(event: object) -> dict[str, Any]:
    """Read one secret, or many, from memory or from Secrets Manager.

    Values are remembered for ``RETRIEVE_CACHE_SECONDS`` (default 300, 0 remembers nothing), 128 at most;
    ``Refresh`` asks Secrets Manager in any case. One secret needs secretsmanager:GetSecretValue; many need
    secretsmanager:BatchGetSecretValue besides.

    Args:
        event: ``SecretId`` (name or ARN; optionally ``VersionStage`` or ``VersionId``) or ``SecretIds``
            (50 at most); optionally ``Fields`` (only these keys of the JSON object) and ``Refresh``.

    Returns:
        For ``SecretId``: ``ARN``, ``Name``, ``VersionId``, ``VersionStages``, ``Cached`` (bool), and one of
        ``Value`` (the JSON object), ``SecretString`` (text that is none), ``SecretBinary`` (base64).
        For ``SecretIds``: ``Secrets``, a list of such, and ``Errors``, a list of ``SecretId``, ``Code``
        (ours, see docs/errors.md) and ``Message``; both in the order asked.

    Raises:
        InvalidEvent: a field breaks a rule; nothing was called.
        ConfigurationError: ``RETRIEVE_CACHE_SECONDS`` is no number of seconds.
        SecretFormatError: a field is missing, or the secret is no JSON object (``SecretId`` only).
        StoreError: Secrets Manager refused (for ``SecretIds``: the whole batch).
    """
    with observed("retrieve") as observation:
        request = RetrieveRequest.from_event(event)
        observation.add(secret=request.secret_id or ",".join(request.secret_ids or []))
        reader = _Reader(refresh=request.refresh)
        if request.secret_id is None:
            answer = _many(reader, request.secret_ids or [], request.fields)
            observation.add(secrets=str(len(answer["Secrets"])), errors=str(len(answer["Errors"])))
            return answer
        read = reader.one(request.secret_id, request.version_stage, request.version_id)
        observation.add(version=read.version, cached=str(read.cached).lower())
        return read.answer(request.fields)


def _many(reader: _Reader, secret_ids: Sequence[str], fields: Iterable[str] | None) -> dict[str, Any]:
    secrets, failures = [], []
    for secret_id, read in reader.many(secret_ids):
        try:
            if isinstance(read, RotatorsError):
                raise read
            secrets.append(read.answer(fields))
        except RotatorsError as error:
            failures.append(
                {
                    "SecretId": secret_id,
                    "Code": error.full_code,
                    "Message": f"{error.cause}. Next: {error.remedy}",
                }
            )
    return {"Secrets": secrets, "Errors": failures}


@dataclass(frozen=True, slots=True)
class _Read:
    """A version of a secret as it was read. Its repr shows no value."""

    arn: str
    name: str
    version: str
    stages: tuple[str, ...]
    content: str | bytes = field(repr=False)
    cached: bool = False

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> _Read:
        content = answer["SecretString"] if "SecretString" in answer else answer["SecretBinary"]
        return cls(
            answer["ARN"],
            answer["Name"],
            answer["VersionId"],
            tuple(answer.get("VersionStages", ())),
            content,
        )

    def remembered(self) -> _Read:
        return _Read(self.arn, self.name, self.version, self.stages, self.content, cached=True)

    def answer(self, fields: Iterable[str] | None) -> dict[str, Any]:
        return {
            "ARN": self.arn,
            "Name": self.name,
            "VersionId": self.version,
            "VersionStages": list(self.stages),
            **self._value(fields),
            "Cached": self.cached,
        }

    def _value(self, fields: Iterable[str] | None) -> dict[str, Any]:
        parsed = _json_object(self.content)
        if parsed is not None:
            return {"Value": parsed if fields is None else self._chosen(parsed, fields)}
        if fields is not None:
            cause = f"the secret {self.name} is no JSON object, so it has no fields"
            raise SecretFormatError(cause, remedy="Leave Fields out, or store a JSON object.")
        if isinstance(self.content, bytes):
            return {"SecretBinary": base64.b64encode(self.content).decode()}
        return {"SecretString": self.content}

    def _chosen(self, parsed: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
        missing = [name for name in fields if name not in parsed]
        if missing:
            cause = f"the secret {self.name} lacks the fields {', '.join(missing)}"
            raise SecretFormatError(cause, remedy="Correct Fields (case counts), or store a value with them.")
        return {name: parsed[name] for name in fields}


def _json_object(content: str | bytes) -> dict[str, Any] | None:
    if isinstance(content, bytes):
        return None
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


class _Reader:
    """Reads through the cache."""

    def __init__(self, *, refresh: bool) -> None:
        self._client: SecretsManagerClient = clients.secrets_manager()
        self._cache = _cache(_seconds())
        self._refresh = refresh

    def one(self, secret_id: str, stage: str | None, version: str | None) -> _Read:
        read = self._remembered(secret_id, stage, version)
        if read:
            return read
        which = {"VersionStage": stage, "VersionId": version}
        with translated("GetSecretValue", secret_id):
            answer = self._client.get_secret_value(
                SecretId=secret_id, **{name: value for name, value in which.items() if value}
            )
        return self._kept(secret_id, stage, version, _Read.of(answer))

    def many(self, secret_ids: Sequence[str]) -> Iterator[tuple[str, _Read | RotatorsError]]:
        """Each id with what was read for it, or why not, in the order given."""
        found: dict[str, _Read | RotatorsError] = {
            secret_id: read for secret_id in secret_ids if (read := self._remembered(secret_id))
        }
        missing = [secret_id for secret_id in secret_ids if secret_id not in found]
        for start in range(0, len(missing), _BATCH):
            found |= self._batch(missing[start : start + _BATCH])
        for secret_id in secret_ids:
            yield (
                secret_id,
                found.get(secret_id)
                or _failed(secret_id, "ResourceNotFoundException", "the answer does not hold it"),
            )

    def _batch(self, secret_ids: list[str]) -> dict[str, _Read | RotatorsError]:
        found: dict[str, _Read | RotatorsError] = {}
        for page in self._pages(secret_ids):
            for error in page.get("Errors", []):
                found[error["SecretId"]] = _failed(
                    error["SecretId"], error["ErrorCode"], error.get("Message", "")
                )
            for answer in page.get("SecretValues", []):
                read = _Read.of(answer)
                for secret_id in secret_ids:
                    if _names(secret_id, read):
                        found[secret_id] = self._kept(secret_id, None, None, read)
        return found

    def _pages(self, secret_ids: list[str]) -> Iterator[Mapping[str, Any]]:
        more: dict[str, Any] = {}
        while True:
            try:
                with translated("BatchGetSecretValue", f"{len(secret_ids)} secrets"):
                    page = self._client.batch_get_secret_value(SecretIdList=secret_ids, **more)
            except AccessDenied as denied:
                raise _without_batch(denied) from None
            yield page
            if not page.get("NextToken"):
                return
            more = {"NextToken": page["NextToken"]}

    def _remembered(
        self, secret_id: str, stage: str | None = None, version: str | None = None
    ) -> _Read | None:
        key = self._key(secret_id, stage, version)
        read = None if self._refresh else self._cache.get(key)
        return read and read.remembered()

    def _kept(self, secret_id: str, stage: str | None, version: str | None, read: _Read) -> _Read:
        self._cache.put(self._key(secret_id, stage, version), read)
        return read

    def _key(self, secret_id: str, stage: str | None, version: str | None) -> tuple[str | None, ...]:
        # The client too, so that another Region or endpoint in the same process is another memory.
        meta = self._client.meta
        # AWSCURRENT is what the API takes when neither is given.
        return (
            meta.endpoint_url,
            meta.region_name,
            secret_id,
            stage or (None if version else "AWSCURRENT"),
            version,
        )


def _failed(secret_id: str, code: str, message: str) -> RotatorsError:
    return translate(Refusal(code, message, "GetSecretValue"), "BatchGetSecretValue", secret_id)


def _names(secret_id: str, read: _Read) -> bool:
    # A partial ARN lacks the hyphen and six characters at the end.
    return secret_id in {read.name, read.arn} or (secret_id.startswith("arn:") and read.arn[:-7] == secret_id)


def _without_batch(denied: AccessDenied) -> AccessDenied:
    if denied.reason is not None:
        return denied
    return AccessDenied(
        denied.cause,
        remedy="Grant secretsmanager:BatchGetSecretValue (on *) and secretsmanager:GetSecretValue on each "
        "secret, or retrieve one at a time with SecretId.",
    )


def _seconds() -> float:
    text = os.environ.get(_CACHE_VARIABLE)
    try:
        seconds = float(text) if text else _DEFAULT_SECONDS
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        cause = f"{_CACHE_VARIABLE} must be a number of seconds, 0 or more"
        raise ConfigurationError(cause, remedy="Correct the environment variable on the function.")
    return seconds


# One at a time: with another lifetime the old memory is let go.
@lru_cache(maxsize=1)
def _cache(seconds: float) -> TtlCache[tuple[str | None, ...], _Read]:
    return TtlCache(ttl=seconds, max_entries=_MOST_ENTRIES)
