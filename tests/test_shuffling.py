"""`--shuffle` orders tests at random; tests that share fixtures stay together."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

MODULES = ("tests/core/test_cache.py", "tests/core/test_loading.py", "tests/engines/test_kit.py")
EXAMPLES = "tests/examples/test_examples.py"


def run(*arguments: str) -> list[str]:
    """Return the lines of a run of pytest in a process with a separate hash seed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONHASHSEED": "random"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def collected(*arguments: str) -> list[str]:
    return [line for line in run("--collect-only", *MODULES, EXAMPLES, *arguments) if "::" in line]


@pytest.fixture(scope="module")
def first() -> list[str]:
    """The order by one seed."""
    return collected("--shuffle=7")


def test_a_seed_decides_the_order(first: list[str]) -> None:
    plain, again, other = collected(), collected("--shuffle=7"), collected("--shuffle=8")
    assert first == again
    assert sorted(first) == sorted(other) == sorted(plain)
    for one, another in itertools.combinations((plain, first, other), 2):
        for name in MODULES:
            assert of(name, one) != of(name, another)
        assert of(EXAMPLES, one) == of(EXAMPLES, another)


def of(module: str, tests: list[str]) -> list[str]:
    return [test for test in tests if test.startswith(module)]


def test_tests_that_share_fixtures_stay_together(first: list[str]) -> None:
    """Those of a module, and in it those of a class and engine."""
    modules = [module for module, _ in itertools.groupby(test.partition("::")[0] for test in first)]
    assert len(modules) == len(set(modules))
    kit = of("tests/engines/test_kit.py", first)
    groups = [group for group, _ in itertools.groupby(map(class_and_engine, kit))]
    assert len(groups) == len(set(groups)) > len({name for name, _ in groups}) > 1


def class_and_engine(test: str) -> tuple[str, str]:
    name, _, parameters = test.removesuffix("]").partition("::")[2].partition("[")
    return name.partition("::")[0], parameters.partition("-")[0]


def test_processes_agree_about_the_order() -> None:
    """xdist stops if they do not."""
    run("-n", "2", "--dist", "loadscope", "--no-loadscope-reorder", "--shuffle=7", *MODULES[:2])
