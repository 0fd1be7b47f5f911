"""Rotators are found among installed distributions; every error names the distribution at fault."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from rotators.core.errors import BrokenRotator, DuplicateRotator, RotatorNotFound, SecretFormatError
from rotators.core.registry import load, registered, rotator_name
from rotators.core.secret import Secret
from rotators.core.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

Install = Callable[[str, str, str], None]

GOOD = """
class Rotator:
    def propose(self, rotation): ...
    def apply(self, rotation): ...
    def verify(self, rotation): ...
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution with one module and one entry point, in the layout of pip."""

    def add(distribution: str, entry: str, source: str) -> None:
        place = tmp_path / distribution
        info = place / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[rotators]\n{entry}\n")
        (place / f"{distribution}_module.py").write_text(source)
        monkeypatch.syspath_prepend(place)

    load.cache_clear()
    registered.cache_clear()
    yield add
    load.cache_clear()
    registered.cache_clear()
    for name in [name for name in sys.modules if name.endswith("_module")]:
        del sys.modules[name]


def test_a_third_party_rotator_is_loaded_by_name(install: Install) -> None:
    install("acme", "acme-api = acme_module:Rotator", GOOD)
    assert type(load("acme-api")).__name__ == "Rotator"


def test_built_in_rotators_register_like_third_party_ones() -> None:
    assert load("postgres") is not None
    assert load("aurora-postgresql") is not None


def test_only_the_named_rotator_is_loaded(install: Install) -> None:
    install("good", "good = good_module:Rotator", GOOD)
    install("broken", "broken = broken_module:Rotator", "raise RuntimeError('loaded')")
    load("good")
    assert "broken_module" not in sys.modules


def test_an_absent_name_lists_the_names_there_are(install: Install) -> None:
    install("acme", "acme-api = acme_module:Rotator", GOOD)
    with pytest.raises(RotatorNotFound, match=r"'nothing'.*acme-api.*postgres"):
        load("nothing")


def test_a_duplicate_names_both_distributions(install: Install) -> None:
    install("acme", "twice = acme_module:Rotator", GOOD)
    install("bolt", "twice = bolt_module:Rotator", GOOD)
    with pytest.raises(DuplicateRotator, match=r"acme 1\.0 and bolt 1\.0"):
        load("twice")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import a_driver_that_is_not_there", "ModuleNotFoundError for 'a_driver_that_is_not_there'"),
        ("raise RuntimeError", "RuntimeError"),
        ("x = 1", "AttributeError"),
        ("Rotator = None", "TypeError"),
        ("class Rotator:\n    def propose(self, rotation): ...", "without propose, apply and verify"),
    ],
)
def test_a_broken_rotator_names_distribution_and_failure(install: Install, source: str, said: str) -> None:
    install("acme", "acme-api = acme_module:Rotator", source)
    with pytest.raises(BrokenRotator, match=r"'acme-api' of acme 1\.0") as caught:
        load("acme-api")
    assert said in str(caught.value)


def test_the_environment_outranks_the_engine_of_the_secret() -> None:
    secret = Secret({"engine": "postgres"})
    assert rotator_name(secret, Settings()) == "postgres"
    assert rotator_name(secret, Settings(rotator="mine")) == "mine"
    with pytest.raises(SecretFormatError, match="'engine'"):
        rotator_name(Secret({}), Settings())
