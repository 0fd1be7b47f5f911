"""The public names of the packages exist, are documented, and are loaded only when they are used."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PUBLIC = {
    "rotators": {
        "CredentialsRejected",
        "IdentityMismatch",
        "Rotation",
        "Rotator",
        "RotatorsError",
        "Secret",
        "SecretFormatError",
        "Settings",
        "TargetRefused",
        "TargetUnavailable",
        "Tries",
        "__version__",
    },
    "rotators.client": {
        "COMMON",
        "AsyncCredentials",
        "AsyncSecretCache",
        "Attempt",
        "Credentials",
        "RetrieveUrl",
        "SecretCache",
        "SecretsManager",
        "driver_named",
    },
    "rotators.client.integrations.psycopg": {"async_pool_options", "pool_options"},
    "rotators.client.integrations.redis": {"RedisCredentials"},
    "rotators.client.integrations.redis_asyncio": {"AsyncRedisCredentials"},
    "rotators.client.integrations.sqlalchemy": {"attach"},
    "rotators.engines": {
        "Alternating",
        "Dual",
        "Engine",
        "EngineRotator",
        "Password",
        "PasswordRules",
        "Proof",
        "Single",
        "host_of",
        "port_of",
        "wants_tls",
    },
    "rotators.testing": {
        "Hook",
        "Kind",
        "RotatorContractV1",
        "RotatorContractV2",
        "RotatorCrashesV1",
        "RotatorRacesV1",
        "Target",
        "Value",
        "aws",
    },
}
"""Removing a name is a breaking change; a new name needs an entry in docs/reference/public-api.md."""

NAMES = [(package, name) for package, names in PUBLIC.items() for name in sorted(names)]


@pytest.mark.parametrize("package", PUBLIC)
def test_a_package_lists_its_public_names(package: str) -> None:
    listed = importlib.import_module(package).__all__
    assert set(listed) == PUBLIC[package]
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_every_public_name_exists(package: str, name: str) -> None:
    found = getattr(importlib.import_module(package), name)
    if inspect.isclass(found) and name != "Value":  # an alias of dict
        assert inspect.getdoc(found)


@pytest.mark.parametrize("package", PUBLIC)
def test_another_name_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match="nothing"):
        importlib.import_module(package).nothing  # noqa: B018 - the access is the test


@pytest.mark.parametrize("package", PUBLIC)
def test_the_docs_list_every_public_name(package: str) -> None:
    page = (ROOT / "docs" / "reference" / "public-api.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{re.escape(package)}` \|.*$", page, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) - {package} == PUBLIC[package]


@pytest.mark.processes
@pytest.mark.parametrize("package", [name for name in PUBLIC if "integrations" not in name])
def test_importing_a_package_loads_no_other_module(package: str) -> None:
    code = f"import sys, {package}; print(*[name for name in sys.modules if name.startswith('rotators')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"rotators", package}


TEXTS = [
    path
    for pattern in (
        "README.md",
        "docs/**/*.md",
        "examples/**/*.md",
        "examples/**/*.py",
        "rotators/cli/example/**/*.py",
    )
    for path in ROOT.glob(pattern)
]


def test_pages_and_examples_import_public_names_only() -> None:
    imports = re.compile(r"^ *from (rotators[\w.]*) import ([\w, ]+)", re.MULTILINE)
    found = [
        (path.relative_to(ROOT).as_posix(), module, name)
        for path in TEXTS
        for module, names in imports.findall(path.read_text(encoding="utf-8"))
        for name in names.split(", ")
        if name not in PUBLIC.get(module, set())
    ]
    assert not found


@pytest.mark.parametrize("package", ["rotators.client", "rotators.testing"])
def test_private_modules_have_a_leading_underscore(package: str) -> None:
    named = {path.stem for path in (ROOT / package.replace(".", "/")).iterdir() if path.suffix == ".py"}
    assert len(named) > 5
    assert not [name for name in named if not name.startswith("_")]
