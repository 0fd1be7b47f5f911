"""The files of a release depend only on the content of their inputs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

import dist
from tests import artifact

pytestmark = pytest.mark.processes


def write(path: Path, content: bytes, mode: int = 0o644, time: int = 1_700_000_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    os.utime(path, (time, time))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A small artifact."""
    folder = tmp_path / "small"
    write(folder / "rotators" / "core.py", b"x = 1\n" * 100)
    write(folder / "lib.so", b"\x7fELF", 0o755)
    write(folder / "a" / "z.json", b"{}")
    return folder


def test_a_zip_of_equal_files_has_equal_bytes(small: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    for path in sorted((path for path in small.rglob("*") if path.is_file()), reverse=True):
        write(other / path.relative_to(small), path.read_bytes(), path.stat().st_mode & 0o777, 1_600_000_000)
    dist.write_zip(small, tmp_path / "one.zip")
    dist.write_zip(other, tmp_path / "other.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()


def test_a_zip_has_file_modes_for_lambda(small: Path, tmp_path: Path) -> None:
    dist.write_zip(small, tmp_path / "one.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
        assert archive.read("a/z.json") == b"{}"
    assert modes == {"a/z.json": 0o100644, "lib.so": 0o100755, "rotators/core.py": 0o100644}
    assert list(modes) == sorted(modes)


def test_a_zip_too_large_for_lambda_is_refused(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dist, "LONGEST_UNPACKED", 600)
    with pytest.raises(SystemExit) as refused:
        dist.write_zip(small, tmp_path / "one.zip")
    assert refused.value.code == 2
    assert "leave packages out of REQUIREMENTS" in capsys.readouterr().err
    assert not (tmp_path / "one.zip").exists()


def test_checksums_are_those_of_the_files(tmp_path: Path) -> None:
    write(tmp_path / "b.zip", b"b")
    write(tmp_path / "a.whl", b"a")
    dist.write_checksums(tmp_path)
    lines = (tmp_path / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    assert lines == [
        f"{hashlib.sha256(it).hexdigest()}  {name}" for it, name in [(b"a", "a.whl"), (b"b", "b.zip")]
    ]


def sbom(folder: Path, output: Path) -> dict[str, Any]:
    artifact.install_tools()
    dist.write_sbom(folder, output)
    content: dict[str, Any] = json.loads(output.read_bytes())
    return content


def test_the_sbom_names_exactly_the_artifacts_packages(tmp_path: Path) -> None:
    folder = artifact.built()
    content = sbom(folder, tmp_path / "sbom.json")
    listed = {(part["name"].lower(), part["version"]) for part in content["components"]}
    inside = {(found.name.lower(), found.version) for found in distributions(path=[str(folder)])}
    root = content["metadata"]["component"]
    assert listed | {(root["name"], root["version"])} == inside
    assert root["name"] == "rotators"
    assert all(part["purl"].startswith("pkg:pypi/") for part in content["components"])


def test_the_sbom_obeys_the_schema(tmp_path: Path) -> None:
    sbom(artifact.built(), tmp_path / "sbom.json")
    validate = (
        "import sys; from cyclonedx.schema import SchemaVersion;"
        "from cyclonedx.validation.json import JsonStrictValidator;"
        "sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))"
    )
    with (tmp_path / "sbom.json").open(encoding="utf-8") as content:
        python = artifact.ROOT / ".venv-sbom" / "bin" / "python"
        subprocess.run([python, "-c", validate], stdin=content, check=True)


def test_two_sboms_of_equal_artifacts_have_equal_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sbom(artifact.built(), tmp_path / "first.json")
    copy = tmp_path / "copy"
    for packaged in sorted(artifact.built().glob("*.dist-info"), reverse=True):
        shutil.copytree(packaged, copy / packaged.name)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    sbom(copy, tmp_path / "second.json")
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "second.json").read_bytes()
    assert "serialNumber" not in first
    assert "timestamp" not in first["metadata"]
