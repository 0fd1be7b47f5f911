"""Answers of Secrets Manager in place of a server: any number of secrets, and errors among them."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders

from rotators.aws import clients

_PAGE = 100
_REGION, _ACCOUNT = "us-east-1", "123456789012"


class _Body(io.BytesIO):
    """The body of an answer, as urllib3 gives it to botocore."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


class Pages:
    """A Secrets Manager with this many secrets.

    Args:
        secrets: number of secrets.
        errors: index of a page to the error codes that its first requests get.

    Attributes:
        served: number of pages that were given.
        blocks: number of allocated blocks of memory in this process, when each page was given.
    """

    def __init__(self, secrets: int, errors: dict[int, list[str]] | None = None) -> None:
        self._secrets, self._errors = secrets, errors or {}
        self.served = 0
        self.blocks: list[int] = []

    def list_secrets(self, request: AWSRequest, **_: object) -> AWSResponse:
        first = int(json.loads(request.body).get("NextToken", 0))
        if errors := self._errors.get(first // _PAGE):
            return _answer(400, {"__type": errors.pop(0), "message": "Rate exceeded"})
        last = min(first + _PAGE, self._secrets)
        more = {"NextToken": str(last)} if last < self._secrets else {}
        self.served += 1
        self.blocks.append(sys.getallocatedblocks())
        return _answer(200, {"SecretList": [_secret(number) for number in range(first, last)], **more})

    def describe_secret(self, request: AWSRequest, **_: object) -> AWSResponse:
        number = int(json.loads(request.body)["SecretId"].split("-")[-2])
        found = _secret(number)
        return _answer(200, {**found, "VersionIdsToStages": found.pop("SecretVersionsToStages")})

    @contextmanager
    def serving(self) -> Iterator[Pages]:
        """Answer the requests of this process's clients during the block."""
        handlers = [
            (clients.secrets_lister(), "secretsmanager.ListSecrets", self.list_secrets),
            (clients.secrets_lister(), "secretsmanager.DescribeSecret", self.describe_secret),
            (clients.cloudtrail_lister(), "cloudtrail.LookupEvents", _no_events),
        ]
        for client, operation, handler in handlers:
            client.meta.events.register(f"before-send.{operation}", handler)
        try:
            yield self
        finally:
            for client, operation, handler in handlers:
                client.meta.events.unregister(f"before-send.{operation}", handler)


def name(number: int) -> str:
    """The name of a secret."""
    return f"prod/app-{number:06}"


def _secret(number: int) -> dict[str, Any]:
    return {
        "ARN": f"arn:aws:secretsmanager:{_REGION}:{_ACCOUNT}:secret:{name(number)}-AbCdEf",
        "Name": name(number),
        "Tags": [{"Key": "owner", "Value": f"team {number}"}],
        "CreatedDate": 1700000000.0 + number,
        "LastChangedDate": 1700000000.0 + number,
        "SecretVersionsToStages": {f"{number:032}": ["AWSCURRENT"]},
    }


def _no_events(**_: object) -> AWSResponse:
    return _answer(200, {"Events": []})


def _answer(status: int, document: object) -> AWSResponse:
    headers = HTTPHeaders()
    headers["Content-Type"] = "application/x-amz-json-1.1"
    return AWSResponse("http://localhost", status, headers, _Body(json.dumps(document).encode()))
