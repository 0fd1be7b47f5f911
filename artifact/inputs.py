"""All inputs of an artifact: make's variables, and the content of every file that is used.

    python artifact/inputs.py       # checks the variables, and prints the artifact's folder

The folder's name contains a digest. A changed input results in another folder; with the same inputs, nothing
is built again. Needs only the standard library, so that it can run before an environment exists.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from extras import HANDLERS, default_drivers, drivers
from refusal import refuse
from requirements import linked_files, local_files, project_files

ROOT = Path(__file__).resolve().parent.parent

PLATFORMS = {"arm64": "aarch64", "x86_64": "x86_64"}
"""Lambda's names of the processors, with the names that file names of wheels use."""

SERVICES = ("cloudtrail", "iam", "kms", "lambda", "logs", "rds", "s3", "secretsmanager", "sns", "sts")
"""The services that the functions call (rotators/aws/clients.py); botocore's data for them is always kept."""

SERVICES_OF = {
    "ldap": ("ds",),
    "postgres": ("redshift", "redshift-serverless"),
    "redis": ("elasticache", "memorydb"),
}
"""The services that the engines of a driver call; botocore's data for them is kept with the driver."""

_SOURCES = ("rotators", "functions")
_METADATA = ("pyproject.toml", "README.md", "LICENSE")  # hatchling reads these into the wheel
_DIGITS = 16


@dataclass(frozen=True)
class Inputs:
    """The choices in make's variables, checked.

    Attributes:
        architecture: a key of `PLATFORMS`.
        drivers: extras of the project, sorted.
        services: all services for which botocore's data is kept.
        requirements: a requirements file of additional packages.
        trust: an additional file, such as trusted roots.
        plain: True for the files as pip installs them: all data, no byte code.
    """

    architecture: str
    drivers: tuple[str, ...]
    services: tuple[str, ...]
    requirements: Path | None
    trust: Path | None
    plain: bool

    @property
    def locks(self) -> tuple[Path, ...]:
        """The locks of the handlers and of each driver. They agree on all versions."""
        return tuple(ROOT / "locks" / f"{extra}.txt" for extra in (HANDLERS, *self.drivers))

    def folder(self) -> Path:
        """Return the folder: build/artifact- and a digest of all inputs. It may not exist yet.

        Raises:
            SystemExit: a file that `requirements` refers to is missing.
        """
        digest = hashlib.sha256()
        for label, content in self._parts():
            digest.update(f"{label}\0{len(content)}\0".encode())
            digest.update(content)
        return ROOT / "build" / f"artifact-{digest.hexdigest()[:_DIGITS]}"

    def _parts(self) -> Iterator[tuple[str, bytes]]:
        choices = (self.architecture, self.drivers, self.services, self.plain, self.trust and self.trust.name)
        yield "choices", repr(choices).encode()
        for path in self._files():
            yield _label(path), path.read_bytes()
        # pip takes every option from the environment too.
        for name in sorted(name for name in os.environ if name.startswith("PIP_")):
            yield name, os.environ[name].encode(errors="surrogateescape")

    def _files(self) -> Iterator[Path]:
        for folder in _SOURCES:
            yield from project_files(ROOT / folder)
        yield from sorted((ROOT / "artifact").glob("*.py"))
        yield from (ROOT / name for name in _METADATA)
        yield from (*self.locks, ROOT / "locks" / "build.txt")
        if self.trust:
            yield self.trust
        if self.requirements:
            yield from local_files(self.requirements)
            for place in os.environ.get("PIP_FIND_LINKS", "").split():
                yield from linked_files(Path(place))


def read(environment: Mapping[str, str]) -> Inputs:
    """Read and check make's variables.

    Args:
        environment: the variables, as the Makefile exports them. A missing one has its default.

    Returns:
        The choices.

    Raises:
        SystemExit: a value is unknown or a file is missing. The message is one sentence that says what to do.
    """
    chosen = {*_words(environment.get("DRIVERS", ""))} or default_drivers()
    services = {*SERVICES, *_words(environment.get("SERVICES", ""))}
    services.update(service for driver in chosen for service in SERVICES_OF.get(driver, ()))
    plain = environment.get("PLAIN", "")
    if plain not in {"", "1"}:
        refuse(f"PLAIN={plain}: set PLAIN=1 for an artifact without byte code, or leave it out.")
    return Inputs(
        architecture=_known("ARCHITECTURE", environment.get("ARCHITECTURE", "arm64"), PLATFORMS),
        drivers=tuple(_known("DRIVERS", name, drivers()) for name in sorted(chosen)),
        services=tuple(_service(name) for name in sorted(services)),
        requirements=_requirements(environment),
        trust=_file("TRUST", environment),
        plain=bool(plain),
    )


def _words(value: str) -> list[str]:
    return value.replace(",", " ").split()


def _known(variable: str, value: str, choices: Collection[str]) -> str:
    if value not in choices:
        refuse(f"{variable}={value} is unknown; choose {' or '.join(choices)}.")
    return value


def _service(name: str) -> str:
    known = (ROOT / "artifact" / "services.txt").read_text(encoding="utf-8").split()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {near[0]}?" if near else "artifact/services.txt has boto3's names."
        refuse(f"SERVICES={name}: AWS has no such service; {advice}")
    return name


def _file(variable: str, environment: Mapping[str, str]) -> Path | None:
    value = environment.get(variable, "").strip()
    if not value:
        return None
    path = Path(value)
    if path.is_dir():
        refuse(f"{variable}={value} is a folder; name a file in it.")
    if not path.exists():
        refuse(
            f"{variable}={value}: there is no such file; correct the path "
            f"(the current folder is {Path.cwd()})."
        )
    return path


def _requirements(environment: Mapping[str, str]) -> Path | None:
    path = _file("REQUIREMENTS", environment)
    if path and path.suffix in {".whl", ".zip", ".gz", ".tgz"}:
        refuse(f"REQUIREMENTS={path} is a package; write its path into a text file, and name that file.")
    return path


def _label(path: Path) -> str:
    absolute = path.resolve()
    return str(absolute.relative_to(ROOT)) if absolute.is_relative_to(ROOT) else str(path)


def main() -> None:
    """Print the artifact's folder, relative to the checkout.

    Raises:
        SystemExit: a variable has a wrong value; the message says what to do.
    """
    try:
        print(read(os.environ).folder().relative_to(ROOT))
    except OSError as error:
        refuse(f"{error.filename} cannot be read ({error.strerror}); correct the path or its permissions.")


if __name__ == "__main__":
    main()
