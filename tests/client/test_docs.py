"""The programs in the documents run as they stand there, but for the names of the secrets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.mysql.conftest import MariaDbWorld
from tests.world import World, unique

if TYPE_CHECKING:
    from rotators.local.servers.mariadb import MariaDbServer
    from rotators.local.servers.redis import RedisServer

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
PROGRAM = re.compile(r"```python\n(.+?)```", re.DOTALL)


def programs(page: str) -> list[Any]:
    text = (ROOT / page).read_text()
    found = [(text.count("\n", 0, each.start()) + 2, each[1]) for each in PROGRAM.finditer(text)]
    return [pytest.param(program, id=f"{page}:{line}") for line, program in found]


@pytest.fixture
def secrets(world: World, maria: MariaDbServer, redis_server: RedisServer) -> dict[str, str]:
    """What the documents call the secrets, and what they are here."""
    values = {
        "demo/single": world.user(),
        "prod/app/db": world.user(),
        "prod/app/mysql": MariaDbWorld(world.aws, maria).account(),
        "prod/app/redis": redis_server.secret(),
    }
    values["prod/app/rds"] = {key: values["prod/app/db"][key] for key in ("username", "password")}
    made = {}
    for name, value in values.items():
        made[name] = unique("documented")
        world.secrets.create_secret(Name=made[name], SecretString=json.dumps(value))
    return made


@pytest.mark.parametrize("program", [*programs("README.md"), *programs("docs/how-to/clients.md")])
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
    exec(compile(program, "documented", "exec"), space)  # noqa: S102 - that is the test
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
