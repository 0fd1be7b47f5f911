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


@pytest.mark.parametrize(
    "sent",
    [
        {"Host": "rebound.example"},
        {"Host": "localhost.example"},
        {"Host": ""},
        {"Origin": "http://site.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("method", "asked"), [("OPTIONS", "/2015-03-31/functions"), ("GET", "/?Action=ListTopics")]
)
def test_pages_of_other_sites_are_refused(
    connection: http.client.HTTPConnection, sent: dict[str, str], method: str, asked: str
) -> None:
    """They could create functions, whose code runs on this machine."""
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    connection.request(method, asked, headers={**wanted, **sent})
    answer = connection.getresponse()
    assert answer.status == 400
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert b"Web pages may not use the local AWS" in answer.read()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "bucket.localhost", "host.docker.internal"])
def test_own_names_and_pages_are_answered(
    aws: LocalAws, connection: http.client.HTTPConnection, host: str
) -> None:
    """The page of moto at /moto-api/ works."""
    own = f"{host}:{aws.endpoint.rpartition(':')[2]}"
    connection.request(
        "GET", "/moto-api/", headers={"Host": own, "Origin": f"http://{own}", "Sec-Fetch-Site": "same-origin"}
    )
    assert connection.getresponse().status == 200
