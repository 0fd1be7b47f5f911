"""`rotators engines`: the declarations of the engines, in the command's table and in the README's."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, PathDistribution, entry_points
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rotators.cli import cli
from rotators.cli.engines import COLUMNS, cells, known_engines
from rotators.core.registry import load
from rotators.strategies.engine import members_of
from rotators.strategies.rotator import EngineRotator, engine_of

README = Path(__file__).parents[2] / "README.md"


def shown() -> dict[str, Any]:
    result = CliRunner().invoke(cli, ["engines", "--json"])
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.output)
    return document


def row(engine: str) -> dict[str, Any]:
    return next(row for row in shown()["engines"] if row["engine"] == engine)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterable[list[EntryPoint]]:
    """The registered rotators; a test appends others."""
    registered = list(entry_points(group="rotators"))
    for place in ("rotators.cli.engines", "rotators.core.registry"):
        monkeypatch.setattr(f"{place}.registered", lambda: registered)
    load.cache_clear()
    yield registered
    load.cache_clear()


def test_every_engine_declares_its_tested_servers() -> None:
    for entry in entry_points(group="rotators"):
        engine: Any = engine_of(load(entry.name))
        assert engine.proved_on.keys() == engine.names
        for proof in engine.proved_on.values():
            assert re.fullmatch(r"\w.* \d[\w.]*", proof.server)
            assert re.fullmatch(r"\d{4}-\d\d-\d\d", proof.date)


def test_default_strategies_are_those_of_a_rotation() -> None:
    assert (row("postgres")["default"], row("postgres")["default_with_admin"]) == ("single", "alternating")
    assert (row("redis")["default"], row("redis")["default_with_admin"]) == ("", "dual")
    assert cells(row("redis"))[1] == "dual (default), single"


def test_the_table_ends_with_the_next_action() -> None:
    result = CliRunner().invoke(cli, ["engines"])
    assert result.exit_code == 0
    assert [line for line in result.output.splitlines() if "aurora-postgresql" in line]
    assert result.output.splitlines()[-1] == f"Next: {shown()['next']}"


def require_table(page: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Check the rows of a page's table. After a deliberate change, run the test with UPDATE_DOCS=1."""
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    lines = "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
    before, found, rest = page.read_text().partition(head)
    assert found, f"{page} has no such table"
    listed, gap, after = rest.partition("\n\n")
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(f"{before}{head}{lines}\n{after}" if gap else f"{before}{head}{lines}")
    assert listed.rstrip("\n") + "\n" == lines, "Run this test with UPDATE_DOCS=1."


def test_the_readme_lists_the_engines() -> None:
    columns = ("engine", "strategies", "proved on", "date")
    chosen = [COLUMNS.index(name) for name in columns]
    require_table(README, columns, ([cells(row)[each] for each in chosen] for row in known_engines()))


def test_the_page_of_secrets_lists_the_engines() -> None:
    rows = []
    for row in known_engines():
        engine: Any = engine_of(load(row["engine"]))
        own = [f"`{key}` (`{value}`)" for key, value in engine.target_defaults.items()]
        own += [f"`{key}`" for key in members_of(engine)]
        name = f"[{row['engine']}](schemas/{row['engine']}.json)"
        rows.append((name, cells(row)[1], str(engine.default_port), ", ".join(own) or "none"))
    page = README.parent / "docs" / "reference" / "secret.md"
    require_table(page, ("engine", "strategies", "port", "own keys and their defaults"), rows)


def test_an_engine_without_declarations_is_listed(installed: list[EntryPoint]) -> None:
    place = "rotators.cli.example.acme_keys.rotator:rotator"
    installed.append(EntryPoint("acme-keys", place, "rotators"))
    acme = row("acme-keys")
    assert (acme["strategies"], acme["problem"], acme["server"]) == (["dual"], "", "")
    assert cells(acme)[3] == "not declared"


class PlainRotator:
    """A rotator that was written without an engine."""

    def propose(self, rotation: object) -> None: ...

    apply = verify = propose


def test_a_rotator_without_engine_is_listed(installed: list[EntryPoint]) -> None:
    installed.append(EntryPoint("plain", f"{__name__}:PlainRotator", "rotators"))
    assert not isinstance(load("plain"), EngineRotator)
    assert cells(row("plain"))[1:4] == ("not declared", "yes", "not declared")


METADATA = """Metadata-Version: 2.4
Name: acme
Version: 1
Provides-Extra: redis
Requires-Dist: boto3>=1.40
Requires-Dist: Redis[hiredis]>=8; extra == 'redis'
"""


def test_a_missing_driver_is_named_with_its_extra(
    installed: list[EntryPoint], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "METADATA").write_text(METADATA)
    points = "[rotators]\nacme-redis = rotators.engines.redis:rotator\n"
    (tmp_path / "entry_points.txt").write_text(points)
    installed.extend(PathDistribution(tmp_path).entry_points)
    monkeypatch.setattr("rotators.strategies.rotator.find_spec", lambda _: None)
    assert row("acme-redis")["problem"] == "no: redis is missing"
    assert row("acme-redis")["next"] == "pip install 'acme[redis]'"
    assert shown()["next"].startswith("pip install ")


def test_a_rotator_that_cannot_load_is_listed(installed: list[EntryPoint]) -> None:
    installed.append(EntryPoint("broken", "json:no_such_name", "rotators"))
    assert row("broken")["problem"] == "no: broken-rotator"
    assert "broken" in row("broken")["next"]
