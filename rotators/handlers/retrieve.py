"""The retrieve function: values of secrets, one or many, through the cache that applications use."""

from __future__ import annotations

import base64
import json
import math
import os
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from rotators.aws import clients
from rotators.aws.secrets import SecretsManager, SecretVersion, describe
from rotators.client._secret_cache import SecretCache
from rotators.core.errors import (
    AccessDenied,
    ConfigurationError,
    RotatorsError,
    SecretFormatError,
    SecretNotFound,
)
from rotators.core.secret import is_too_deep
from rotators.handlers import callers
from rotators.handlers.events import RetrieveRequest
from rotators.handlers.telemetry import observed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mypy_boto3_secretsmanager import SecretsManagerClient

    from rotators.core.audit import Facts
    from rotators.handlers.observation import Observation


_CACHE_VARIABLE = "RETRIEVE_CACHE_SECONDS"
_DEFAULT_SECONDS = 300.0
_MOST_ENTRIES = 128


def handler(event: object, context: object = None) -> dict[str, Any]:
    """Read one secret, or many, from memory or from Secrets Manager.

    At most 128 values are kept in memory, for ``RETRIEVE_CACHE_SECONDS`` (default 300; with 0, none). Errors
    are not kept, and no older value is returned while Secrets Manager is unavailable. ``Refresh`` always
    reads from Secrets Manager. One secret needs secretsmanager:GetSecretValue; many need
    secretsmanager:BatchGetSecretValue too.

    With ``RETRIEVE_CALLERS``, the event must be a request through the function's URL; its body is the event
    described here, and the answer, or the error, is the body of a response (see callers.py).

    Args:
        event: ``SecretId`` (name or ARN; optionally ``VersionStage`` or ``VersionId``) or ``SecretIds``
            (50 at most); optionally ``Fields`` (only these keys of the JSON object) and ``Refresh``.
        context: Lambda's context; its ids are in the audit record.

    Returns:
        For ``SecretId``: ``ARN``, ``Name``, ``VersionId``, ``VersionStages``, ``Cached`` (bool), and one of
        ``Value`` (the JSON object), ``SecretString`` (text that is none), ``SecretBinary`` (base64).
        For ``SecretIds``: ``Secrets``, a list of such, and ``Errors``, a list of ``SecretId``, ``Code``
        (ours, see docs/reference/errors.md) and ``Message``; both in the order asked.

    Raises:
        InvalidEvent: a field breaks a rule; nothing was called.
        ConfigurationError: ``RETRIEVE_CACHE_SECONDS`` is not a number of seconds, or ``RETRIEVE_CALLERS``
            cannot be read.
        SecretFormatError: a field is missing, or the secret is not a JSON object (``SecretId`` only).
        StoreError: Secrets Manager refused (for ``SecretIds``: the whole batch).
    """
    if not os.environ.get(callers.VARIABLE):
        with observed("retrieve", context) as observation:
            return _retrieved(RetrieveRequest.from_event(event), observation)
    try:
        with observed("retrieve", context) as observation:
            request, arns = _permitted(event, observation)
            answer = _retrieved(request, observation)
            callers.require_same(arns, answer.get("Secrets", [answer]))
            return callers.response(HTTPStatus.OK, answer)
    except ConfigurationError:
        raise
    except RotatorsError as error:
        return callers.refusal(error)


def _permitted(event: object, observation: Observation) -> tuple[RetrieveRequest, dict[str, str]]:
    """Return the request of a caller who may read all secrets in it, and the ARNs that a tag permits."""
    rules = callers.Callers.from_environment()
    given = callers.UrlRequest.from_event(event)
    role = given.role()
    observation.add(caller=str(role))
    request = RetrieveRequest.from_event(given.content())
    names = _names(request)
    _asked(names, observation)
    return request, rules.require(role, names, _described)


def _described(name: str) -> Mapping[str, Any] | None:
    try:
        return describe(name, clients.secrets_reader())
    except (SecretNotFound, AccessDenied) as error:
        if error.reason is not None:  # about the function's credentials
            raise
        return None


def _names(request: RetrieveRequest) -> list[str]:
    return [request.secret_id] if request.secret_id else request.secret_ids or []


def _asked(names: list[str], observation: Observation) -> None:
    observation.add(secret=",".join(names))
    observation.records = [{"secret": name} for name in names]


def _retrieved(request: RetrieveRequest, observation: Observation) -> dict[str, Any]:
    _asked(_names(request), observation)
    cache = _cache(clients.secrets_reader(), _seconds())
    if request.secret_id is None:
        answer = _many(cache, request)
        observation.add(secrets=str(len(answer["Secrets"])), errors=str(len(answer["Errors"])))
        observation.records = [_read(each) for each in answer["Secrets"]]
        observation.records += [
            {"secret": each["SecretId"], "error_code": each["Code"]} for each in answer["Errors"]
        ]
        return answer
    version, cached = _one(cache, request.secret_id, request)
    observation.add(version=version.version, cached=str(cached).lower())
    answer = _answer(version, request.fields, cached=cached)
    observation.records = [_read(answer)]
    return answer


def _read(answer: Mapping[str, Any]) -> Facts:
    """Return the facts of a secret that is answered. A read from memory is in no other log."""
    result = "cached" if answer["Cached"] else "read"
    return {"secret": answer["ARN"], "versions": [answer["VersionId"]], "result": result}


def _one(cache: SecretCache, secret_id: str, request: RetrieveRequest) -> tuple[SecretVersion, bool]:
    stage, version = request.version_stage, request.version_id
    cached = not request.refresh and cache.remembers(secret_id, stage=stage, version=version)
    since = cache.mark() if request.refresh else None
    return cache.read(secret_id, stage=stage, version=version, since=since), cached


def _many(cache: SecretCache, request: RetrieveRequest) -> dict[str, Any]:
    asked = request.secret_ids or []
    cached = set() if request.refresh else {secret_id for secret_id in asked if cache.remembers(secret_id)}
    secrets, failures = [], []
    for secret_id, found in cache.read_many(asked, new=request.refresh).items():
        try:
            if isinstance(found, RotatorsError):
                raise found
            secrets.append(_answer(found, request.fields, cached=secret_id in cached))
        except RotatorsError as error:
            failures.append({"SecretId": secret_id, **callers.told(error)})
    return {"Secrets": secrets, "Errors": failures}


def _answer(version: SecretVersion, fields: Iterable[str] | None, *, cached: bool) -> dict[str, Any]:
    return {
        "ARN": version.arn,
        "Name": version.name,
        "VersionId": version.version,
        "VersionStages": list(version.stages),
        **_value(version, fields),
        "Cached": cached,
    }


def _value(version: SecretVersion, fields: Iterable[str] | None) -> dict[str, Any]:
    parsed = _json_object(version.content)
    if parsed is not None:
        return {"Value": parsed if fields is None else _chosen(version, parsed, fields)}
    if fields is not None:
        cause = f"the secret {version.name} is not a JSON object, so it has no fields"
        raise SecretFormatError(cause, remedy="Omit Fields, or store a JSON object.")
    if isinstance(version.content, bytes):
        return {"SecretBinary": base64.b64encode(version.content).decode()}
    return {"SecretString": version.content}


def _chosen(version: SecretVersion, parsed: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    missing = [name for name in fields if name not in parsed]
    if missing:
        cause = f"the secret {version.name} lacks the fields {', '.join(missing)}"
        raise SecretFormatError(
            cause, remedy="Correct Fields (names are case-sensitive), or store a value with these fields."
        )
    return {name: parsed[name] for name in fields}


def _json_object(content: str | bytes) -> dict[str, Any] | None:
    if isinstance(content, bytes):
        return None
    try:
        parsed = json.loads(content)
        # What Lambda could not put into its answer stays text: deep nesting, NaN, characters that are none.
        writable = (
            not is_too_deep(parsed) and json.dumps(parsed, ensure_ascii=False, allow_nan=False).encode()
        )
    except (ValueError, RecursionError):
        return None
    return parsed if writable and isinstance(parsed, dict) else None


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


# One at a time: with another lifetime, Region or endpoint the old memory is let go.
@lru_cache(maxsize=1)
def _cache(client: SecretsManagerClient, seconds: float) -> SecretCache:
    return SecretCache(
        source=SecretsManager(client),
        ttl=seconds,
        jitter=0.0,
        max_entries=_MOST_ENTRIES,
        stale_seconds=0.0,
        negative_seconds=0.0,
    )
