"""The retrieve function as a source, through a server that behaves like a function URL with AWS_IAM.

The server checks the signature by botocore's own computation, writes the caller into the event, and calls the
function's handler.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from functions.retrieve import handler
from rotators.client import SecretCache
from rotators.client._retrieve_url import RetrieveUrl
from rotators.core import errors
from rotators.local.servers.private import free_port
from tests.world import World, unique

ACCOUNT = "123456789012"
KEY = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtn",
    "AWS_SESSION_TOKEN": "token/+=",
}
PASSWORD = "s3cr3t-Pa55"
_SIGNED = re.compile(
    r"Credential=(\w+)/\d+/([\w-]+)/lambda/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)"
)


class FunctionUrl:
    """A function URL. `answers` are given before the function is asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.requests = 0
        self.role = "shop"
        made = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                made.requests += 1
                body = self.rfile.read(int(self.headers["content-length"]))
                status, content = made.answers.pop(0) if made.answers else made.answer(self.headers, body)
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, headers: Any, body: bytes) -> tuple[int, bytes]:
        """What Lambda and the function answer (LG: urls-invocation)."""
        found = _SIGNED.search(headers.get("authorization", ""))
        if found is None or found[4] != self.signature(headers, body, found[2], found[3]):
            return 403, b'{"Message":"The request signature we calculated does not match"}'
        session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{self.role}/i-0123456789"
        event = {
            "version": "2.0",
            "headers": dict(headers.items()),
            "requestContext": {"authorizer": {"iam": {"accountId": ACCOUNT, "userArn": session}}},
            "body": body.decode(),
            "isBase64Encoded": False,
        }
        response = handler(event)
        return response["statusCode"], response["body"].encode()

    def signature(self, headers: Any, body: bytes, region: str, names: str) -> str:
        """The signature that the request must have."""
        signed = {name: headers[name] for name in names.split(";")}
        request = AWSRequest("POST", self.url, signed, body)
        request.context["timestamp"] = headers["x-amz-date"]
        auth = SigV4Auth(Credentials(*KEY.values()), "lambda", region)
        return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))


@pytest.fixture
def function_url(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[FunctionUrl]:
    monkeypatch.setenv("RETRIEVE_CALLERS", f"arn:aws:iam::{ACCOUNT}:role/shop=shop/")
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    made = FunctionUrl()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def source(function_url: FunctionUrl) -> RetrieveUrl:
    return RetrieveUrl(function_url.url, region="us-east-1")


def stored(world: World, value: str | bytes, prefix: str = "shop/") -> str:
    name = unique(f"{prefix}url")
    kind = "SecretBinary" if isinstance(value, bytes) else "SecretString"
    world.secrets.create_secret(Name=name, **{kind: value})
    return name


@pytest.mark.parametrize(
    "value", [json.dumps({"password": PASSWORD, "ü": [1]}, ensure_ascii=False), "text", b"\x00\xff"]
)
def test_values_come_through_the_signed_url(world: World, source: RetrieveUrl, value: str | bytes) -> None:
    found = source.one(stored(world, value), None, None, new=False)
    assert found.content == value
    assert found.stages == ("AWSCURRENT",)


def test_a_cache_reads_through_the_url(world: World, source: RetrieveUrl) -> None:
    name = stored(world, "first")
    cache = SecretCache(source=source)
    assert cache.get_secret_string(name) == "first"
    world.secrets.put_secret_value(SecretId=name, SecretString="second")
    cache.refresh_secret_now(name)
    assert cache.get_secret_string(name) == "second"
    assert cache.get_secret_string(name, "AWSPREVIOUS") == "first"


def test_many_secrets_come_with_their_own_errors(world: World, source: RetrieveUrl) -> None:
    names = [stored(world, "a"), unique("shop/missing"), stored(world, "b")]
    found = source.many(names)
    assert [getattr(found[name], "content", None) for name in names] == ["a", None, "b"]
    assert isinstance(found[names[1]], errors.SecretNotFound)


@pytest.mark.parametrize(
    ("prefix", "error", "code"),
    [
        ("other/", errors.CallerRefused, "caller-refused/secret"),
        ("shop/missing-", errors.SecretNotFound, "secret-not-found"),
    ],
)
def test_refusals_are_the_functions_errors(
    source: RetrieveUrl, function_url: FunctionUrl, prefix: str, error: type[errors.RotatorsError], code: str
) -> None:
    with pytest.raises(error) as raised:
        source.one(unique(prefix), None, None, new=False)
    assert raised.value.full_code == code
    assert function_url.requests == 1


def test_a_wrong_signature_is_access_denied(
    world: World, source: RetrieveUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(errors.AccessDenied, match="CallerPolicyArn"):
        source.one(stored(world, "x"), None, None, new=False)


def test_without_credentials_nothing_is_sent(
    source: RetrieveUrl, function_url: FunctionUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in KEY:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(errors.RotatorsError, match="credentials"):
        source.one("shop/a", None, None, new=False)
    assert function_url.requests == 0


@pytest.mark.parametrize("status", [429, 502])
def test_temporary_failures_are_repeated_twice(
    world: World, source: RetrieveUrl, function_url: FunctionUrl, status: int
) -> None:
    name = stored(world, "x")
    function_url.answers = [(status, b'{"Message":"busy"}')] * 2
    assert source.one(name, None, None, new=False).content == "x"
    function_url.answers, function_url.requests = [(status, b'{"Message":"busy"}')] * 3, 0
    with pytest.raises(errors.StoreError) as raised:
        source.one(name, None, None, new=False)
    assert raised.value.retryable
    assert function_url.requests == 3


def test_an_unreachable_url_is_a_temporary_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    url = f"http://127.0.0.1:{free_port()}/"
    with pytest.raises(errors.ServiceUnavailable):
        RetrieveUrl(url, region="us-east-1").one("shop/a", None, None, new=False)


@pytest.mark.parametrize(
    "answer",
    [
        f"<html>{PASSWORD}</html>",
        f'["{PASSWORD}"]',
        f'{{"ARN": "a", "Value": "{PASSWORD}"}}',
        f'{{"ARN": "a", "Name": "n", "VersionId": "v", "SecretBinary": "{PASSWORD}"}}',
    ],
)
def test_an_unknown_answer_is_not_in_the_error(
    source: RetrieveUrl, function_url: FunctionUrl, answer: str
) -> None:
    function_url.answers = [(200, answer.encode())] * 3
    with pytest.raises(errors.ServiceUnavailable) as raised:
        source.one("shop/a", None, None, new=False)
    assert PASSWORD not in f"{raised.value}{raised.value.__cause__}{raised.value.__context__}"


@pytest.mark.parametrize(
    "failed", ["a", {"Code": "secret-not-found"}, {"SecretId": "shop/b"}, {"SecretId": ["shop/a"]}]
)
def test_an_error_without_its_secret_is_unknown(
    source: RetrieveUrl, function_url: FunctionUrl, failed: object
) -> None:
    function_url.answers = [(200, json.dumps({"Secrets": [], "Errors": [failed]}).encode())]
    with pytest.raises(errors.ServiceUnavailable, match="protocol"):
        source.many(["shop/a"])


def test_another_secret_is_not_returned(world: World, source: RetrieveUrl, function_url: FunctionUrl) -> None:
    """Two processes that share a connection by mistake get each other's answers."""
    answer = {"ARN": "a", "Name": "shop/b", "VersionId": "v", "VersionStages": [], "SecretString": "b"}
    function_url.answers = [(200, json.dumps(answer).encode())]
    with pytest.raises(errors.ServiceUnavailable, match="another secret"):
        source.one("shop/a", None, None, new=False)
    function_url.answers = [(200, json.dumps({"Secrets": [answer], "Errors": []}).encode())]
    with pytest.raises(errors.ServiceUnavailable, match="another secret"):
        source.many(["shop/a"])


def test_nothing_of_a_request_is_logged(
    world: World, source: RetrieveUrl, caplog: pytest.LogCaptureFixture
) -> None:
    name = stored(world, json.dumps({"password": PASSWORD}))
    with caplog.at_level(logging.DEBUG):
        source.one(name, None, None, new=False)
    assert not any(text in caplog.text for text in (PASSWORD, "Signature=", KEY["AWS_SESSION_TOKEN"]))


@pytest.mark.parametrize(
    "url",
    [
        "http://abc.lambda-url.eu-west-1.on.aws/",
        "https://example.com/",
        "abc",
        "https://x.on.aws.evil.org",
        "https://[",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="RetrieveUrl"):
        RetrieveUrl(url)
