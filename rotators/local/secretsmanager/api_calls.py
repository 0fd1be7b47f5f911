"""CloudTrail's records of Secrets Manager's API calls, and of the calls of KMS that it makes for the caller.

The shape is that of real records: GetSecretValue and BatchGetSecretValue (elastic/integrations,
test-get-secret-value-json.log), a refused call (panther-labs, aws_secretsmanager_retrieve_secrets.yml), and
DeleteSecret with its response (re:Post, secrets-manager-arn). LookupEvents names a secret as the caller wrote
it, and by the ARN in the response (our choice; the samples are of log files, which have no such list, and in
an old example of the User Guide, monitoring-cloudtrail, it is empty). KMS's records are those of
UG:security-encryption; the local AWS has no key ``aws/secretsmanager``, so secrets without a customer managed
key have no such records.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

from rotators.local.iam.lookup import caller
from rotators.local.options import ACCOUNT
from rotators.local.secretsmanager import trail
from rotators.local.secretsmanager.recorded_members import (
    READ_ONLY,
    is_operation,
    recorded_message,
    request_parameters,
    response_elements,
)
from rotators.local.wsgi import body_of, signature

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Iterator

    from rotators.iam.calls import SecretResource
    from rotators.local.iam.lookup import Caller
    from rotators.local.wsgi import Application

_MOST = 5_000  # about 15 MB
_KEY = "AWS::KMS::Key"
_DENIED = "AccessDeniedException"
_REFUSED, _FAILED = "4", "5"


class ApiCalls:
    """The newest calls.

    Args:
        secret: returns the secret with an ARN in a Region, or None.
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

    def recorded(
        self, application: Application, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        """Let an application answer a request, and record calls of Secrets Manager, including refused ones.

        Args:
            application: The application.
            environ: The request.
            start_response: Function of PEP 3333 that begins the answer.

        Returns:
            The body of the answer.
        """
        signed = signature(environ)
        if signed is None or signed["service"] != "secretsmanager":
            return application(environ, start_response)
        body = body_of(environ)
        status: list[str] = []

        def start(line: str, headers: Any, *rest: Any) -> Any:
            status[:] = [line]
            return start_response(line, headers, *rest)

        answer = b"".join(application(environ, start))
        if not status[0].startswith(_FAILED):  # such a response is not JSON
            self._record(signed, environ, body, status[0], answer)
        return [answer]

    def _record(
        self, signed: re.Match[str], environ: dict[str, Any], body: bytes, status: str, answer: bytes
    ) -> None:
        name = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        if not is_operation(name):
            return
        key, region = signed["key"], signed["region"]
        who, now = caller(key, region), dt.datetime.now(dt.UTC)
        request, response = _parsed(body), _parsed(answer)
        record = trail.record(
            now,
            name,
            region,
            ACCOUNT,
            eventVersion="1.09",
            userIdentity=_identity(key, who),
            sourceIPAddress=environ.get("REMOTE_ADDR", ""),
            userAgent=environ.get("HTTP_USER_AGENT", ""),
            requestParameters=request_parameters(name, request) or None,
            requestID=str(uuid.uuid4()),
            readOnly=name.startswith(READ_ONLY),
            eventType="AwsApiCall",
        )
        refused = status.startswith(_REFUSED)
        if refused:
            code = str(response.get("__type", "")).rpartition("#")[2]
            message = str(response.get("message") or response.get("Message") or "")
            record["errorCode"] = "AccessDenied" if code == _DENIED else code
            record["errorMessage"] = recorded_message(message, request, record["requestParameters"])
        else:
            record["responseElements"] = response_elements(name, response)
        listed = {"AccessKeyId": key, "Username": who.session or who.name}
        secrets = dict.fromkeys(_named(record))
        elements = [trail.element(record, now, "AWS::SecretsManager::Secret", secrets, **listed)]
        uses = [] if refused else _key_calls(name, request, response)
        for operation, arn, version in uses:
            secret = self._secret(arn, region)
            if secret is not None and secret.key is not None:
                use = _key_use(
                    record, operation, {"SecretARN": arn, "SecretVersionId": version}, secret.key.arn
                )
                elements.append(trail.element(use, now, _KEY, [secret.key.arn], **listed))
        with self._lock:
            self._records.extend(elements)


def _parsed(text: bytes) -> dict[str, Any]:
    """Return a request or response; empty if it is not a JSON object."""
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


def _key_use(cause: dict[str, Any], operation: str, context: dict[str, str], key: str) -> dict[str, Any]:
    """Return the record of a call of KMS that Secrets Manager makes for the caller of another one."""
    new_key = {"keyId": key, "keySpec": "AES_256"} if operation == "GenerateDataKey" else {}
    return {
        **cause,
        "userIdentity": {**cause["userIdentity"], "invokedBy": trail.SECRETS_MANAGER},
        "eventSource": "kms.amazonaws.com",
        "eventName": operation,
        "sourceIPAddress": trail.SECRETS_MANAGER,
        "userAgent": trail.SECRETS_MANAGER,
        "requestParameters": {"encryptionContext": context, **new_key},
        "responseElements": None,
        "requestID": str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": True,
        "resources": [{"accountId": key.split(":")[4], "type": _KEY, "ARN": key}],
    }


def _identity(key: str, who: Caller) -> dict[str, Any]:
    """Return CloudTrail's ``userIdentity`` (CloudTrail guide: cloudtrail-event-reference-user-identity)."""
    shown = {"arn": who.arn, "accountId": who.account, "accessKeyId": key}
    if not who.role:
        return {"type": "IAMUser", "principalId": key, **shown, "userName": who.name}
    issuer = {"type": "Role", "principalId": who.name, "arn": who.role, "accountId": who.account}
    return {
        "type": "AssumedRole",
        "principalId": f"{who.name}:{who.session}",
        **shown,
        "sessionContext": {"sessionIssuer": {**issuer, "userName": who.name}},
    }


def _named(detail: dict[str, Any]) -> Iterator[str]:
    request, response = detail["requestParameters"] or {}, detail["responseElements"] or {}
    named = (request.get("secretId"), request.get("name"), response.get("arn"))
    yield from map(str, filter(None, (*named, *request.get("secretIdList", ()))))
