"""Values from the retrieve function, through its URL.

An application whose role may not read secrets itself calls the function, which decides by the role
(docs/reference/functions.md, "Callers"). The request is signed with the process's AWS credentials for the
service ``lambda`` (LG: urls-invocation), so no other credential is needed.
"""

from __future__ import annotations

import base64
import json
import re
import time
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rotators.aws.clients import keep_requests_out_of_logs
from rotators.aws.faults import not_aws, translated
from rotators.aws.secrets import SecretVersion, asked_for
from rotators.core import errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from botocore.awsrequest import AWSPreparedRequest
    from botocore.httpsession import URLLib3Session
    from botocore.session import Session

_HOST = re.compile(r"[a-z0-9]+\.lambda-url\.(?P<region>[a-z0-9-]+)\.on\.aws")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SERVICE = "lambda"
_ACTION = "the request to the retrieve function"
_MOST_SECRETS = 50
_TIMEOUTS = (3.0, 15.0)  # seconds to connect and to read; the function may have to start
_PAUSES = (0.1, 0.4)  # seconds before the second and the third attempt
_LONGEST_MESSAGE = 1000
_URL_REMEDY = "Use the output RetrieveUrl of the stack."
_POLICY_REMEDY = (
    "Sign as a role of the parameter RetrieveCallers that has the policy of the output CallerPolicyArn, with "
    "valid credentials and a correct clock."
)


class RetrieveUrl:
    """The retrieve function as a source: ``SecretCache(source=RetrieveUrl(url))``.

    A temporary failure is repeated twice. Values, signatures and requests are not logged.

    Args:
        url: output RetrieveUrl of the stack.
        region: Region of the function; None to take it from the URL.

    Raises:
        ConfigurationError: the URL does not begin with https://, or its Region is not known.
    """

    def __init__(self, url: str, *, region: str | None = None) -> None:
        try:
            parts = urlsplit(url)
        except ValueError:  # a bracket without its pair
            parts = urlsplit("")
        found = _HOST.fullmatch(parts.hostname or "")
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise errors.ConfigurationError("the URL does not begin with https://", remedy=_URL_REMEDY)
        if region is None and found is None:
            raise errors.ConfigurationError(
                "the URL names no Region", remedy=f"{_URL_REMEDY} Or pass region."
            )
        self._url = url
        self._region = region or (found["region"] if found else "")

    def one(self, secret_id: str, stage: str | None, version: str | None, *, new: bool) -> SecretVersion:
        """See Source.one; ``secret_id`` is a name, because the function accepts no ARN."""
        asked = {"SecretId": secret_id, "VersionStage": stage, "VersionId": version, "Refresh": new}
        answer = self._asked({name: value for name, value in asked.items() if value}, secret_id)
        return _version(answer, secret_id)

    def many(self, secret_ids: Sequence[str]) -> dict[str, SecretVersion | errors.RotatorsError]:
        """See Source.many. The function refuses all if the role may not have one of them."""
        found: dict[str, SecretVersion | errors.RotatorsError] = {}
        for start in range(0, len(secret_ids), _MOST_SECRETS):
            asked = list(secret_ids[start : start + _MOST_SECRETS])
            answer = self._asked({"SecretIds": asked}, ", ".join(asked))
            found |= dict(_outcomes(asked, answer))
        return found

    def _asked(self, event: Mapping[str, Any], about: str) -> dict[str, Any]:
        body = json.dumps(event).encode()
        for pause in _PAUSES:
            try:
                return self._answered(body, about)
            except errors.RotatorsError as error:
                if not error.retryable:
                    raise
            time.sleep(pause)
        return self._answered(body, about)

    def _answered(self, body: bytes, about: str) -> dict[str, Any]:
        with translated(_ACTION, about):
            response = self._http.send(self._signed(body))
        answer = _json_object(response.content)
        if answer is None:
            raise not_aws(_ACTION, about)
        if response.status_code != HTTPStatus.OK:
            raise _refusal(response.status_code, answer, about)
        return answer

    def _signed(self, body: bytes) -> AWSPreparedRequest:
        """Sign each attempt, because credentials and time change."""
        from botocore.auth import SigV4Auth  # noqa: PLC0415 - imported by the first request
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415

        keep_requests_out_of_logs()
        credentials = self._session.get_credentials()
        request = AWSRequest("POST", self._url, {"content-type": "application/json"}, body)
        frozen = credentials.get_frozen_credentials() if credentials else None
        # Without credentials it raises the error that all calls of AWS raise then.
        SigV4Auth(frozen, _SERVICE, self._region).add_auth(request)  # type: ignore[arg-type]
        return request.prepare()

    @cached_property
    def _session(self) -> Session:
        from botocore.session import Session  # noqa: PLC0415

        return Session()

    @cached_property
    def _http(self) -> URLLib3Session:
        from botocore.httpsession import URLLib3Session  # noqa: PLC0415
        from botocore.utils import get_environ_proxies  # noqa: PLC0415

        roots = self._session.get_config_variable("ca_bundle")
        return URLLib3Session(
            verify=roots or True,
            proxies=get_environ_proxies(self._url),
            timeout=_TIMEOUTS,  # type: ignore[arg-type]  # it takes both
        )


def _version(answer: Mapping[str, Any], about: str) -> SecretVersion:
    try:
        found = SecretVersion.of({**answer, **_content(answer)})
    except (KeyError, TypeError, ValueError):
        found = None
    if found is None:  # outside the handler, because the error may hold the value
        raise not_aws(_ACTION, about)
    return asked_for(about, found)


def _content(answer: Mapping[str, Any]) -> dict[str, Any]:
    if "Value" in answer:
        return {"SecretString": json.dumps(answer["Value"], ensure_ascii=False)}
    if "SecretBinary" in answer:
        return {"SecretBinary": base64.b64decode(answer["SecretBinary"])}
    return {}


def _outcomes(
    asked: Sequence[str], answer: Mapping[str, Any]
) -> Iterator[tuple[str, SecretVersion | errors.RotatorsError]]:
    """Each secret with its version or error; both lists have the order that was asked for."""
    failed, secrets = answer.get("Errors"), answer.get("Secrets")
    if not isinstance(failed, list) or not isinstance(secrets, list):
        raise not_aws(_ACTION, ", ".join(asked))
    named: list[Any] = [each.get("SecretId") if isinstance(each, dict) else None for each in failed]
    rest = [name for name in asked if name not in named]
    if len(rest) != len(secrets) or any(name not in asked for name in named):
        raise not_aws(_ACTION, ", ".join(asked))
    yield from ((name, _refusal(HTTPStatus.OK, each, name)) for name, each in zip(named, failed, strict=True))
    yield from ((name, _version(secret, name)) for name, secret in zip(rest, secrets, strict=True))


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


_KINDS = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.InvalidInput | errors.StoreError)
}
"""Errors that the function can answer, by code."""


def _refusal(status: int, answer: Mapping[str, Any], about: str) -> errors.RotatorsError:
    """Return the error of an answer: the function's own, or one of Lambda, which has another form."""
    code, _, reason = str(answer.get("Code", "")).partition("/")
    message = str(answer.get("Message", ""))[:_LONGEST_MESSAGE]
    if kind := _KINDS.get(code):
        cause, _, remedy = message.partition(". Next: ")
        return kind(cause, remedy=remedy or None, reason=reason or None)
    cause = f"Lambda refused {_ACTION} for {about} with status {status}: {message}"
    if status == HTTPStatus.FORBIDDEN:
        return errors.AccessDenied(cause, remedy=_POLICY_REMEDY)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return errors.ServiceThrottled(cause)
    kind = errors.ServiceUnavailable if status >= HTTPStatus.INTERNAL_SERVER_ERROR else errors.RequestRefused
    return kind(cause)
