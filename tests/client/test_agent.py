"""AWS's agent and Lambda extension as sources.

Neither can run here (one is built from Rust, the other is a Lambda layer). The replacements follow their
documentation: the token's header, the port, ``refreshNow``, and their refusals.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from rotators.aws.secrets import SecretsManager
from rotators.client import SecretCache
from rotators.client._agent import Agent, find_token
from rotators.core.errors import ConfigurationError, SecretNotFound
from rotators.local.servers.private import free_port
from tests.world import World, unique

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "an-agents-token"
_VARIABLES = (
    "AWS_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_LAMBDA_FUNCTION_NAME",
    "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT",
)


class Beside:
    """A process next to the application that keeps values without limit, unless a request says to refresh."""

    def __init__(self, world: World) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.tokens: set[str] = set()
        self.status = 200
        self._known: dict[str, bytes] = {}
        self._client = world.secrets
        beside = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                beside.tokens.add(self.headers.get("X-Aws-Parameters-Secrets-Token", ""))
                status, content = beside.answer(self.path)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, path: str) -> tuple[int, bytes]:
        url = urlsplit(path)
        query = parse_qs(url.query)
        self.asked.append(query)
        if self.status != 200 or url.path != "/secretsmanager/get":
            return self.status, b"not ready to serve traffic, please wait"
        new = query.pop("refreshNow", [])
        key = json.dumps(query)
        if new or key not in self._known:
            names = {"secretId": "SecretId", "versionStage": "VersionStage", "versionId": "VersionId"}
            try:
                found: Any = self._client.get_secret_value(**{names[k]: v[0] for k, v in query.items()})
            except self._client.exceptions.ResourceNotFoundException:
                return 400, b'{"__type":"ResourceNotFoundException"}'
            if "SecretBinary" in found:
                found["SecretBinary"] = base64.b64encode(found["SecretBinary"]).decode()
            self._known[key] = json.dumps(found, default=str).encode()
        return 200, self._known[key]


@pytest.fixture
def beside(world: World) -> Iterator[Beside]:
    made = Beside(world)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(autouse=True)
def nothing_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)


def stored(world: World, text: str = "first") -> str:
    name = unique("agent")
    world.secrets.create_secret(Name=name, SecretString=text)
    return name


def test_agent_gets_its_token_and_refresh_requests(
    world: World, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_TOKEN", TOKEN)
    monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", str(beside.port))
    name = stored(world)
    cache = SecretCache()
    assert cache.get_secret_string(name) == "first"
    world.secrets.put_secret_value(SecretId=name, SecretString="second")
    cache.clear()
    assert cache.get_secret_string(name) == "first"
    cache.refresh_secret_now(name)
    assert cache.get_secret_string(name) == "second"
    assert cache.get_secret_string(name, "AWSPREVIOUS") == "first"
    assert beside.tokens == {TOKEN}
    assert beside.asked[0] == {"secretId": [name], "versionStage": ["AWSCURRENT"]}


def test_the_extension_names_both_kinds_of_value(
    world: World, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"ARN": "a", "Name": "n", "VersionId": "v", "SecretString": None, "SecretBinary": "AAE="}
    monkeypatch.setattr(beside, "answer", lambda _: (200, json.dumps(answer).encode()))
    assert SecretCache(source=Agent(port=beside.port, token=TOKEN)).get_secret_binary("n") == b"\0\1"
    answer |= {"SecretString": "text", "SecretBinary": None}
    assert SecretCache(source=Agent(port=beside.port, token=TOKEN)).get_secret_string("n") == "text"


@pytest.mark.parametrize("token", ["of-a-mount\n", "no\nheader"])
def test_token_with_a_line_break_is_never_shown(
    world: World, beside: Beside, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("AWS_TOKEN", token)
    cache = SecretCache(source=Agent(port=beside.port, direct=SecretsManager(world.secrets)))
    assert cache.get_secret_string(stored(world)) == "first"
    assert beside.tokens <= {token.strip()}


def test_an_invalid_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", "http")
    with pytest.raises(ConfigurationError, match="PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"):
        SecretCache()


def test_many_secrets_are_one_call_without_an_agent(world: World) -> None:
    calls: list[str] = []
    events, event = world.secrets.meta.events, "before-call.secrets-manager"
    events.register(event, lambda model, **_: calls.append(model.name), unique_id="many")
    try:
        direct = SecretsManager(world.secrets)
        cache = SecretCache(source=Agent(port=free_port(), token=TOKEN, direct=direct))
        names = [stored(world) for _ in range(5)]
        calls.clear()
        assert cache.warm(names) == {}
    finally:
        events.unregister(event, unique_id="many")
    assert calls == ["BatchGetSecretValue"]


def test_bytes_come_through_the_agent(world: World, beside: Beside) -> None:
    name = unique("agent")
    world.secrets.create_secret(Name=name, SecretBinary=bytes(range(256)))
    cache = SecretCache(source=Agent(port=beside.port, token=TOKEN))
    assert cache.get_secret_binary(name) == bytes(range(256))


def test_new_values_bypass_the_extension(
    world: World, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "app")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-the-role")
    name = stored(world)
    cache = SecretCache(source=Agent(port=beside.port, direct=SecretsManager(world.secrets)))
    assert cache.get_secret_string(name) == "first"
    world.secrets.put_secret_value(SecretId=name, SecretString="second")
    cache.refresh_secret_now(name)
    assert cache.get_secret_string(name) == "second"
    assert beside.tokens == {"of-the-role"}
    assert len(beside.asked) == 1


@pytest.mark.parametrize("status", [400, 403, 429, 503])
def test_unanswered_secrets_are_read_directly(world: World, beside: Beside, status: int) -> None:
    beside.status = status
    cache = SecretCache(source=Agent(port=beside.port, token=TOKEN, direct=SecretsManager(world.secrets)))
    assert cache.get_secret_string(stored(world)) == "first"
    assert len(beside.asked) == 1


def test_a_missing_agent_causes_no_error(world: World) -> None:
    cache = SecretCache(source=Agent(port=free_port(), token=TOKEN, direct=SecretsManager(world.secrets)))
    name = stored(world)
    assert cache.get_secret_string(name) == "first"
    assert cache.warm([name, "none/such"]).keys() == {"none/such"}


def test_an_invalid_answer_is_skipped(world: World, beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "answer", lambda _: (200, b"<html>"))
    cache = SecretCache(source=Agent(port=beside.port, token=TOKEN, direct=SecretsManager(world.secrets)))
    assert cache.get_secret_string(stored(world)) == "first"


def test_unknown_secret_raises_secrets_managers_error(world: World, beside: Beside) -> None:
    source = Agent(port=beside.port, token=TOKEN, direct=SecretsManager(world.secrets))
    with pytest.raises(SecretNotFound, match="none/such"):
        SecretCache(source=source).get_secret_string("none/such")


def test_session_token_is_sent_in_lambda_only(
    world: World, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-a-person")
    cache = SecretCache(source=Agent(port=beside.port, direct=SecretsManager(world.secrets)))
    assert cache.get_secret_string(stored(world)) == "first"
    assert beside.tokens == set()


def test_no_proxy_of_the_environment_sees_the_token(
    world: World, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    cache = SecretCache(source=Agent(port=beside.port, token=TOKEN))
    assert cache.get_secret_string(stored(world)) == "first"


def test_tokens_are_found_at_the_agents_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = tmp_path / "token"
    monkeypatch.setattr("rotators.client._agent._TOKEN_FILE", str(written))
    assert find_token() is None
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "of-a-container")
    assert find_token() is None
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "app")
    assert find_token() == "of-a-container"
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-a-session")
    assert find_token() == "of-a-session"
    written.write_text("of-a-file\n")
    assert find_token() == "of-a-file"
    other = tmp_path / "other"
    other.write_text("of-another-file\n")
    monkeypatch.setenv("AWS_TOKEN", f"file://{other}")
    assert find_token() == "of-another-file"
    monkeypatch.setenv("AWS_TOKEN", "of-a-variable")
    assert find_token() == "of-a-variable"
