"""`demo` and `up` as a new user runs them: as separate processes, and with the real AWS CLI."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest

from rotators.core.registry import load
from rotators.local.servers.postgres import PostgresServer
from rotators.strategies.rotator import engine_of
from rotators.testing import _targets
from tests.cli.command import command
from tests.manage.test_serving import ask
from tests.waiting import until
from tests.world import is_here, remembered, skipping_without

pytestmark = pytest.mark.processes

RUN = [sys.executable, "-m", "rotators"]
AWS = Path(sys.executable).parent / "aws"


@pytest.fixture(autouse=True)
def _needs_postgres() -> None:
    with skipping_without(PostgresServer):
        PostgresServer.find()


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without the tests' own AWS."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "SECRETS_MANAGER_", "DATABASE_URL"))
    }
    return {**kept, **more}


NOWHERE = "http://127.0.0.1:9"


def test_demo_ends_well_and_leaves_nothing_behind(folder: Path) -> None:
    """The demo ignores the caller's settings: a proxy would see passwords, others name another account."""
    environment = clean_environment(
        TMPDIR=str(folder),
        HTTP_PROXY=NOWHERE,
        http_proxy=NOWHERE,
        AWS_ENDPOINT_URL_SECRETS_MANAGER=NOWHERE,
        SECRETS_MANAGER_ENDPOINT=NOWHERE,
        AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true",
        AWS_PROFILE="no-such-profile",
    )
    done = subprocess.run([*RUN, "demo"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("createSecret", "finishSecret", "refused", "accepted", "AWSCURRENT", "Next:"):
        assert word in done.stdout
    assert list(folder.iterdir()) == []


def test_demo_leaves_your_own_server_unchanged(server: PostgresServer) -> None:
    url = (
        f"postgresql://{server.superuser}:{server.password}@{server.host}:{server.port}/postgres"
        f"?sslmode=verify-full&sslrootcert={server.ca}"
    )
    before = server.execute("SELECT rolname FROM pg_roles ORDER BY 1")
    done = subprocess.run(
        [*RUN, "demo", "--json"],
        env=clean_environment(DATABASE_URL=url),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.password not in done.stdout + done.stderr
    assert server.execute("SELECT rolname FROM pg_roles ORDER BY 1") == before
    document = json.loads(done.stdout)
    assert [secret["strategy"] for secret in document["secrets"]] == ["single", "alternating"]
    for secret in document["secrets"]:
        assert (secret["old_password"], secret["new_password"]) == ("refused", "accepted")
        assert all(rotation["result"] == "succeeded" for rotation in secret["rotations"])


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "not a libpq URL"),
        ("postgresql://user:pa55word-x@localhost:abc/x", "one host and one port"),
        ("postgresql://user:pa55word-x@127.0.0.1:9/x?sslmode=disable", "nothing listens on the port"),
        ("postgresql://localhost/x", "lacks user, password"),
    ],
)
def test_an_unusable_database_url_is_reported_without_password(
    monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    done = command("demo")
    assert done.status == 1
    assert said in done.stderr
    assert "Next:" in done.stderr
    assert "Traceback" not in done.stderr
    assert "pa55word" not in done.text


def test_a_failure_for_machines_is_json_too(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "SECRETS_MANAGER_ENDPOINT"):
        values[name] = NOWHERE
    for name, value in {**values, "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    done = command("show", "any", "--json")
    assert done.status == 1
    assert json.loads(done.stdout)["error"]["code"] == "service-unavailable/endpoint"


class Stack:
    """`rotators up` as a process, and its output."""

    def __init__(self, place: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [*RUN, "up", "--port", "0", "--json", *options],
            env=clean_environment(TMPDIR=str(place)),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        text = ""
        for line in self.process.stdout:
            text += line
            if line == "}\n":
                break
        self.document: dict[str, Any] = json.loads(text)
        if "endpoint" not in self.document:
            self.process.communicate()  # a process that is left would fail another test
            pytest.fail(text)
        self.client: Any = boto3.client(
            "secretsmanager",
            endpoint_url=self.document["endpoint"],
            region_name=self.document["exports"]["AWS_REGION"],
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def aws(self, *arguments: str) -> Any:
        """Run the real AWS CLI with the exports that `up` printed."""
        done = subprocess.run(
            [AWS, *arguments, "--output", "json"],
            env=clean_environment(**self.document["exports"]),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout) if done.stdout.strip() else None

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another `rotators` command against it."""
        environment = clean_environment(**self.document["exports"])
        return subprocess.run(
            [*RUN, *arguments], env=environment, capture_output=True, text=True, check=False
        )

    def value(self, name: str) -> dict[str, Any]:
        """A secret's current value."""
        answer = self.client.get_secret_value(SecretId=name)
        value: dict[str, Any] = json.loads(answer["SecretString"])
        remembered(value["password"])
        return value

    def stages(self, name: str) -> dict[str, list[str]]:
        """The stages of a secret's versions."""
        stages: dict[str, list[str]] = self.client.describe_secret(SecretId=name)["VersionIdsToStages"]
        return stages

    def logs_in(self, value: dict[str, Any]) -> bool:
        """True if the database accepts a value's user and password."""
        try:
            psycopg.connect(
                host=value["host"],
                port=value["port"],
                user=value["username"],
                password=value["password"],
                dbname=value["dbname"],
                sslmode="verify-full",
                sslrootcert=value["sslrootcert"],
            ).close()
        except psycopg.OperationalError:
            return False
        return True


def _folder() -> Iterator[Path]:
    """A folder that the server's user may enter. Each start of pytest closes pytest's own to other users."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


folder = pytest.fixture(_folder, name="folder")
place = pytest.fixture(_folder, name="place", scope="module")


@pytest.fixture(scope="module")
def stack(place: Path) -> Iterator[Stack]:
    """One stack for the tests of this module."""
    yield from _running(place)


def _running(place: Path, *options: str) -> Iterator[Stack]:
    running = Stack(place, *options)
    with running.process:
        yield running
        running.client.close()
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGINT)


def test_the_unmodified_aws_cli_rotates_a_password_twice(stack: Stack) -> None:
    if not AWS.exists():
        pytest.skip("the AWS CLI is not installed in this environment")
    seen = [stack.value("demo/single")]
    for _ in range(2):
        token = stack.aws("secretsmanager", "rotate-secret", "--secret-id", "demo/single")["VersionId"]
        _await_current(stack, token)
        seen.append(stack.value("demo/single"))
    answer = stack.aws("secretsmanager", "get-secret-value", "--secret-id", "demo/single")
    assert json.loads(answer["SecretString"]) == seen[-1]
    assert len({value["password"] for value in seen}) == 3
    assert [stack.logs_in(value) for value in seen] == [False, False, True]


def _await_current(stack: Stack, token: str) -> None:
    """Wait until the rotation has ended; the AWS CLI has no command for this."""
    until(lambda: "AWSCURRENT" in stack.stages("demo/single").get(token, ()))


def test_the_other_commands_work_against_it(stack: Stack, tmp_path: Path) -> None:
    assert stack.command("rotate", "demo/alternating").returncode == 0
    assert "AWSCURRENT" in stack.command("show", "demo/alternating").stdout
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"SecretId": "demo/alternating", "Fields": ["username"]}))
    answer = json.loads(stack.command("invoke", "retrieve", str(event)).stdout)
    assert answer["Value"] == {"username": "demo_alternating_clone"}


def test_a_page_shows_the_secrets_without_values(stack: Stack) -> None:
    port = int(stack.document["dashboard"].rstrip("/").rpartition(":")[2])
    password = stack.value("demo/single")["password"]
    response, page = ask(port)
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "demo/single" in page
    assert password not in page
    response, page = ask(port, Host="rebound.example")
    assert response.status == 421
    assert "demo/single" not in page


def test_up_runs_an_engine_without_administrators(folder: Path) -> None:
    for running in _running(folder, "--engine", "memorydb"):
        assert running.document["secrets"].keys() == {"demo/dual"}
        assert running.document["memorydb"]["port"]
        before = running.value("demo/dual")
        assert running.command("rotate", "demo/dual").returncode == 0
        assert running.value("demo/dual")["password"] != before["password"]


@pytest.fixture(scope="module")
def examples() -> dict[str, dict[str, Any]]:
    """Results of commands for each engine that runs on this machine, by strategy."""
    environment = clean_environment()
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.example_secrets", *filter(_runs_here, _targets.names())],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, dict[str, Any]] = {}
    for each in map(json.loads, done.stdout.splitlines()):
        found.setdefault(each["engine"], {})[each["strategy"]] = each
    return found


def _runs_here(engine: str) -> bool:
    return is_here(_targets.server_of(engine))


@pytest.mark.parametrize("engine", _targets.names())
def test_each_example_secret_is_ready_and_healthy(engine: str, examples: dict[str, dict[str, Any]]) -> None:
    """Each secret of `up` is rotated first."""
    if not _runs_here(engine):
        pytest.skip(f"no {engine} here")
    declared = engine_of(load(engine))
    assert declared
    assert examples[engine].keys() == {each.name for each in declared.strategies}
    for each in examples[engine].values():
        assert each["rotate"]["outcome"] == "rotated", each["rotate"]
        assert each["check"]["ready"], each["check"]
        assert each["doctor"]["healthy"], each["doctor"]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -9)]
)
def test_nothing_is_left_however_it_ends(folder: Path, number: signal.Signals, status: int) -> None:
    for running in _running(folder):
        _ends(running, folder, number, status)


def _ends(stack: Stack, place: Path, number: signal.Signals, status: int) -> None:
    stack.process.send_signal(number)
    assert stack.process.wait() == status
    # The watchdog of the server removes its folder, even if the command was killed.
    until(lambda: not list(place.iterdir()))
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(
            host="127.0.0.1", port=stack.document["postgres"]["port"], user="x", password="x", dbname="x"
        )
