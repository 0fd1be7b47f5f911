"""Makes what Lambda gets: only what runs, for Lambda's machine, with its byte code.

    python artifact/build.py --architecture arm64 --drivers postgres,mysql build/artifact

`make build` and `sam build` call it; docs/artifact.md explains what it leaves out, and why that is safe.
Needs nothing but the standard library, pip, and a Python of Lambda's version for the byte code.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pythons import VERSION, find_python

ROOT = Path(__file__).resolve().parent.parent

PLATFORMS = {"arm64": "aarch64", "x86_64": "x86_64"}
"""What Lambda calls a processor, and what wheels call it."""

LOCKS = {
    ("mysql", "postgres"): "lambda.txt",
    ("postgres",): "lambda-postgres.txt",
    ("mysql",): "lambda-mysql.txt",
}
"""The lock of each choice of drivers."""

SERVICES = ("rds", "secretsmanager", "sts")
"""What the functions make clients for (rotators/aws/clients.py): the folders of botocore's data that stay."""

NOT_RUN = ("cli", "local", "testing")
"""The folders of `rotators` that no function imports."""


def main() -> None:
    """Read the arguments and build.

    Raises:
        SystemExit: something is missing; its message says what to do. The folder is then not there.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="the folder to make anew")
    parser.add_argument("--architecture", choices=PLATFORMS, default="arm64")
    parser.add_argument("--drivers", default="postgres,mysql", help="postgres, mysql, or both")
    parser.add_argument(
        "--requirements", type=Path, help="further packages, such as a third party's rotators"
    )
    parser.add_argument(
        "--services", default="", help="further AWS services that a rotator needs, by boto3's names"
    )
    parser.add_argument(
        "--file", type=Path, action="append", default=[], help="a file to add, such as trusted roots"
    )
    parser.add_argument("--plain", action="store_true", help="as pip installs it: all data, no byte code")
    given = parser.parse_args()
    drivers = tuple(sorted(filter(None, given.drivers.replace(",", " ").split())))
    if drivers not in LOCKS:
        sys.exit(f"There is no lock for the drivers {given.drivers!r}; choose from postgres, mysql.")
    python = None if given.plain else find_python()
    shutil.rmtree(given.output, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=given.output.parent) as folder:
        content = Path(folder) / "content"
        install(content, given.architecture, LOCKS[drivers], given.requirements)
        for file in given.file:
            shutil.copy(file, content)
        if python:
            trim(content, {*SERVICES, *given.services.replace(",", " ").split()})
            compile_all(python, content)
        content.rename(given.output)


def install(content: Path, architecture: str, lock: str, requirements: Path | None) -> None:
    """Put the locked packages, ours, and further ones into a folder, as wheels for Lambda's machine.

    Args:
        content: the folder.
        architecture: a key of PLATFORMS.
        lock: a file of locks/.
        requirements: of further packages; what they share with the lock must be of the lock's version.

    Raises:
        SystemExit: pip failed; it has said why.
    """
    machine = PLATFORMS[architecture]
    target = ["--target", str(content), "--no-compile", "--only-binary=:all:", "--implementation", "cp"]
    target += [
        "--python-version",
        VERSION,
        "--abi",
        f"cp{VERSION.replace('.', '')}",
        "--abi",
        "abi3",
        "--abi",
        "none",
    ]
    # The image of the runtime is Amazon Linux 2023, whose glibc is 2.34.
    for tag in ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014"):
        target += ["--platform", f"{tag}_{machine}"]
    locked = ROOT / "locks" / lock
    _pip("install", *target, "--require-hashes", "-r", str(locked))
    with tempfile.TemporaryDirectory() as wheels:
        _pip("wheel", "--no-deps", "--wheel-dir", wheels, str(ROOT))
        _pip("install", *target, "--no-deps", *map(str, Path(wheels).glob("*.whl")))
        if requirements:
            versions = ["--constraint", _without_hashes(locked, content.parent)]
            # A rotator depends on this package, which is not on an index.
            _pip("install", *target, *versions, "-r", str(requirements), PIP_FIND_LINKS=wheels)
    shutil.rmtree(content / "bin", ignore_errors=True)


def _without_hashes(lock: Path, folder: Path) -> str:
    """The lock's versions alone: with hashes, pip would demand them of the further packages too."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(line.rstrip("\\ ") for line in lines if "==" in line), encoding="utf-8")
    return str(constraints)


def _pip(*arguments: str, **environment: str) -> None:
    command = [sys.executable, "-m", "pip", "-qq", *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, check=False)
    if done.returncode:
        sys.exit(f"pip {arguments[0]} failed (status {done.returncode}); the lines above say why.")


def trim(content: Path, services: set[str]) -> None:
    """Remove what no function reads; what stays is unchanged.

    Args:
        content: the folder.
        services: botocore's data is kept for these.

    Raises:
        SystemExit: botocore has no such service.
    """
    for name in NOT_RUN:
        shutil.rmtree(content / "rotators" / name)
    data = content / "botocore" / "data"
    if unknown := services - {folder.name for folder in data.iterdir()}:
        sys.exit(f"botocore knows no service {', '.join(sorted(unknown))}; use boto3's names.")
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in services:
            shutil.rmtree(folder)
    for stub in content.rglob("*.pyi"):
        stub.unlink()


def compile_all(python: str, content: Path) -> None:
    """Write the byte code, because Lambda cannot keep it: without it each cold start compiles everything.

    Unchecked, so that the interpreter does not even look at the sources, whose times a zip may change.

    Args:
        python: of Lambda's version.
        content: the folder.

    Raises:
        SystemExit: a file cannot be compiled.
    """
    command = [python, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    done = subprocess.run([*command, "-s", str(content), "-p", "/var/task", str(content)], check=False)
    if done.returncode:
        sys.exit("The artifact's byte code could not be written; the lines above say why.")


if __name__ == "__main__":
    main()
