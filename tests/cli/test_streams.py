"""Commands whose streams are not terminals: closed, full, a pipe, another encoding; and Ctrl-C."""

from __future__ import annotations

import importlib
import json
import os
import shlex
import subprocess
import sys

import pytest

from tests.cli.command import command
from tests.world import World, unique

pytestmark = pytest.mark.processes

RUN = [sys.executable, "-m", "rotators"]


@pytest.fixture
def app(world: World) -> str:
    """Create a secret that rotates; return its name."""
    name = unique("cli/streams")
    world.secrets.create_secret(Name=name, SecretString=json.dumps(world.user()))
    world.aws.enable_rotation(name)
    return name


def shell(line: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash that calls `rotators`; the status is that of the whole pipe."""
    script = f'set -o pipefail; rotators() {{ {shlex.join(RUN)} "$@"; }}; {line}'
    environment = {**os.environ, **changes}
    environment.pop("PYTHONUNBUFFERED", None)  # with it, each write fails at once, and none at the end
    return subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "line",
    [
        "rotators show {app} | head -0",
        "rotators show {app} --json | head -0",
        "rotators show {app} >&-",
        "rotators show {app} >/dev/full",
        "rotators show {app} --json >/dev/full",
        "rotators show nothing-of-this-name 2>&-",
        "rotators tag {app} --set a=b --yes --json >/dev/full",
        "rotators import missing.json --json >/dev/full",
        "rotators export {app} >&-",
        "rotators list - <&-",
        "rotators import - <&-",
        "rotators invoke retrieve - <&-",
        r"printf '\xff\n' | PYTHONIOENCODING=utf-8 rotators list -",
    ],
)
def test_a_closed_output_causes_no_traceback(app: str, line: str) -> None:
    done = shell(line.replace("{app}", app))
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert done.returncode in {0, 1}


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_changes_are_reported_without_an_output(app: str, unbuffered: str) -> None:
    done = shell(f"PYTHONUNBUFFERED={unbuffered} rotators tag {app} --set a=b --yes --json >/dev/full")
    assert done.returncode == 1
    assert "1 of 1 change made. Next:" in done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_named(app: str) -> None:
    done = shell(f"rotators show {app} >/dev/full")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Next:" in done.stderr


def test_a_terminal_that_lacks_our_characters_gets_escapes(app: str) -> None:
    done = shell(f"rotators show {app}", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "AWSCURRENT" in done.stdout


def test_an_event_can_be_piped_in(app: str) -> None:
    event = shlex.quote(json.dumps({"SecretId": app, "Fields": ["username"]}))
    done = shell(f"echo {event} | rotators invoke retrieve -")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Value"].keys() == {"username"}


@pytest.mark.parametrize(
    "words", ["list no-secret", "access matrix no-secret", "policy check no-file", "audit who x no-folder"]
)
@pytest.mark.parametrize("form", ["--json", "-o json", "--output=json", "-ojson"])
@pytest.mark.usefixtures("world")
def test_an_error_has_the_form_of_output(words: str, form: str) -> None:
    done = command(*words.split(), *form.split())
    assert done.status == 1
    assert json.loads(done.stdout)["error"]["code"]
    assert done.stderr.startswith("rotators: ")


@pytest.mark.usefixtures("world")
def test_a_file_named_json_is_not_a_form() -> None:
    done = command("report", "no-secret", "-o", "json")
    assert (done.status, done.stdout) == (1, "")


def test_an_interrupted_command_reports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    module = importlib.import_module("rotators.cli.rotate")  # the package's name is the command
    monkeypatch.setattr(module, "read_secret", interrupted)
    done = command("rotate", "app")
    assert done.status == 1
    assert done.stderr.strip().startswith("rotators: [interrupted] a signal ended the command. Next:")
