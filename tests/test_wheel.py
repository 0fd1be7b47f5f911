"""The built wheel works with each extra in an otherwise empty environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import extras
from rotators.engines.mysql.hashes import native_password
from rotators.testing import _targets
from tests import artifact
from tests.audit.trail import read, save
from tests.client.conftest import RedisWorld
from tests.ldap.conftest import LdapWorld
from tests.libraries import EXTRAS, modules_of
from tests.mongodb.conftest import MongoWorld
from tests.receipts.chains import Key, chain, receipt
from tests.world import World, new_password, remembered, small_server, started, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.local.aws import LocalAws
    from rotators.local.servers.ldap import LdapServer
    from rotators.local.servers.mariadb import MariaDbServer
    from rotators.local.servers.mongodb import MongoServer
    from rotators.local.servers.redis import RedisServer

pytestmark = pytest.mark.processes

UV = artifact.ROOT / ".venv-uv" / "bin" / "uv"

BOTO3 = {"boto3", "botocore", "jmespath", "python-dateutil", "rotators", "s3transfer", "six", "urllib3"}

BASE = ("aws", "cache", "core", "logins", "manage", "recovery", "strategies")
ALWAYS = tuple(f"rotators.{name}." for name in BASE)
"""Packages that need only boto3, except for OF_SEALED."""

OF_SEALED = "rotators.aws.envelope"
"""The module that needs the extra `sealed`."""

BYTE_CODE = "PYTHONPYCACHEPREFIX"
"""The variable that names a folder for the byte code."""

OF_LOCAL = tuple(f"rotators.{name}" for name in ("cli", "local", "testing"))
"""Packages that need the extra `local`."""

OF_USERS = {"django", "psycopg_pool", "pytest", "sqlalchemy"}
"""Libraries that no extra installs. Users of an integration or of the conformance kit install them."""

WITH_EXTRA = pytest.mark.parametrize(
    "python", ["", *EXTRAS], indirect=True, ids=lambda extra: extra or "none"
)

OF_ENGINES = [extra for extra in extras.drivers() if extra in _targets.names()]
"""Extras with the driver of the engine of the same name."""

MISSING = """
import importlib, pkgutil, rotators
for found in pkgutil.walk_packages(rotators.__path__, "rotators."):
    try:
        found.name.endswith(".__main__") or importlib.import_module(found.name)
    except ModuleNotFoundError as error:
        print(found.name, error.name)
"""


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command outside the checkout, so that it cannot import the checkout instead of the wheel."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON") or name == BYTE_CODE
    }
    return subprocess.run(command, cwd="/", env=kept, check=False, capture_output=True, text=True)


def printed(python: Path, code: str, *arguments: str) -> str:
    """Run code and return its output."""
    done = run(python, "-c", code, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, as in a release."""
    artifact.install_tools()
    folder = tmp_path_factory.mktemp("wheel")
    builder = artifact.ROOT / ".venv-build" / "bin" / "python"
    command: list[str | Path] = [
        builder,
        "-m",
        "hatchling",
        "build",
        "--target",
        "wheel",
        "--directory",
        folder,
    ]
    subprocess.run(command, cwd=artifact.ROOT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the environments. Skips if no index can be reached, and fails in CI."""
    artifact.install_tools()
    folder = tmp_path_factory.mktemp("environments")
    probe = run(UV, "pip", "install", "--dry-run", "--no-deps", "--no-cache", "--target", folder, "six")
    if probe.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no package index: {probe.stderr.strip()}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(BYTE_CODE, str(folder / "byte-code"))
        yield folder


@pytest.fixture(scope="module")
def python(request: pytest.FixtureRequest, wheel: Path, environments: Path) -> Path:
    """The interpreter of an environment with the wheel and the extra that the parameter names.

    All environments have the same path, so that they share the byte code of the same libraries.
    """
    folder = environments / (request.param or "none")
    interpreter = folder / "bin" / "python"
    if not interpreter.exists():
        # The same versions as in all other tests.
        versions = artifact.ROOT / "locks" / "dev.txt"
        wanted = f"rotators[{request.param}] @ {wheel.as_uri()}"
        for command in (
            (UV, "venv", "--no-project", "--python", sys.executable, folder),
            (UV, "pip", "install", "--python", interpreter, "--constraint", versions, wanted),
        ):
            done = run(*command)
            assert done.returncode == 0, done.stderr
    current = environments / "current"
    current.unlink(missing_ok=True)
    current.symlink_to(folder)
    return current / "bin" / "python"


@pytest.fixture
def extra(python: Path) -> str:
    """The extra that is installed in the environment."""
    name = python.parent.parent.readlink().name
    return "" if name == "none" else name


def test_it_has_no_other_package_at_its_top(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"rotators"}


@WITH_EXTRA
def test_every_module_of_an_extra_can_be_imported(python: Path, extra: str) -> None:
    missing = dict(line.split() for line in printed(python, MISSING).splitlines())
    assert not {name: library for name, library in missing.items() if not may_lack(name, library, extra)}


def may_lack(module: str, library: str, extra: str) -> bool:
    """Return True if a module may lack a library: the extras that provide it are not installed."""
    if library in OF_USERS:
        return True
    if module.startswith(OF_LOCAL):
        return extra != "local"
    providers = {name for name in EXTRAS if library.partition(".")[0] in modules_of(name)}
    needs_boto3_only = module.startswith(ALWAYS) and module != OF_SEALED
    return not needs_boto3_only and extra not in providers


@pytest.mark.parametrize("python", [""], indirect=True)
def test_without_extras_only_boto3_is_installed(python: Path) -> None:
    code = "from importlib.metadata import distributions; print(*{found.name for found in distributions()})"
    assert set(printed(python, code).split()) == BOTO3


@pytest.mark.parametrize("python", [""], indirect=True)
def test_without_extras_the_command_names_its_extra(python: Path) -> None:
    done = run(python.with_name("rotators"), "demo")
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'rotators[local]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("python", [""], indirect=True)
def test_without_extras_the_client_reads_a_secret(python: Path, world: World) -> None:
    value = world.user()
    code = (
        "import sys; from rotators.client import SecretCache;"
        "print(SecretCache().get_secret_json(sys.argv[1], 'username'))"
    )
    assert printed(python, code, world.secret(value)) == value["username"]


@pytest.mark.parametrize("python", ["postgres"], indirect=True)
def test_with_postgres_the_client_logs_in(python: Path, world: World) -> None:
    value = world.user()
    code = (
        "import sys, psycopg; from rotators.client import Credentials\n"
        "with Credentials(sys.argv[1]).connect(psycopg.connect) as connection:\n"
        "    print(connection.execute('SELECT session_user').fetchone()[0])"
    )
    assert printed(python, code, world.secret(value)) == value["username"]


@pytest.mark.parametrize("python", ["mysql"], indirect=True)
def test_with_mysql_the_client_logs_in(python: Path, aws: LocalAws, maria: MariaDbServer) -> None:
    name, password = unique("app"), new_password()
    maria.execute(
        f"CREATE USER '{name}' IDENTIFIED VIA mysql_native_password USING '{native_password(password)}'"
    )
    created = aws.client("secretsmanager").create_secret(
        Name=unique("secret"), SecretString=json.dumps(maria.secret(name, password))
    )
    code = (
        "import sys, pymysql; from rotators.client import Credentials\n"
        "with Credentials(sys.argv[1]).connect(pymysql.connect) as connection:\n"
        "    print(connection.user.decode())"
    )
    assert printed(python, code, created["ARN"]) == name


@pytest.mark.parametrize("python", ["redis"], indirect=True)
def test_with_redis_the_client_logs_in(python: Path, aws: LocalAws, redis_server: RedisServer) -> None:
    world = RedisWorld(aws, redis_server)
    value = world.account()
    code = (
        "import sys, redis; from rotators.client import Credentials\n"
        "with Credentials(sys.argv[1]).connect(redis.Redis, decode_responses=True) as client:\n"
        "    print(client.acl_whoami())"
    )
    assert printed(python, code, world.secret(value)) == value["username"]


@pytest.mark.parametrize("python", ["ldap"], indirect=True)
def test_with_ldap_the_client_logs_in(python: Path, aws: LocalAws, ldap_server: LdapServer) -> None:
    world = LdapWorld(aws, ldap_server)
    value = world.entry()
    code = (
        "import sys, ldap3; from rotators.client import Credentials\n"
        "with Credentials(sys.argv[1]).connect(ldap3.Connection) as connection:\n"
        "    print(connection.extend.standard.who_am_i())"
    )
    assert printed(python, code, world.secret(value)) == f"dn:{value['username']}"


@pytest.mark.parametrize("python", ["mongodb"], indirect=True)
def test_with_mongodb_the_client_logs_in(python: Path, aws: LocalAws, mongodb: MongoServer) -> None:
    world = MongoWorld(aws, mongodb)
    value = world.account()
    code = (
        "import sys, pymongo; from rotators.client import Credentials\n"
        "with Credentials(sys.argv[1]).connect(pymongo.MongoClient) as client:\n"
        "    status = client.admin.command('connectionStatus')\n"
        "    print(status['authInfo']['authenticatedUsers'][0]['user'])"
    )
    assert printed(python, code, world.secret(value)) == value["username"]


@pytest.mark.parametrize("python", OF_ENGINES, indirect=True)
def test_with_its_extra_an_engine_logs_in(python: Path, extra: str, aws: LocalAws) -> None:
    with started(small_server(extra)) as server, closing(_targets.target_on(extra, server)) as users:
        value = users.create()
        remembered(value["password"])
        created = aws.client("secretsmanager").create_secret(
            Name=unique("secret"), SecretString=json.dumps(value)
        )
        code = (
            "import sys; from rotators.client import Credentials; from rotators.core.registry import load\n"
            "from rotators.core.secret import Secret; from rotators.core.settings import Settings\n"
            "from rotators.strategies.rotator import engine_of\n"
            "value = Secret(Credentials(sys.argv[1]).secret())\n"
            "with engine_of(load(sys.argv[2])).login(value, Settings()):\n"
            "    print('logged in')"
        )
        assert printed(python, code, created["ARN"], extra) == "logged in"


@pytest.mark.parametrize("python", ["sealed"], indirect=True)
def test_with_sealed_a_sealed_value_is_read(
    python: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALING_KEYS", world.aws.client("kms").create_key()["KeyMetadata"]["Arn"])
    name, user = unique("secret"), unique("app")
    code = (
        "import boto3, json, sys; from rotators.aws import sealing; from rotators.client import SecretCache\n"
        "_, name, user = sys.argv\n"
        "text = sealing.stored(name, json.dumps({'username': user}))\n"
        "boto3.client('secretsmanager').create_secret(Name=name, SecretString=text)\n"
        "print(SecretCache().get_secret_json(name, 'username'))"
    )
    assert printed(python, code, name, user) == user
    assert user not in world.secrets.get_secret_value(SecretId=name)["SecretString"]


@pytest.mark.parametrize("python", ["audit,local,receipts"], indirect=True)
def test_with_audit_a_question_is_answered(python: Path, tmp_path: Path) -> None:
    log = save(tmp_path / "log.json", read("app"), read("app"))
    done = run(python.with_name("rotators"), "audit", "who", "app", log, "--json")
    assert done.returncode == 0, done.stderr
    assert [each["reads"] for each in json.loads(done.stdout)["rows"]] == [2]


@pytest.mark.parametrize("python", ["audit,local,receipts"], indirect=True)
def test_with_receipts_a_chain_is_verified(python: Path, tmp_path: Path) -> None:
    key = Key()
    (tmp_path / "public.pem").write_bytes(key.pem)
    for file in chain(key, 2):
        path = tmp_path / "receipts" / file.place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
    verify = ("receipt", "verify", tmp_path / "receipts", "--key", tmp_path / "public.pem")
    done = run(python.with_name("rotators"), *verify, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    path.write_bytes(Key().sign(receipt(2, None, None)))
    assert run(python.with_name("rotators"), *verify).returncode == 1


@pytest.mark.parametrize("python", ["receipts"], indirect=True)
def test_with_receipts_python_verifies_a_chain(python: Path, tmp_path: Path) -> None:
    key = Key()
    (file,) = chain(key, 1)
    (tmp_path / "public.pem").write_bytes(key.pem)
    (tmp_path / "receipt").write_bytes(file.data)
    code = (
        "import pathlib, sys; from rotators.receipts.keys import verifier\n"
        "from rotators.receipts.storage import StoredReceipt\n"
        "from rotators.receipts.verification import verified\n"
        "folder, place = pathlib.Path(sys.argv[1]), sys.argv[2]\n"
        "verify = verifier([(folder / 'public.pem').read_bytes()])\n"
        "(found,) = verified([StoredReceipt(place, (folder / 'receipt').read_bytes())], verify, {})\n"
        "print(len(found.receipts), len(found.findings))"
    )
    assert printed(python, code, str(tmp_path), file.place) == "1 0"


@pytest.mark.parametrize("python", ["ed25519"], indirect=True)
def test_with_ed25519_its_keys_are_computed(python: Path) -> None:
    # The example in MariaDB's documentation.
    code = "from rotators.engines.mysql.hashes import ed25519; print(ed25519('secret'))"
    assert printed(python, code) == "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY"


@pytest.mark.parametrize("python", ["handlers"], indirect=True)
def test_with_handlers_a_secret_is_stored(python: Path, world: World) -> None:
    name = unique("secret")
    code = (
        "import sys; from rotators.handlers.store import handler;"
        "handler({'Name': sys.argv[1], 'SecretString': '{}'}, None)"
    )
    printed(python, code, name)
    assert world.secrets.get_secret_value(SecretId=name)["SecretString"] == "{}"


@pytest.mark.parametrize("python", ["lambda"], indirect=True)
def test_with_lambda_a_secret_rotates(python: Path, world: World) -> None:
    arn = world.secret(world.user())
    token = world.begin(arn)
    code = (
        "import sys; from rotators.handlers.rotate import handler\n"
        "for step in 'createSecret', 'setSecret', 'testSecret', 'finishSecret':\n"
        "    handler({'Step': step, 'SecretId': sys.argv[1], 'ClientRequestToken': sys.argv[2]}, None)"
    )
    printed(python, code, arn, token)
    assert "AWSCURRENT" in world.stages(arn)[token]
    assert world.logs_in(world.value(arn))


@pytest.mark.parametrize("python", ["local"], indirect=True)
def test_with_local_the_demo_rotates(python: Path) -> None:
    done = run(python.with_name("rotators"), "demo", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["seconds"] > 0


def test_every_extra_is_exercised() -> None:
    tests = [test for name, test in globals().items() if name.startswith("test_with_")]
    marks = [mark for test in tests for mark in test.pytestmark if mark.name == "parametrize"]
    exercised = {extra for mark in marks for extras in mark.args[1] for extra in extras.split(",")}
    assert EXTRAS.keys() == exercised
