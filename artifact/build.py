"""Builds the artifact for Lambda: only the files that run there, for Lambda's machine, with byte code.

    python artifact/build.py build/artifact      # the choices come from the environment, see inputs.py

make calls it. docs/reference/artifact.md explains which files it removes, and why that is safe. It needs the
packages of locks/build.txt, and a Python of Lambda's version for the byte code.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import inputs
from inputs import PLATFORMS, ROOT, Inputs
from pythons import VERSION, find_python
from refusal import refuse

NOT_RUN = ("audit", "cli", "local", "testing")
"""The folders of `rotators` that no function imports."""

_DESCRIPTION = "documentation"
_DAY = 24 * 60 * 60


def main() -> None:
    """Build the artifact that the environment describes.

    Raises:
        SystemExit: something is missing; the message says what to do. The folder then does not exist.
    """
    if len(sys.argv) != 2:  # noqa: PLR2004 - the script and its only argument
        refuse("Usage: python artifact/build.py FOLDER")
    build(inputs.read(os.environ), Path(sys.argv[1]))


def build(wanted: Inputs, output: Path) -> None:
    """Build an artifact.

    Args:
        wanted: the choices.
        output: the folder to create. If another process creates it first, that folder stays.

    Raises:
        SystemExit: something is missing; the message says what to do. The folder then does not exist.
    """
    python = None if wanted.plain else find_python()
    output.parent.mkdir(parents=True, exist_ok=True)
    _remove_old(output.parent)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix="artifact-unfinished-") as folder:
        content = Path(folder) / "content"
        install(content, wanted)
        if wanted.trust:
            add(wanted.trust, content)
        if python:
            trim(content, wanted.services)
            compile_all(python, content)
        set_modes(content)
        try:
            content.rename(output)
        except OSError:
            if not output.is_dir():
                raise


def _remove_old(folder: Path) -> None:
    """Remove artifacts older than a day. Each choice and each state of the sources has its own artifact."""
    for old in folder.glob("artifact-*"):
        with contextlib.suppress(FileNotFoundError):  # another process does the same
            if time.time() - old.stat().st_mtime > _DAY:
                shutil.rmtree(old, ignore_errors=True)


def install(content: Path, wanted: Inputs) -> None:
    """Install the locked packages, this project and additional packages into a folder, as wheels for Lambda.

    Args:
        content: the folder.
        wanted: the choices. Dependencies of additional packages that are also locked have the lock's version.

    Raises:
        SystemExit: pip failed; it has printed the cause.
    """
    machine = PLATFORMS[wanted.architecture]
    target = ["--target", str(content), "--no-compile", "--only-binary=:all:", "--implementation", "cp"]
    target += ["--python-version", VERSION]
    for abi in (f"cp{VERSION.replace('.', '')}", "abi3", "none"):
        target += ["--abi", abi]
    # The image of the runtime is Amazon Linux 2023, whose glibc is 2.34.
    for tag in ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014"):
        target += ["--platform", f"{tag}_{machine}"]
    _pip("install", *target, "--require-hashes", *_each("-r", wanted.locks))
    with tempfile.TemporaryDirectory() as wheels:
        _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, str(ROOT))
        _pip("install", *target, "--no-deps", *map(str, Path(wheels).glob("*.whl")))
        _copy_functions(content)
        if wanted.requirements:
            versions = ["--constraint", _without_hashes(wanted.locks, content.parent)]
            # A rotator depends on this package, which is not on an index.
            links = ["--find-links", wheels]
            _pip("install", *target, *versions, *links, "-r", str(wanted.requirements))
    forget_this_machine(content)


def _copy_functions(content: Path) -> None:
    """Add the modules that the template names; the wheel does not contain them."""
    shutil.copytree(
        ROOT / "functions", content / "functions", ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )


def _each(option: str, files: Iterable[Path]) -> list[str]:
    return [argument for file in files for argument in (option, str(file))]


def _without_hashes(locks: Iterable[Path], folder: Path) -> str:
    """Write the versions of the locks only: with hashes, pip would require hashes of all packages.

    Returns:
        Path of the constraints file.
    """
    lines = [line for lock in locks for line in lock.read_text(encoding="utf-8").splitlines()]
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(line.rstrip("\\ ") for line in lines if "==" in line), encoding="utf-8")
    return str(constraints)


def _pip(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "-qq", *arguments], check=False)
    if done.returncode:
        refuse(f"pip {arguments[0]} failed (status {done.returncode}); correct what the lines above name.")


def forget_this_machine(content: Path) -> None:
    """Remove data of this machine: commands, and the folders from which wheels were installed.

    Functions need neither. pip records commands with hashes that depend on the path of its Python.
    https://packaging.python.org/en/latest/specifications/direct-url/

    Args:
        content: the artifact's folder.
    """
    shutil.rmtree(content / "bin", ignore_errors=True)
    for record in content.glob("*.dist-info/RECORD"):
        gone = ["../../bin/"]
        origin = record.with_name("direct_url.json")
        if origin.exists() and json.loads(origin.read_text(encoding="utf-8"))["url"].startswith("file:"):
            origin.unlink()
            gone.append(f"{origin.parent.name}/{origin.name},")
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith(tuple(gone))]
        record.write_text("".join(kept), encoding="utf-8")


def add(file: Path, content: Path) -> None:
    """Copy an additional file to the top folder of the artifact. Functions find it as /var/task/NAME.

    Args:
        file: the file.
        content: the artifact's folder.

    Raises:
        SystemExit: the artifact already has a file or folder of this name.
    """
    if (content / file.name).exists():
        refuse(f"TRUST={file}: the artifact already contains {file.name}; give the file another name.")
    shutil.copyfile(file, content / file.name)


def trim(content: Path, services: tuple[str, ...]) -> None:
    """Remove files that no function reads, and from botocore's data what it only parses.

    Args:
        content: the folder.
        services: AWS services for which botocore's data is kept.
    """
    for name in NOT_RUN:
        shutil.rmtree(content / "rotators" / name)
    for folder in (content / "botocore" / "data").iterdir():
        if folder.is_dir() and folder.name not in services:
            shutil.rmtree(folder)
    trim_endpoints(content / "botocore" / "data")
    trim_descriptions(content / "botocore" / "data")
    for stub in content.rglob("*.pyi"):
        stub.unlink()


def trim_endpoints(data: Path) -> None:
    """Remove the endpoints of services whose data was removed: botocore parses them all for its first client.

    Args:
        data: botocore's folder of data.
    """
    models = [json.loads(gzip.decompress(path.read_bytes())) for path in data.glob("*/*/service-2.json.gz")]
    prefixes = {model["metadata"]["endpointPrefix"] for model in models}
    file = data / "endpoints.json"
    endpoints = json.loads(file.read_text(encoding="utf-8"))
    for partition in endpoints["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in services if name in prefixes}
    file.write_text(json.dumps(endpoints, separators=(",", ":")), encoding="utf-8")


def trim_descriptions(data: Path) -> None:
    """Remove the descriptions from the services' models: seven eighths of the models, read only by `help()`.

    Args:
        data: botocore's folder of data.
    """
    for path in data.glob("*/*/service-2.json.gz"):
        model = json.loads(gzip.decompress(path.read_bytes()), object_hook=_without_description)
        # Without the time, so that the same data gives the same bytes.
        path.write_bytes(gzip.compress(json.dumps(model, separators=(",", ":")).encode(), mtime=0))


def _without_description(members: dict[str, object]) -> dict[str, object]:
    # A parameter of this name is an object, not a string.
    return {
        name: value for name, value in members.items() if name != _DESCRIPTION or not isinstance(value, str)
    }


def compile_all(python: str, content: Path) -> None:
    """Write the byte code, because Lambda cannot store it: without it, each cold start compiles all modules.

    The byte code is unchecked, so the interpreter does not compare it with the sources, whose times a zip may
    change. It contains the paths of the files in Lambda, not those on this machine.

    Args:
        python: an interpreter of Lambda's version.
        content: the folder.

    Raises:
        SystemExit: a file cannot be compiled.
    """
    command = [python, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    done = subprocess.run([*command, "-s", str(content), "-p", "/var/task", str(content)], check=False)
    if done.returncode:
        refuse("The artifact's byte code could not be written; correct the files that the lines above name.")


def set_modes(content: Path) -> None:
    """Make all files readable by all users, because Lambda runs functions as another user.

    https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-deployment.html

    Args:
        content: the artifact's folder.
    """
    content.chmod(0o755)
    for path in content.rglob("*"):
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)


if __name__ == "__main__":
    main()
