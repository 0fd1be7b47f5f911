"""CloudTrail's records of Secrets Manager's API calls, and of the calls of KMS that it makes for the caller.

The shape is that of real records: GetSecretValue and BatchGetSecretValue (elastic/integrations,
test-get-secret-value-json.log), a refused call (panther-labs, aws_secretsmanager_retrieve_secrets.yml), and
DeleteSecret with its response (re:Post, secrets-manager-arn). LookupEvents names a secret as the caller wrote
it, and by the ARN in the response (our choice; the samples are of log files, which have no such list, and in
an old example of the User Guide, monitoring-cloudtrail, it is empty).
KMS's records are those of UG:security-encryption; the local AWS has no key ``aws/secretsmanager``, so there
are none for secrets without a key of the account.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import threading
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

from rotators.local.iam.lookup import DEVELOPER, caller
from rotators.local.options import ACCOUNT
from rotators.local.secretsmanager.recorded_members import (
    READ_ONLY,
    is_operation,
    recorded_message,
    request_parameters,
    response_elements,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rotators.iam.calls import SecretResource
    from rotators.local.iam.authorizer import Application

_MOST = 5_000  # about 15 MB
_SOURCE = "secretsmanager.amazonaws.com"
_KMS = "kms.amazonaws.com"
_CREDENTIAL = re.compile(r"Credential=(?P<key>[^/]+)/[^/]+/(?P<region>[^/]+)/secretsmanager/")
_DENIED = "AccessDeniedException"
_REFUSED, _FAILED = "4", "5"


class ApiCalls:
    """The newest calls.

    Args:
        secret: gives the secret with an ARN in a Region, or None.
    """

    def __init__(self, secret: Callable[[str, str], SecretResource | None]) -> None:
        self._secret = secret
        self._lock = threading.Lock()
        self._records: deque[dict[str, Any]] = deque(maxlen=_MOST)

    def records(self) -> list[dict[str, Any]]:
        """Return elements of LookupEvents' answer, oldest first; ``CloudTrailEvent`` is not encoded yet."""
        with self._lock:
            return list(self._records)

    def forget(self) -> None:
        """Delete all records."""
        with self._lock:
            self._records.clear()

    def recorded(self, application: Application) -> Application:
        """Wrap a WSGI application, so that calls of Secrets Manager are recorded, refused ones included.

        Args:
            application: The application.

        Returns:
            The application with the record.
        """

        def record(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            signed = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
            if signed is None:
                return application(environ, start_response)
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            status: list[str] = []

            def start(line: str, headers: Any, *rest: Any) -> Any:
                status[:] = [line]
                return start_response(line, headers, *rest)

            answer = b"".join(application(environ, start))
            if not status[0].startswith(_FAILED):  # such an answer is no JSON
                self._record(signed, environ, body, status[0], answer)
            return [answer]

        return record

    def _record(
        self, signed: re.Match[str], environ: dict[str, Any], body: bytes, status: str, answer: bytes
    ) -> None:
        name = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        if not is_operation(name):
            return
        request, response, now = _parsed(body), _parsed(answer), dt.datetime.now(dt.UTC)
        detail = _detail(name, signed, environ, request, now)
        if refused := status.startswith(_REFUSED):
            code = str(response.get("__type", "")).rpartition("#")[2]
            message = str(response.get("message") or response.get("Message") or "")
            detail["errorCode"] = "AccessDenied" if code == _DENIED else code
            detail["errorMessage"] = recorded_message(message, request, detail["requestParameters"])
        else:
            detail["responseElements"] = response_elements(name, response)
        element = _element(detail, signed, now)
        with self._lock:
            self._records.append(element)
        if not refused:
            for operation, arn, version in _key_calls(name, request, response):
                self._record_key_call(element, operation, arn, version)

    def _record_key_call(self, cause: dict[str, Any], operation: str, arn: str, version: str) -> None:
        detail = cause["CloudTrailEvent"]
        secret = self._secret(arn, detail["awsRegion"])
        if secret is None or secret.key is None:
            return
        key = secret.key.arn
        request: dict[str, Any] = {"encryptionContext": {"SecretARN": arn, "SecretVersionId": version}}
        if operation == "GenerateDataKey":
            request |= {"keyId": key, "keySpec": "AES_256"}
        event_id = str(uuid.uuid4())
        record = {
            **detail,
            "userIdentity": {**detail["userIdentity"], "invokedBy": _SOURCE},
            "eventSource": _KMS,
            "eventName": operation,
            "sourceIPAddress": _SOURCE,
            "userAgent": _SOURCE,
            "requestParameters": request,
            "responseElements": None,
            "requestID": str(uuid.uuid4()),
            "eventID": event_id,
            "readOnly": True,
            "resources": [{"accountId": key.split(":")[4], "type": "AWS::KMS::Key", "ARN": key}],
        }
        element = {
            **cause,
            "EventId": event_id,
            "EventName": operation,
            "ReadOnly": "true",
            "EventSource": _KMS,
            "Resources": [{"ResourceType": "AWS::KMS::Key", "ResourceName": key}],
            "CloudTrailEvent": record,
        }
        with self._lock:
            self._records.append(element)


def _parsed(text: bytes) -> dict[str, Any]:
    """A request or response; empty if it is no JSON object."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _key_calls(
    name: str, request: dict[str, Any], response: dict[str, Any]
) -> Iterator[tuple[str, str, str]]:
    """KMS's operation, ARN of the secret and version, for each value that was read or written."""
    if name == "BatchGetSecretValue":
        for each in response["SecretValues"]:
            yield "Decrypt", each["ARN"], each["VersionId"]
    elif name == "GetSecretValue":
        yield "Decrypt", response["ARN"], response["VersionId"]
    elif {"SecretString", "SecretBinary"} & request.keys() and "VersionId" in response:
        yield "GenerateDataKey", response["ARN"], response["VersionId"]


def _detail(
    name: str, signed: re.Match[str], environ: dict[str, Any], request: dict[str, Any], now: dt.datetime
) -> dict[str, Any]:
    """The record of a call, without its answer."""
    role, session = caller(signed["key"], signed["region"])
    return {
        "eventVersion": "1.09",
        "userIdentity": _identity(signed["key"], role, session),
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": _SOURCE,
        "eventName": name,
        "awsRegion": signed["region"],
        "sourceIPAddress": environ.get("REMOTE_ADDR", ""),
        "userAgent": environ.get("HTTP_USER_AGENT", ""),
        "requestParameters": request_parameters(name, request) or None,
        "responseElements": None,
        "requestID": str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": name.startswith(READ_ONLY),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }


def _element(detail: dict[str, Any], signed: re.Match[str], now: dt.datetime) -> dict[str, Any]:
    """A record as LookupEvents lists it."""
    _, session = caller(signed["key"], signed["region"])
    return {
        "EventId": detail["eventID"],
        "EventName": detail["eventName"],
        "ReadOnly": str(detail["readOnly"]).lower(),
        "AccessKeyId": signed["key"],
        "EventTime": now.timestamp(),
        "EventSource": _SOURCE,
        "Username": session or detail["userIdentity"]["userName"],
        "Resources": [
            {"ResourceType": "AWS::SecretsManager::Secret", "ResourceName": each}
            for each in dict.fromkeys(_named(detail))
        ],
        "CloudTrailEvent": detail,
    }


def _identity(key: str, role: str, session: str) -> dict[str, Any]:
    """Return CloudTrail's ``userIdentity`` (CloudTrail guide: cloudtrail-event-reference-user-identity)."""
    if not role:
        user = {"arn": f"arn:aws:iam::{ACCOUNT}:user/{DEVELOPER}", "accountId": ACCOUNT}
        return {"type": "IAMUser", "principalId": key, **user, "accessKeyId": key, "userName": DEVELOPER}
    account, name = role.split(":")[4], role.rpartition("/")[2]
    issuer = {"type": "Role", "principalId": name, "arn": role, "accountId": account, "userName": name}
    return {
        "type": "AssumedRole",
        "principalId": f"{name}:{session}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
        "accountId": account,
        "accessKeyId": key,
        "sessionContext": {"sessionIssuer": issuer},
    }


def _named(detail: dict[str, Any]) -> Iterator[str]:
    request, response = detail["requestParameters"] or {}, detail["responseElements"] or {}
    named = (request.get("secretId"), request.get("name"), response.get("arn"))
    yield from map(str, filter(None, (*named, *request.get("secretIdList", ()))))
