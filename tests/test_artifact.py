"""The artifact contains only the files that run, compiled for Lambda, and rotates in its runtime client."""

from __future__ import annotations

import gzip
import json
import os
import re
import struct
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import botocore
import pytest

from inputs import SERVICES_OF
from tests import artifact
from tests.world import World, remembered

pytestmark = pytest.mark.processes

HASHED_AND_UNCHECKED = 0b01
ELF_MACHINES = {"x86_64": 62, "arm64": 183}
NOT_INSIDE = ("moto", "click", "rich", "tests", "docs", "docutils", "pytest", "flask", "werkzeug", "bin")
NOT_INSIDE_OURS = ("audit", "cli", "local", "testing")
WAIT = 300.0


@pytest.fixture(scope="module")
def folder() -> Path:
    return artifact.built()


def run(folder: Path, code: str, environment: dict[str, str] | None = None) -> str:
    """Run code with the artifact's modules, as in Lambda; return its output."""
    done = subprocess.run(
        [artifact.runtime(), "-c", code],
        cwd=folder,
        env={"AWS_REGION": "us-east-1", "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_contains_only_files_that_run(folder: Path) -> None:
    assert not [name for name in NOT_INSIDE if (folder / name).exists()]
    assert not [name for name in NOT_INSIDE_OURS if (folder / "rotators" / name).exists()]
    ours = (artifact.ROOT / "functions").glob("*.py")
    inside = (folder / "functions").glob("*.py")
    assert {path.name for path in inside} == {path.name for path in ours}


def test_the_byte_code_is_complete_and_unchecked(folder: Path) -> None:
    sources = list(folder.rglob("*.py"))
    assert len(sources) > 300
    for source in sources:
        code = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        assert code.exists(), source
        flags = struct.unpack("<I", code.read_bytes()[4:8])[0]
        assert flags == HASHED_AND_UNCHECKED, source


def test_each_rotator_loads_with_its_drivers_library(folder: Path) -> None:
    wanted = ["aurora-mysql", "aurora-postgresql", "mariadb", "mysql", "postgres"]
    printed = run(
        folder,
        "import importlib.metadata as m; found = m.entry_points(group='rotators');"
        f"[found[name].load()() for name in {wanted}];"
        "import psycopg, pymysql, cryptography; print(psycopg.pq.__impl__)",
    )
    assert printed.split() == ["binary"]


def test_the_widget_finds_its_templates(folder: Path) -> None:
    printed = run(
        folder,
        "import datetime as dt; from functions.widget import handler;"
        "from rotators.manage.report import collect; from rotators.manage.widget import shown;"
        "print(shown(collect([], None, dt.datetime.now(dt.UTC)), dark=False))",
    )
    assert "<b>0</b>secrets" in printed


def test_the_trimmed_botocore_makes_every_needed_client(folder: Path) -> None:
    source = (artifact.ROOT / "rotators" / "aws" / "clients.py").read_text(encoding="utf-8")
    called = {*re.findall(r'_shared, "([a-z0-9]+)"', source), "sts"}
    called -= {"cloudformation"}  # for the command only, which does not run in Lambda
    called -= {
        service for services in SERVICES_OF.values() for service in services
    }  # with those drivers only
    assert {"secretsmanager", "rds"} < called
    run(
        folder,
        "from rotators.aws import clients;"
        "clients.secrets_manager(); clients.rds(); clients.logs(); clients.sns();"
        "import os; os.environ['TARGET_ROLE_ARN'] = 'arn:aws:iam::222222222222:role/x';"
        "clients.secrets_manager(); import botocore.session; session = botocore.session.Session();"
        f"[session.create_client(name, region_name='cn-north-1') for name in {sorted(called)}]",
        {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
    )


def test_the_endpoints_of_kept_services_are_unchanged(folder: Path) -> None:
    kept = json.loads((folder / "botocore" / "data" / "endpoints.json").read_text())
    # From the file: other tests of this process may share and complete what botocore has loaded.
    whole = json.loads(Path(botocore.__file__).with_name("data").joinpath("endpoints.json").read_text())
    for ours, theirs in zip(kept["partitions"], whole["partitions"], strict=True):
        assert {"secretsmanager", "sts"} <= ours["services"].keys()
        assert all(theirs["services"][name] == found for name, found in ours["services"].items())
        assert {**ours, "services": None} == {**theirs, "services": None}


def test_the_models_lack_only_descriptions(folder: Path) -> None:
    models = list((folder / "botocore" / "data").glob("*/*/service-2.json.gz"))
    assert {"secretsmanager", "sts"} <= {path.parts[-3] for path in models}
    for path in models:
        kept = gzip.decompress(path.read_bytes())
        whole = Path(botocore.__file__).with_name("data").joinpath(*path.parts[-3:])
        assert b'"documentation":"' not in kept
        assert lacks_only_descriptions(json.loads(kept), json.loads(gzip.decompress(whole.read_bytes()))), (
            path
        )


def lacks_only_descriptions(kept: Any, whole: Any) -> bool:
    """True if two values of JSON are equal, except for texts with the name ``documentation``."""
    if isinstance(kept, dict):
        missing = {name: whole[name] for name in whole if name not in kept}
        return all(
            name == "documentation" and isinstance(text, str) for name, text in missing.items()
        ) and all(lacks_only_descriptions(value, whole[name]) for name, value in kept.items())
    if isinstance(kept, list):
        return all(lacks_only_descriptions(*pair) for pair in zip(kept, whole, strict=True))
    return bool(kept == whole)


@pytest.mark.parametrize("architecture", ELF_MACHINES)
def test_its_libraries_are_of_the_processor(architecture: str) -> None:
    folder = artifact.built(architecture, plain=architecture != "x86_64")  # other tests build x86_64
    libraries = [path for path in folder.rglob("*") if ".so" in path.suffixes]
    assert len(libraries) > 10
    for path in libraries:
        machine = struct.unpack("<H", path.read_bytes()[18:20])[0]
        assert machine == ELF_MACHINES[architecture], path


@pytest.fixture
def artifact_runs(world: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Register the artifact's functions in the local AWS; return the name of the rotate function."""
    monkeypatch.setenv("RUNTIME_PYTHON", artifact.runtime())
    world.aws.register("built", "functions.rotate.handler", code=str(folder))
    return "built"


@pytest.mark.parametrize("strategy", ["single", "alternating"])
def test_a_rotation_runs_in_lambdas_runtime_client(world: World, artifact_runs: str, strategy: str) -> None:
    value = world.user()
    if strategy == "alternating":
        value["masterarn"] = world.admin_secret()
    arn = world.secret(value)
    token = str(uuid.uuid4())
    before = len(world.aws.logs(artifact_runs))
    world.secrets.rotate_secret(
        SecretId=arn, ClientRequestToken=token, RotationLambdaARN=world.aws.function_arn(artifact_runs)
    )
    outcome = world.aws.wait_for_rotation(arn, token, WAIT)
    assert outcome.ok, (outcome, world.aws.logs(artifact_runs)[before:])
    rotated = world.value(arn)
    assert rotated["password"] != value["password"]
    assert world.logs_in(rotated)
    lines = [line for line in world.aws.logs(artifact_runs)[before:].splitlines() if line.startswith("{")]
    told = [json.loads(line) for line in lines]
    assert [line["step"] for line in told if "outcome" in line] == [
        "createSecret",
        "setSecret",
        "testSecret",
        "finishSecret",
    ]
    assert sum("Rotated" in line for line in told) == 1


def test_steps_without_target_import_no_driver(world: World, folder: Path) -> None:
    """This is about createSecret; finishSecret in a new container tests the value and needs the driver."""
    arn = world.secret(world.user())
    token = world.begin(arn)
    event = {"Step": "createSecret", "SecretId": arn, "ClientRequestToken": token, "RotationToken": token}
    printed = run(
        folder,
        f"import json, sys; from functions.rotate import handler; handler(json.loads({json.dumps(event)!r}));"
        "unused = {'psycopg', 'pymysql', 'cryptography', 'boto3', 'pydantic', 'jinja2'};"
        "print(sorted(unused & set(sys.modules)))",
        {**os.environ, **world.aws.exports()},
    )
    assert printed.splitlines()[-1] == "[]"
    remembered(world.value(arn, "AWSCURRENT")["password"])


@pytest.mark.parametrize(("name", "driver"), [("postgres", "psycopg"), ("mysql", "pymysql")])
def test_a_missing_driver_fails_before_storing_a_value(
    world: World, folder: Path, tmp_path: Path, name: str, driver: str
) -> None:
    for path in folder.iterdir():
        if path.name != driver:
            (tmp_path / path.name).symlink_to(path)
    value = {**world.user(), "engine": name}
    arn = world.secret(value)
    token = world.begin(arn)
    event = {"Step": "createSecret", "SecretId": arn, "ClientRequestToken": token}
    code = (
        "import json; from functions.rotate import handler\n"
        f"try: handler(json.loads({json.dumps(event)!r}))\n"
        "except Exception as error: print(type(error).__name__)"
    )
    printed = run(tmp_path, code, {**os.environ, **world.aws.exports()})
    assert printed.splitlines()[-1] == "BrokenRotator"
    assert driver in printed
    with pytest.raises(world.secrets.exceptions.ResourceNotFoundException):
        world.secrets.get_secret_value(SecretId=arn, VersionId=token)


def invoke(world: World, name: str, event: Any) -> tuple[bool, Any]:
    """Invoke a function. Return True if it failed, and its answer."""
    answer = world.aws.client("lambda").invoke(FunctionName=f"rotators-{name}", Payload=json.dumps(event))
    return "FunctionError" in answer, json.loads(answer["Payload"].read())


def test_a_missing_handler_is_a_start_error(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_PYTHON", artifact.runtime())
    world.aws.register("missing", "functions.nothing.handler", code=str(folder))
    failed, answer = invoke(world, "missing", {})
    assert failed
    assert answer["errorType"] == "Runtime.ImportModuleError"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("import time; time.sleep(30)", "Sandbox.Timedout"),
        ("import os; os._exit(3)", "Runtime.ExitError"),
        ("raise LookupError('no')", "LookupError"),
    ],
)
def test_a_failed_container_is_reported_and_replaced(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, kind: str
) -> None:
    monkeypatch.setenv("RUNTIME_PYTHON", artifact.runtime())
    code = f"def handler(event, context):\n    if event:\n        {body}\n    print('said')\n    return 1\n"
    (tmp_path / "bad.py").write_text(code, encoding="utf-8")
    name = kind.replace(".", "-")
    world.aws.register(name, "bad.handler", code=str(tmp_path))
    world.aws.client("lambda").update_function_configuration(FunctionName=f"rotators-{name}", Timeout=1)
    failed, answer = invoke(world, name, {"go": 1})
    assert (failed, answer["errorType"]) == (True, kind)
    assert invoke(world, name, {}) == (False, 1)
    assert "said\nEND RequestId" in world.aws.logs(name)


def test_it_names_no_folder_of_this_machine(folder: Path) -> None:
    here = os.fsencode(artifact.ROOT)
    named = [path for path in folder.rglob("*") if path.is_file() and here in path.read_bytes()]
    assert not named
    assert not list(folder.glob("*.dist-info/direct_url.json"))
    # The hash of a command depends on the path of the Python that installed it.
    records = [path.read_text(encoding="utf-8") for path in folder.glob("*.dist-info/RECORD")]
    assert records
    assert not [record for record in records if "../bin/" in record]


def test_every_user_may_read_it(folder: Path) -> None:
    for path in folder.rglob("*"):
        assert path.stat().st_mode & 0o777 in ({0o755} if path.is_dir() else {0o644, 0o755}), path


def test_a_missing_lambda_python_stops_the_build(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(artifact.ROOT / "artifact" / "build.py"), str(tmp_path / "out")],
        env={"PATH": os.environ["PATH"], "LAMBDA_PYTHON": str(tmp_path / "python")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "LAMBDA_PYTHON" in done.stderr
    assert not (tmp_path / "out").exists()
