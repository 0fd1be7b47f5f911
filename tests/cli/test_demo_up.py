"""`demo` and `up` as a stranger runs them: as processes of their own, with the real AWS CLI beside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rotators.core.errors import ServerNotFound
from rotators.local.servers.postgres import PostgresServer, find_binaries
from tests.world import remembered

pytestmark = pytest.mark.processes

RUN = [sys.executable, "-m", "rotators.cli"]
AWS = Path(sys.executable).parent / "aws"


@pytest.fixture(autouse=True)
def _needs_postgres() -> None:
    try:
        find_binaries()
    except ServerNotFound as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL here: {error}")


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without the tests' own AWS."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "SECRETS_MANAGER_", "DATABASE_URL"))
    }
    return {**kept, **more}


def test_demo_ends_well_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [*RUN, "demo"],
        env=clean_environment(TMPDIR=str(_open(tmp_path))),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("createSecret", "finishSecret", "refused", "accepted", "AWSCURRENT", "Next:"):
        assert word in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_demo_for_machines_is_one_document() -> None:
    done = subprocess.run(
        [*RUN, "demo", "--json"], env=clean_environment(), capture_output=True, text=True, check=True
    )
    document = json.loads(done.stdout)
    assert [secret["strategy"] for secret in document["secrets"]] == ["single", "alternating"]
    for secret in document["secrets"]:
        assert (secret["old_password"], secret["new_password"]) == ("refused", "accepted")
        assert all(rotation["result"] == "succeeded" for rotation in secret["rotations"])


def test_no_setting_of_the_callers_leads_the_demo_away_from_this_machine() -> None:
    """A proxy would see the passwords; another endpoint or profile would be another account."""
    nowhere = "http://127.0.0.1:9"
    environment = clean_environment(
        HTTP_PROXY=nowhere,
        http_proxy=nowhere,
        AWS_ENDPOINT_URL_SECRETS_MANAGER=nowhere,
        SECRETS_MANAGER_ENDPOINT=nowhere,
        AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true",
        AWS_PROFILE="no-such-profile",
    )
    done = subprocess.run([*RUN, "demo"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "no libpq URL"),
        ("postgresql://user:pa55word-x@localhost:abc/x", "one host and one port"),
        ("postgresql://user:pa55word-x@127.0.0.1:9/x?sslmode=disable", "nothing listens on the port"),
        ("postgresql://localhost/x", "lacks user, password"),
    ],
)
def test_a_database_url_that_cannot_be_used_is_told_without_its_password(url: str, said: str) -> None:
    done = subprocess.run(
        [*RUN, "demo"], env=clean_environment(DATABASE_URL=url), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "Next:" in done.stderr
    assert "Traceback" not in done.stderr
    assert "pa55word" not in done.stdout + done.stderr


def test_a_failure_for_machines_is_json_too() -> None:
    environment = clean_environment(AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_REGION="us-east-1")
    environment |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_MAX_ATTEMPTS": "1"}
    done = subprocess.run(
        [*RUN, "show", "any", "--json"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "service-unavailable/endpoint"


def test_demo_on_a_server_of_ones_own_leaves_it_as_it_was(server: PostgresServer) -> None:
    url = (
        f"postgresql://{server.superuser}:{server.password}@{server.host}:{server.port}/postgres"
        f"?sslmode=verify-full&sslrootcert={server.ca}"
    )
    before = server.execute("SELECT rolname FROM pg_roles ORDER BY 1")
    done = subprocess.run(
        [*RUN, "demo"], env=clean_environment(DATABASE_URL=url), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.password not in done.stdout + done.stderr
    assert server.execute("SELECT rolname FROM pg_roles ORDER BY 1") == before


class Stack:
    """`rotators up` as a process, and what it printed."""

    def __init__(self, place: Path) -> None:
        self.process = subprocess.Popen(
            [*RUN, "up", "--port", "0", "--json"],
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
        """A secret's current value, by the AWS CLI."""
        answer = self.aws("secretsmanager", "get-secret-value", "--secret-id", name)
        value: dict[str, Any] = json.loads(answer["SecretString"])
        remembered(value["password"])
        return value

    def logs_in(self, value: dict[str, Any]) -> bool:
        """Whether a value opens the database."""
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


def _open(path: Path) -> Path:
    """Let the server's own user into a test's directory."""
    for place in (path, *list(path.parents)[:3]):
        if place.owner() == path.owner() and len(place.parts) > 2:
            place.chmod(0o755)
    return path


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    running = Stack(_open(tmp_path))
    with running.process:
        yield running
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGINT)


def test_the_unmodified_aws_cli_rotates_a_password_twice_in_a_row(stack: Stack) -> None:
    if not AWS.exists():
        pytest.skip("the AWS CLI is not installed beside this Python")
    seen = [stack.value("demo/single")]
    for _ in range(2):
        token = stack.aws("secretsmanager", "rotate-secret", "--secret-id", "demo/single")["VersionId"]
        _await_current(stack, token)
        seen.append(stack.value("demo/single"))
    assert len({value["password"] for value in seen}) == 3
    assert [stack.logs_in(value) for value in seen] == [False, False, True]


def _await_current(stack: Stack, token: str) -> None:
    for _ in range(60):
        listed = stack.aws("secretsmanager", "list-secret-version-ids", "--secret-id", "demo/single")
        stages = {version["VersionId"]: version.get("VersionStages", []) for version in listed["Versions"]}
        if "AWSCURRENT" in stages.get(token, []):
            return
    raise AssertionError(stages)


def test_the_other_commands_work_against_it(stack: Stack, tmp_path: Path) -> None:
    assert stack.command("rotate", "demo/alternating").returncode == 0
    assert "AWSCURRENT" in stack.command("show", "demo/alternating").stdout
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"SecretId": "demo/alternating", "Fields": ["username"]}))
    answer = json.loads(stack.command("invoke", "retrieve", str(event)).stdout)
    assert answer["Value"] == {"username": "demo_alternating_clone"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_however_it_ends(stack: Stack, tmp_path: Path, number: signal.Signals) -> None:
    stack.process.send_signal(number)
    status = stack.process.wait(30)
    assert status == (-9 if number is signal.SIGKILL else 0)
    port = stack.document["postgres"]["port"]
    for _ in range(100):
        if not list(tmp_path.iterdir()):
            break
        subprocess.run(["sleep", "0.1"], check=True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(host="127.0.0.1", port=port, user="x", password="x", dbname="postgres")


def test_the_command_says_its_version_and_its_parts() -> None:
    done = subprocess.run([*RUN, "--help"], capture_output=True, text=True, check=True)
    for command in ("demo", "up", "invoke", "rotate", "show"):
        assert command in done.stdout
    assert shutil.which("rotators", path=str(Path(sys.executable).parent))
