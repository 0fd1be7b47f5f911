"""Creates the files of a release in dist/: function zips with their SBOMs, the packages, and checksums.

    python artifact/dist.py     # the choices come from the environment, see inputs.py; both processors

Two runs on the same commit produce the same bytes: nothing depends on the time, the folder, the user, or an
order that may change. It needs the packages of locks/build.txt, and those of locks/sbom.txt in .venv-sbom.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path

import inputs
from build import build
from inputs import PLATFORMS, ROOT
from refusal import refuse

DATE = (2020, 2, 2, 0, 0, 0)
"""The time of every entry of the archives, in UTC; hatchling's default for reproducible builds."""

LONGEST_UNPACKED = 250 * 1024 * 1024
"""Largest unpacked size in bytes that Lambda accepts; a zip of more than 50 MB must be uploaded through S3.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

_EPOCH = "1580601600"  # DATE, in seconds
_SBOM_TOOL = ROOT / ".venv-sbom" / "bin" / "cyclonedx-py"


def main() -> None:
    """Create dist/, and replace an existing one.

    Raises:
        SystemExit: something is missing or too large; the message says what to do. dist/ is then unchanged.
    """
    wanted = inputs.read(os.environ)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build", prefix="artifact-unfinished-") as scratch:
        made = Path(scratch, "dist")
        made.mkdir()
        for architecture in PLATFORMS:
            folder = _artifact(dataclasses.replace(wanted, architecture=architecture))
            name = f"rotators-{version}-lambda-{architecture}"
            write_zip(folder, made / f"{name}.zip")
            write_sbom(folder, made / f"{name}.cdx.json")
        write_packages(made)
        write_checksums(made)
        shutil.rmtree(ROOT / "dist", ignore_errors=True)
        made.rename(ROOT / "dist")
    _show(ROOT / "dist")


def _artifact(wanted: inputs.Inputs) -> Path:
    folder = wanted.folder()
    if not folder.is_dir():
        print(f"Building for {wanted.architecture} ...")
        build(wanted, folder)
    return folder


def write_zip(folder: Path, archive: Path) -> None:
    """Zip an artifact. The bytes depend only on the names, contents and modes of its files.

    Args:
        folder: the artifact.
        archive: the file to write.

    Raises:
        SystemExit: Lambda would not accept it.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    unpacked = sum(path.stat().st_size for path in files)
    if unpacked > LONGEST_UNPACKED:
        refuse(
            f"{archive.name} unpacks to {_readable(unpacked)}, and Lambda allows "
            f"{_readable(LONGEST_UNPACKED)}; leave packages out of REQUIREMENTS, or a driver out of DRIVERS."
        )
    with zipfile.ZipFile(archive, "w") as target:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), DATE)
            entry.create_system = 3  # Unix, on every system, so that the mode counts
            entry.external_attr = (0o100000 | path.stat().st_mode & 0o777) << 16
            target.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)


def write_sbom(folder: Path, output: Path) -> None:
    """List the packages in an artifact, with versions, licences and dependencies, as CycloneDX JSON.

    Args:
        folder: the artifact.
        output: the file to write.

    Raises:
        SystemExit: the tool failed; the message contains its output.
    """
    with tempfile.TemporaryDirectory() as scratch:
        # The tool asks an interpreter for its packages; this one has only those of the artifact.
        venv.create(scratch, with_pip=False, symlinks=True)
        (site_packages,) = Path(scratch).glob("lib/python*/site-packages")
        (site_packages / "artifact.pth").write_text(f"{folder.resolve()}\n", encoding="utf-8")
        command: list[str | Path] = [
            _SBOM_TOOL,
            "environment",
            "--output-reproducible",
            "--of",
            "JSON",
            "-o",
            output,
        ]
        # Validation takes ten times as long as the rest; tests/test_dist.py validates once.
        command += ["--no-validate", "--pyproject", ROOT / "pyproject.toml", Path(scratch, "bin", "python")]
        # With this variable, the tool would write a timestamp.
        environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
        _run(command, environment)


def write_packages(folder: Path) -> None:
    """Build the wheel and the source archive.

    Args:
        folder: the folder for the files.

    Raises:
        SystemExit: the build failed; the message contains hatchling's output.
    """
    command: list[str | Path] = [sys.executable, "-m", "hatchling", "build", "--directory", folder]
    for target in ("wheel", "sdist"):
        _run([*command, "--target", target], {**os.environ, "SOURCE_DATE_EPOCH": _EPOCH})


def _run(command: list[str | Path], environment: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        refuse(
            f"{done.stdout}{Path(command[0]).name} failed (status {done.returncode}); "
            "correct what the lines above name."
        )


def write_checksums(folder: Path) -> None:
    """Write SHA256SUMS, in the format of `sha256sum --check`.

    Args:
        folder: of the files.
    """
    lines = [f"{_sha256(path)}  {path.name}\n" for path in _files(folder)]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def _files(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _readable(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"  # noqa: PLR2004 - below, MB would be 0.0


def _show(folder: Path) -> None:
    rows = [(path.name, _readable(path.stat().st_size), _sha256(path)) for path in _files(folder)]
    width = max(len(name) for name, _, _ in rows)
    print(f"{'in dist/':{width}}  {'size':>8}  SHA-256")
    for name, size, checksum in rows:
        print(f"{name:{width}}  {size:>8}  {checksum}")
    print(
        "\nNext: `cd dist && sha256sum --check SHA256SUMS`;"
        " docs/reference/artifact.md says how to deploy and publish."
    )


if __name__ == "__main__":
    main()
