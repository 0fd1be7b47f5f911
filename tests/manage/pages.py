"""Answers of Secrets Manager in place of a server: any number of secrets, and errors among them."""

from __future__ import annotations

import gc
import io
import json
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Event
from typing import Any

from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders

from rotators.aws import clients

_PAGE = 100
_PLACE = "####"
_REGION, _ACCOUNT = "us-east-1", "123456789012"


class _Body(io.BytesIO):
    """The body of a response, as urllib3 passes it to botocore."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


class Pages:
    """A Secrets Manager with this many secrets.

    Args:
        secrets: number of secrets, a multiple of 100.
        errors: index of a page to the error codes that its first requests get.

    Attributes:
        served: number of pages that were given.
        looked_up: number of answers of CloudTrail, all without events.
        blocks: number of allocated blocks of memory in this process, when each page was given.
        held: bytes that were in use when each page was given, if tracemalloc traces.
    """

    def __init__(self, secrets: int, errors: dict[int, list[str]] | None = None) -> None:
        self._secrets, self._errors = secrets, errors or {}
        self.served = self.looked_up = 0
        self.blocks: list[int] = []
        self.held: list[int] = []

    def list_secrets(self, request: AWSRequest, **_: object) -> AWSResponse:
        first = int(json.loads(request.body).get("NextToken", 0))
        if errors := self._errors.get(first // _PAGE):
            return answer(400, {"__type": errors.pop(0), "message": "Rate exceeded"})
        last = first + _PAGE
        more = f', "NextToken": "{last}"' if last < self._secrets else ""
        self.served += 1
        self.blocks.append(sys.getallocatedblocks())
        if tracemalloc.is_tracing():
            gc.collect()  # how much garbage there is depends on the tests before
            self.held.append(tracemalloc.get_traced_memory()[0])
        page = _page().replace(_PLACE, f"{first // _PAGE:04}")
        return _answered(200, f'{{"SecretList": {page}{more}}}')

    def describe_secret(self, request: AWSRequest, **_: object) -> AWSResponse:
        found = _secret(json.loads(request.body)["SecretId"].split("-")[-2])
        return answer(200, {**found, "VersionIdsToStages": found.pop("SecretVersionsToStages")})

    def lookup_events(self, **_: object) -> AWSResponse:
        self.looked_up += 1
        return answer(200, {"Events": []})

    @contextmanager
    def serving(self) -> Iterator[Pages]:
        """Answer the requests of this process's clients during the block."""
        handlers = [
            (clients.secrets_lister(), "secretsmanager.ListSecrets", self.list_secrets),
            (clients.secrets_lister(), "secretsmanager.DescribeSecret", self.describe_secret),
            (clients.cloudtrail_lister(), "cloudtrail.LookupEvents", self.lookup_events),
        ]
        for client, operation, handler in handlers:
            client.meta.events.register(f"before-send.{operation}", handler)
        try:
            yield self
        finally:
            for client, operation, handler in handlers:
                client.meta.events.unregister(f"before-send.{operation}", handler)


@contextmanager
def throttling(client: Any, operation: str, times: int) -> Iterator[list[str]]:
    """Refuse the first requests of a client during the block; yield the remaining codes."""
    left = ["ThrottlingException"] * times

    def handler(**_: object) -> AWSResponse | None:
        return answer(400, {"__type": left.pop(), "message": "Rate exceeded"}) if left else None

    client.meta.events.register(f"before-send.{operation}", handler)
    try:
        yield left
    finally:
        client.meta.events.unregister(f"before-send.{operation}", handler)


@contextmanager
def unanswered(client: Any, operation: str, after: int = 0) -> Iterator[Event]:
    """Let the requests of a client, after some, get no answer during the block; gives what tells this."""
    sent, ended, passing = Event(), Event(), iter(range(after))

    def handler(**_: object) -> AWSResponse | None:
        if next(passing, None) is not None:
            return None
        sent.set()
        ended.wait()
        return answer(200, {"Events": [], "SecretList": []})

    client.meta.events.register_first(f"before-send.{operation}", handler)
    try:
        yield sent
    finally:
        client.meta.events.unregister(f"before-send.{operation}", handler)
        ended.set()


def _secret(number: str) -> dict[str, Any]:
    return {
        "ARN": f"arn:aws:secretsmanager:{_REGION}:{_ACCOUNT}:secret:prod/app-{number}-AbCdEf",
        "Name": f"prod/app-{number}",
        "Tags": [{"Key": "owner", "Value": f"team {number}"}],
        "CreatedDate": 1700000000.0,
        "LastChangedDate": 1700000000.0,
        "SecretVersionsToStages": {f"{number:>032}": ["AWSCURRENT"]},
    }


@cache
def _page() -> str:
    """A page whose number is missing in it."""
    return json.dumps([_secret(f"{_PLACE}{number:02}") for number in range(_PAGE)])


def answer(status: int, document: object) -> AWSResponse:
    """An answer of AWS, for a handler of boto3's event before-send."""
    return _answered(status, json.dumps(document))


def _answered(status: int, text: str) -> AWSResponse:
    headers = HTTPHeaders()
    headers["Content-Type"] = "application/x-amz-json-1.1"
    return AWSResponse("http://localhost", status, headers, _Body(text.encode()))
