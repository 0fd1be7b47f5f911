"""Throttling, failures, secrets that may not be read, and interruptions: no answer that looks complete."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rotators.aws import clients
from rotators.cli.signals import handled
from rotators.manage.errors import FormatUnsuited
from tests.cli.command import command
from tests.manage.conftest import Fleet, run
from tests.manage.pages import Pages

pytestmark = pytest.mark.usefixtures("aws")

THROTTLED = "ThrottlingException"
LISTINGS = [
    ("list", "-o", "names"),
    ("list", "-o", "csv"),
    ("list", "-o", "json"),
    ("list", "-o", "table"),
    ("policy", "check", "--preset", "cis"),
    ("policy", "check", "--preset", "cis", "-o", "json"),
    ("policy", "check", "--preset", "cis", "-o", "sarif"),
    ("policy", "check", "--preset", "cis", "-o", "junit"),
    ("report", "-o", "page.html"),
    ("tag", "--all", "--set", "env=prod", "--yes"),
    ("export", "--all"),
]


def test_a_throttled_page_is_asked_for_again() -> None:
    with Pages(300, {1: [THROTTLED]}).serving() as pages:
        done = command("list", "-o", "names")
    assert (done.status, len(set(done.stdout.split())), pages.served) == (0, 300, 3)


@pytest.mark.parametrize("code", [THROTTLED, "InternalServiceError", "AccessDeniedException"])
@pytest.mark.parametrize("words", LISTINGS, ids=" ".join)
def test_a_failed_page_fails_the_command(
    words: tuple[str, ...], code: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.chdir(tmp_path)
    with Pages(300, {2: [code]}).serving():
        done = command(*words)
    assert done.status == 1
    assert f"after the first 200 failed with {code}" in done.stderr
    assert "Next: " not in done.stdout
    assert list(tmp_path.iterdir()) == []
    if words[-1] in {"json", "sarif"}:
        with pytest.raises(json.JSONDecodeError):
            json.loads(done.stdout)


@pytest.fixture
def refused(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """Three secrets, two of which the caller may neither describe nor read."""
    for name in ("app", "secret-a", "secret-b"):
        fleet.add(name, {"engine": "postgres"})
    closed = [f"arn:aws:secretsmanager:*:*:secret:{fleet.prefix}secret-*"]
    actions = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    allowed = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    fleet.aws.watch({"reader": [allowed, {"Effect": "Deny", "Action": actions, "Resource": closed}]})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local-reader")
    clients._client.cache_clear()  # a client keeps its credentials
    yield fleet
    clients._client.cache_clear()
    fleet.aws.watch(None)


@pytest.mark.parametrize("output", ["names", "csv", "json", "table"])
def test_secrets_that_may_not_be_read_are_listed(refused: Fleet, output: str) -> None:
    names = [f"{refused.prefix}{name}" for name in ("app", "secret-a", "secret-b")]
    done = command("list", *names, "-o", output)
    assert (done.status, names[0] in done.stdout) == (1, True)
    assert all(name in done.text for name in names[1:])
    assert done.text.count("access-denied") == 2


@pytest.mark.parametrize("output", ["names", "csv", "json", "table"])
def test_secrets_of_unknown_engine_are_listed(fleet: Fleet, output: str) -> None:
    good = fleet.add("app", {"engine": "postgres"})
    empty = f"{fleet.prefix}empty"
    fleet.secrets.create_secret(Name=empty)
    done = command("list", "--name", fleet.prefix, "--engine", "postgres", "-o", output)
    assert (done.status, good in done.stdout, empty in done.text) == (1, True, True)
    assert "secret-not-found/version" in done.text


@pytest.mark.parametrize(
    "words",
    [
        ("tag", "--set", "env=prod", "--yes"),
        ("delete", "--yes"),
        ("export",),
        ("report", "-o", "page.html"),
        ("replicate", "--to", "eu-west-1", "--yes"),
    ],
    ids=lambda words: words[0],
)
def test_nothing_happens_without_all_selected_secrets(
    refused: Fleet, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"{refused.prefix}{name}" for name in ("app", "secret-a", "secret-b")]
    done = command(words[0], *names, *words[1:])
    assert (done.status, done.stdout) == (1, "")
    assert "secrets-unreadable" in done.stderr
    assert all(name in done.stderr for name in names[1:])
    described = refused.secrets.describe_secret(SecretId=names[0])
    assert not described.get("Tags")
    assert "DeletedDate" not in described
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("list", "-o", "names"),
        ("tag", "--set", "a=b"),
        ("schedule", "--off"),
        ("replicate", "--to", "eu-west-1"),
        ("unreplicate", "--from", "eu-west-1"),
        ("delete",),
        ("restore",),
        ("export",),
        ("report", "-o", "page.html"),
    ],
    ids=" ".join,
)
def test_a_selector_that_matches_nothing_fails(fleet: Fleet, words: tuple[str, ...]) -> None:
    done = command(words[0], "--name", fleet.prefix, *words[1:])
    assert (done.status, done.stdout) == (1, "")
    assert "no secret meets the conditions" in done.stderr


@pytest.fixture
def five(fleet: Fleet) -> Fleet:
    for number in range(5):
        fleet.add(str(number))
    return fleet


def tagged(fleet: Fleet) -> int:
    return len(fleet.listed("--tag", "env=prod"))


def test_ctrl_c_leaves_a_change_to_be_resumed(five: Fleet) -> None:
    calls: list[object] = []

    def press(**_: object) -> None:
        calls.append(0)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)

    events = clients.secrets_lister().meta.events
    events.register("before-call.secretsmanager.TagResource", press)
    try:
        # A shell starts processes in the background with the signal ignored.
        with handled((signal.SIGINT,), signal.default_int_handler):
            done = command("tag", "--name", five.prefix, "--set", "env=prod", "--yes")
    finally:
        events.unregister("before-call.secretsmanager.TagResource", press)
    assert (done.status, tagged(five)) == (1, 2)
    assert "2 of 5 changes made" in done.stdout
    assert "repeat the command" in done.stdout
    resumed(five, done=2)


def resumed(fleet: Fleet, *, done: int) -> None:
    """Repeat the command; it makes and prints the remaining changes."""
    plan = command("tag", "--name", fleet.prefix, "--set", "env=prod")
    assert f"{5 - done} changes, 5 secrets selected. {done} of them need no change." in plan.stdout
    assert fleet.document("tag", "--set", "env=prod")["unchanged"] == done
    assert command("tag", "--name", fleet.prefix, "--set", "env=prod", "--yes").status == 0
    assert tagged(fleet) == 5


KILLED = """
import os, signal, sys
from rotators.aws import clients
from rotators.cli import main

calls = []

def kill(**_):
    calls.append(0)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

clients.secrets_lister().meta.events.register("before-call.secretsmanager.TagResource", kill)
main(sys.argv[1:])
"""


def test_a_killed_change_is_resumed(five: Fleet) -> None:
    words = ["tag", "--name", five.prefix, "--set", "env=prod", "--yes"]
    done = subprocess.run([sys.executable, "-c", KILLED, *words], capture_output=True, check=False)
    assert (done.returncode, tagged(five)) == (-signal.SIGKILL, 2)
    resumed(five, done=2)


@pytest.fixture
def far(fleet: Fleet) -> str:
    """The ARN of a secret of another Region."""
    other = fleet.aws.client("secretsmanager", region="eu-west-1")
    value = json.dumps({"engine": "postgres", "port": 1})
    return str(other.create_secret(Name=f"{fleet.prefix}far", SecretString=value)["ARN"])


def test_secrets_of_other_regions_are_exported(fleet: Fleet, far: str) -> None:
    fleet.add("near", {"port": 2})
    done = command("export", far, f"{fleet.prefix}near")
    assert json.loads(done.stdout) == {
        f"{fleet.prefix}far": {"engine": "postgres", "port": 1},
        f"{fleet.prefix}near": {"port": 2},
    }


def test_secrets_of_other_regions_have_engines(fleet: Fleet, far: str) -> None:
    done = command("list", far, "--engine", "postgres", "-o", "names")
    assert (done.status, done.stdout) == (0, f"{fleet.prefix}far\n")


def test_a_key_of_another_region_is_found(fleet: Fleet) -> None:
    key = fleet.aws.client("kms", region="eu-west-1").create_key()["KeyMetadata"]["Arn"]
    other = fleet.aws.client("secretsmanager", region="eu-west-1")
    arn = other.create_secret(Name=f"{fleet.prefix}far", SecretString="x", KmsKeyId=key)["ARN"]
    done = command("list", arn, "--key", key, "-o", "names")
    assert (done.status, done.stdout) == (0, f"{fleet.prefix}far\n")


def test_an_import_reaches_another_region(fleet: Fleet, far: str, tmp_path: Path) -> None:
    file = tmp_path / "app.env"
    file.write_text("PORT=3\n")
    words = ("import", str(file), "--format", "dotenv", "--overwrite", "--yes", "--to")
    assert command(*words, far).status == 0
    stored = fleet.aws.client("secretsmanager", region="eu-west-1").get_secret_value(SecretId=far)
    assert json.loads(stored["SecretString"]) == {"PORT": "3"}
    missing = command(*words, far.replace("far", "none"))
    assert missing.status == 1
    assert "secret-not-found" in missing.stderr


def test_one_name_of_two_regions_is_refused(fleet: Fleet, far: str) -> None:
    near = fleet.add("far")
    assert isinstance(run("export", far, near).exception, FormatUnsuited)
