"""Requests that follow each other on one connection to the local AWS."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest

from rotators.local.aws import LocalAws
from tests.world import unique

CONTENT = b"<content>"
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/s3/aws4_request"}


@pytest.fixture
def connection(aws: LocalAws) -> Iterator[http.client.HTTPConnection]:
    opened = http.client.HTTPConnection(aws.endpoint.removeprefix("http://"))
    yield opened
    opened.close()


@pytest.fixture
def path(aws: LocalAws) -> str:
    """The path of an object in a bucket."""
    bucket = unique("bucket").replace("_", "-").lower()
    aws.client("s3").create_bucket(Bucket=bucket)
    aws.client("s3").put_object(Bucket=bucket, Key="key", Body=CONTENT)
    return f"/{bucket}/key"


def asked(
    connection: http.client.HTTPConnection, method: str, path: str, status: int = 200, **sent: object
) -> bytes:
    connection.request(method, path, headers=SIGNED, **sent)  # type: ignore[arg-type]
    answer = connection.getresponse()
    assert answer.status == status
    return answer.read()


def test_requests_share_a_connection(connection: http.client.HTTPConnection, path: str) -> None:
    asked(connection, "GET", path)
    first = connection.sock
    assert asked(connection, "GET", path) == CONTENT
    assert connection.sock is first is not None


def test_an_answer_to_head_has_no_body(connection: http.client.HTTPConnection, path: str) -> None:
    assert asked(connection, "HEAD", path) == b""
    assert asked(connection, "HEAD", f"{path}-missing", 404) == b""
    assert asked(connection, "GET", path) == CONTENT


def test_a_body_in_chunks_ends_the_connection(connection: http.client.HTTPConnection, path: str) -> None:
    asked(connection, "PUT", path, body=iter([b"new ", b"content"]), encode_chunked=True)
    assert connection.sock is None
    assert asked(connection, "GET", path) == b"new content"
