"""`rotators new`: its package passes the kit without changes, and rotates in `rotators up` when installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner

from rotators.cli import cli
from rotators.cli.errors import ScaffoldRefused
from rotators.cli.new import EXAMPLE
from tests.cli.test_demo_up import RUN, clean_environment
from tests.waiting import until
from tests.world import remembered

pytestmark = pytest.mark.processes

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial" / "writing-a-rotator.md").read_text()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scaffolded package, installed by pip into the folder ``site`` next to it."""
    folder = tmp_path_factory.mktemp("new") / "widget-keys"
    made = CliRunner().invoke(cli, ["new", "widget-keys", "--directory", str(folder)])
    assert made.exit_code == 0, made.output
    assert "Next:" in made.output
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--target", str(folder.parent / "site"), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 and not os.environ.get("CI"):
        pytest.skip(f"pip could not build a package here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def environment(package: Path) -> dict[str, str]:
    return clean_environment(PYTHONPATH=str(package.parent / "site"))


def test_the_package_passes_its_tests_as_generated(package: Path, environment: dict[str, str]) -> None:
    # Only a few points, because all of them take minutes; and no time limit, because a machine can be busy.
    (package / "conftest.py").write_text(
        "import math\n"
        "from rotators.testing._crash import Plan\n"
        "from rotators.testing._crashes import RotatorCrashesV1\n"
        "from rotators.testing._suite import Suite\n"
        "Suite.timeout = math.inf\n"
        "RotatorCrashesV1.plan = Plan(every=61)\n"
    )
    # With the usual folder, pytest would close the folder of this run to the servers of other users.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", f"--basetemp={package.parent / 'temporary'}"],
        cwd=package,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


@pytest.fixture
def service(package: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[Path]:
    """The package's service in a separate process. Yields the file with the secret's first value."""
    file = tmp_path / "secret.json"
    command = [sys.executable, "-m", "widget_keys.service", str(file)]
    with subprocess.Popen(
        command, env=environment, cwd=package, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert "listens" in running.stdout.readline()
        yield file
        running.kill()


@pytest.fixture
def stack(environment: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Run `rotators up --json`; the document that it prints."""
    command = [*RUN, "up", "--port", "0", "--json"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        text = ""
        for line in running.stdout:
            text += line
            if line == "}\n":
                break
        yield json.loads(text)
        running.send_signal(signal.SIGTERM)


def accepted(value: dict[str, Any]) -> bool:
    connection = HTTPConnection(value["host"], value["port"])
    headers = {"X-User": value["username"], "Authorization": f"Bearer {value['api_key']}"}
    connection.request("GET", "/whoami", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status == 200


def _is_current(client: Any, version: str) -> bool:
    stages = client.describe_secret(SecretId="widgets")["VersionIdsToStages"]
    return "AWSCURRENT" in stages.get(version, [])


def test_the_installed_package_rotates_in_the_local_stack(service: Path, stack: dict[str, Any]) -> None:
    exports = stack["exports"]
    client: Any = boto3.client(
        "secretsmanager",
        endpoint_url=stack["endpoint"],
        region_name=exports["AWS_DEFAULT_REGION"],
        aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
    )
    values = [json.loads(service.read_text())]
    client.create_secret(Name="widgets", SecretString=service.read_text())
    for number in range(2):
        first = {"RotationLambdaARN": stack["functions"]["rotate"]} if number == 0 else {}
        token = client.rotate_secret(
            SecretId="widgets", RotationRules={"AutomaticallyAfterDays": 30}, **first
        )["VersionId"]
        until(partial(_is_current, client, token))
        values.append(json.loads(client.get_secret_value(SecretId="widgets")["SecretString"]))
        assert accepted(values[-1])
        assert accepted(values[-2]), "the previous key must work until the next rotation"
    client.close()
    assert not accepted(values[0]), "the oldest key must be refused after the second rotation"
    for value in values:
        remembered(value["api_key"])


@pytest.mark.parametrize("name", ["Acme", "acme_keys", "-x", "a--b", "1st", "", "a/../b"])
def test_an_illegal_name_is_refused_without_writing(name: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["new", "--directory", str(tmp_path / "x"), "--", name])
    assert isinstance(result.exception, ScaffoldRefused)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_installed_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["new", "postgres", "--directory", str(tmp_path / "x")])
    assert isinstance(result.exception, ScaffoldRefused)


@pytest.mark.parametrize("name", ["class", "json", "rotators", "tests", "boto3"])
def test_a_name_of_a_python_module_is_refused(name: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["new", name, "--directory", str(tmp_path / "x")])
    assert isinstance(result.exception, ScaffoldRefused)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    result = CliRunner().invoke(cli, ["new", "acme-keys", "--directory", str(tmp_path)])
    assert isinstance(result.exception, ScaffoldRefused)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize("file", ["acme_keys/rotator.py", "acme_keys/target.py", "tests/test_acme_keys.py"])
def test_the_page_shows_the_code_that_is_scaffolded(file: str) -> None:
    assert (EXAMPLE / file).read_text().strip() in PAGE
