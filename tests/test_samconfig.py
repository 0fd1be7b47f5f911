"""Every permitted parameter value is unchanged after `sam deploy --guided` and the next `sam deploy`."""

from __future__ import annotations

import json
import os
import string
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rotators.core.passwords import DEFAULT_EXCLUDED
from tests.cloudformation_rules import read

ROOT = Path(__file__).resolve().parent.parent
SAM = ROOT / ".venv-sam" / "bin" / "python"
TEMPLATE = read(ROOT / "template.yaml")  # once, because it takes a tenth of a second
PARAMETERS: dict[str, dict[str, Any]] = TEMPLATE["Parameters"]
DEFAULTS = {name: str(parameter["Default"]) for name, parameter in PARAMETERS.items()}

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(
        not SAM.exists() and not os.environ.get("CI"),
        reason="the SAM CLI is not installed in .venv-sam; `make validate` installs it",
    ),
]


class Sam:
    """The pinned SAM CLI's writer and reader, in a separate process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [SAM, ROOT / "tests" / "samconfig.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def passed(self, parameters: dict[str, str]) -> dict[str, str]:
        """The parameters that CloudFormation gets from these answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(parameters) + "\n")
        self._process.stdin.flush()
        answer: dict[str, str] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """Stop the process."""
        self._process.communicate()


def refused(parameters: dict[str, str]) -> str | None:
    """The reason why CloudFormation refuses these parameters; None if it accepts them."""
    from rotators.local.cloudformation.parameters import refusal  # noqa: PLC0415 - it imports moto

    return refusal(TEMPLATE, parameters)


@pytest.fixture(scope="module")
def sam() -> Iterator[Sam]:
    process = Sam()
    yield process
    process.close()


def permitted(parameter: dict[str, Any]) -> st.SearchStrategy[str]:
    """Values that satisfy the constraints of a parameter; any text if there are none."""
    if "AllowedValues" in parameter:
        return st.sampled_from([str(each) for each in parameter["AllowedValues"]])
    if parameter["Type"] == "Number":
        return st.integers(parameter["MinValue"], parameter["MaxValue"]).map(str)
    pattern = parameter.get("AllowedPattern")
    one = st.from_regex(pattern, fullmatch=True) if pattern else st.text()
    return st.lists(one, min_size=1, max_size=3).map(",".join) if _is_list(parameter) else one


def _is_list(parameter: dict[str, Any]) -> bool:
    return bool(parameter["Type"] == "CommaDelimitedList")


def test_every_default_is_kept(sam: Sam) -> None:
    assert sam.passed(DEFAULTS) == DEFAULTS


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
@pytest.mark.parametrize("name", PARAMETERS)
def test_every_permitted_value_is_passed_unchanged(sam: Sam, name: str, data: st.DataObject) -> None:
    parameters = {**DEFAULTS, name: data.draw(permitted(PARAMETERS[name]))}
    assert sam.passed(parameters) == parameters


@pytest.mark.parametrize("value", [":/@\"'\\", "a\\ b", "a\\'b", 'a\\"b', "\\\\", "é"])
def test_values_that_sam_would_corrupt_are_refused(value: str) -> None:
    reason = refused({"ExcludeCharacters": value})
    assert "printable ASCII" in str(reason)


@pytest.mark.parametrize("value", [":/@\"'\\", "a\\ b", "a\\'b", 'a\\"b'])
def test_sam_does_corrupt_it(sam: Sam, value: str) -> None:
    parameters = {**DEFAULTS, "ExcludeCharacters": value}
    assert sam.passed(parameters) != parameters


@pytest.mark.parametrize("value", ["", ":", "\\:", "x\\y", " ", "a b", "=,%$'\"", string.punctuation])
def test_exclusions_without_an_escaping_backslash_are_permitted(sam: Sam, value: str) -> None:
    parameters = {**DEFAULTS, "ExcludeCharacters": value}
    assert refused({"ExcludeCharacters": value}) is None
    assert sam.passed(parameters) == parameters


def test_template_and_functions_exclude_the_same_characters() -> None:
    assert set(DEFAULTS["ExcludeCharacters"]) == set(DEFAULT_EXCLUDED)


def test_every_pattern_has_a_description() -> None:
    patterns = {name for name, parameter in PARAMETERS.items() if "AllowedPattern" in parameter}
    assert {name for name in patterns if "ConstraintDescription" not in PARAMETERS[name]} == set()
