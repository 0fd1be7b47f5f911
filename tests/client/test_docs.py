"""The programs in the documentation run unchanged, except for the names of the secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.mysql.conftest import MariaDbWorld
from tests.redis.nodes import cluster
from tests.world import World, unique

if TYPE_CHECKING:
    from rotators.local.servers.mariadb import MariaDbServer
    from rotators.local.servers.redis import RedisServer
    from rotators.local.servers.redshift import RedshiftStandIn

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
PROGRAM = re.compile(r"```python\n(.+?)```", re.DOTALL)


def programs(page: str) -> list[Any]:
    text = (ROOT / page).read_text()
    found = [(text.count("\n", 0, each.start()) + 2, each[1]) for each in PROGRAM.finditer(text)]
    return [pytest.param(program, id=f"{page}:{line}") for line, program in found]


@pytest.fixture(scope="module")
def small_cluster() -> Iterator[RedisServer]:
    """A cluster of one node."""
    with cluster(1) as nodes:
        yield nodes[0]


@pytest.fixture
def secrets(
    world: World,
    maria: MariaDbServer,
    redis_server: RedisServer,
    small_cluster: RedisServer,
    redshift: RedshiftStandIn,
) -> dict[str, str]:
    """Names of the secrets in the documentation, with their names in this run."""
    values = {
        "demo/single": world.user(),
        "prod/app/db": world.user(),
        "prod/app/mysql": MariaDbWorld(world.aws, maria).account(),
        "prod/app/redis": redis_server.secret(),
        "prod/app/cluster": small_cluster.secret(),
        "prod/app/redshift": redshift.secret(),
    }
    values["prod/app/rds"] = {key: values["prod/app/db"][key] for key in ("username", "password")}
    made = {}
    for name, value in values.items():
        made[name] = unique("documented")
        world.secrets.create_secret(Name=made[name], SecretString=json.dumps(value))
    return made


PAGES = ("README.md", "docs/how-to/clients.md", "docs/reference/redshift.md")


@pytest.mark.parametrize("program", [each for page in PAGES for each in programs(page)])
def test_the_program_runs(
    program: str,
    world: World,
    secrets: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for named, name in secrets.items():
        program = program.replace(f'"{named}"', f'"{name}"')
    program = program.replace('"port": 5432', f'"port": {world.server.port}')
    monkeypatch.setenv("SSL_ROOT_CERT", str(world.server.ca))
    space: dict[str, Any] = {"__name__": "documented"}
    exec(compile(program, "documented", "exec"), space)  # noqa: S102 - the test runs the program
    for connection in space.get("kept", []):
        connection.close()
    if "engine" in space:
        space["engine"].dispose()
    assert "Traceback" not in capsys.readouterr().err


def test_the_quick_start_has_five_lines() -> None:
    text = (ROOT / "README.md").read_text()
    first = PROGRAM.search(text)
    assert first
    assert len([line for line in first[1].splitlines() if line]) == 5
