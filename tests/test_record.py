"""The deployed template permits only the processor for which the functions were built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # here by way of the AWS CLI; its stubs are not
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]  # it has no types

from record import RENAMED, recorded, refuse_old_names

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def built() -> str:
    """The template as `sam build` writes it."""
    template: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    return str(yaml.dump(template, sort_keys=False))


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_only_the_built_architecture_can_be_deployed(built: str, architecture: str) -> None:
    expected: dict[str, Any] = yaml.safe_load(built)
    parameter = yaml.safe_load(recorded(built, architecture))["Parameters"]["Architecture"]
    assert parameter["Default"] == architecture
    assert parameter["AllowedValues"] == [architecture]
    assert f"--parameter-overrides Architecture={architecture}" in parameter["ConstraintDescription"]
    assert parameter["Description"] == expected["Parameters"]["Architecture"]["Description"]


def test_everything_else_is_kept(built: str) -> None:
    before, after = built.splitlines(), recorded(built, "x86_64").splitlines()
    start = before.index("  Architecture:")
    assert after[: start + 2] == before[: start + 2]
    end = before.index("    - x86_64", start)
    changed = after.index("    - x86_64", start) + 1
    assert after[changed].startswith("    ConstraintDescription: ")
    assert after[changed + 1 :] == before[end + 1 :]


def test_recording_again_replaces_the_record(built: str) -> None:
    assert recorded(recorded(built, "x86_64"), "arm64") == recorded(built, "arm64")


def test_a_template_without_the_parameter_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        recorded("Parameters:\n  Other:\n    Default: arm64\n", "arm64")
    assert refused.value.code == 2
    assert "no parameter Architecture" in capsys.readouterr().err


@pytest.mark.parametrize("old", sorted(RENAMED))
def test_a_samconfig_with_an_old_name_is_refused(
    old: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "samconfig.toml"
    config.write_text(f'[default.deploy.parameters]\nparameter_overrides = "A=\\"b\\" {old}=\\"prod/\\""\n')
    with pytest.raises(SystemExit) as refused:
        refuse_old_names(config)
    assert refused.value.code == 2
    assert f"{old} to {RENAMED[old]}" in capsys.readouterr().err


def test_a_samconfig_with_current_names_is_accepted(tmp_path: Path) -> None:
    config = tmp_path / "samconfig.toml"
    refuse_old_names(config)
    names = [*RENAMED.values(), "LogKmsKeyArn"]
    config.write_text(" ".join(f"{name}=x" for name in names))
    refuse_old_names(config)
