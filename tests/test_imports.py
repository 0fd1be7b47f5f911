"""The permitted imports: the arrows of docs/architecture.md, compared with the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rotators.core.registry import load, registered
from rotators.strategies.engine import own_members
from rotators.strategies.rotator import EngineRotator

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent

ARROWS = {
    "rotators": {"core"},
    "core": set[str](),
    "cache": {"core"},
    "logins": {"core"},
    "strategies": {"core", "logins"},
    "engines": {"core", "logins", "strategies", "aws"},
    "audit": {"core", "aws"},
    "aws": {"core", "cache"},
    "client": {"core", "cache", "aws", "logins", "engines"},
    "recovery": {"core", "aws", "logins", "strategies"},
    "iam": {"core"},
    "manage": {"core", "aws", "iam"},
    "receipts": {"core", "aws"},
    "handlers": {"core", "cache", "aws", "client", "manage", "receipts", "recovery"},
    "local": {"core", "aws", "handlers", "iam"},
    "testing": {"core", "local"},
    "functions": {"handlers"},
}
"""Parts to the other parts that they may import. The parts not named here may import all."""

AWS_NATIVE = {"activedirectory", "elasticache"}
"""Credential types whose credentials AWS's API can change. Only they import ``aws``."""

UNBOUND = {"cli", "__main__"}

STANDARD_LIBRARY_ONLY = {"rotators", "core", "cache", "iam", "logins", "strategies"}

FRAMEWORKS = {"boto3", "botocore", "moto", "aws_lambda_powertools", "pydantic", "click", "rich"}
"""Frameworks that no engine imports. The only third-party import of an engine is its own driver."""

SPEAKS_PROTOCOL_OF = {"activedirectory": "ldap", "elasticache": "redis", "redshift": "postgres"}
"""Credential types to the one whose login they use, because their servers speak its protocol."""

OF_ENGINES = {"engines", "local", "testing"}
"""Parts that contain a folder or module for each engine."""

NAMES_ENGINES = {
    "rotators/aws/addresses.py": "asks AWS's services for addresses, and names them",
    "rotators/aws/clients.py": "has a client for each of AWS's services",
    "rotators/cli/__init__.py": "says which server the demo starts",
    "rotators/cli/demo.py": "starts this server",
    "rotators/cli/stack.py": "starts it by default",
    "rotators/cli/up.py": "the same",
    "rotators/client/_credentials.py": "writes URLs in libpq's form",
    "rotators/client/integrations/pymongo.py": "is for this driver",
    "rotators/client/integrations/pymongo_asyncio.py": "is for this driver",
    "rotators/client/integrations/redis.py": "is for this driver",
    "rotators/client/integrations/redis_asyncio.py": "is for this driver",
    "rotators/core/registry.py": "guesses the engine that an unknown name means, which it may not load",
}
"""Other modules whose texts name an engine, with the reason."""

SHARED_MEMBERS = {"dbname"}
"""Members that most engines declare. The client accepts them for every engine."""

NAMES_MEMBERS = {
    "rotators/aws/addresses.py": "asks AWS's services for addresses by their identifiers",
    "rotators/core/secret.py": "reads AWS's names of members before the engine is known",
}
"""Other modules that name members that an engine declares, with the reason."""

SLOW = ("psycopg", "pymysql", "duckdb", "pydantic", "jinja2", "aws_xray_sdk", "moto")


def part_of(module: str) -> str:
    """The part that a dotted module name belongs to: a folder of the package, or a package."""
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] if first == "rotators" and rest else first


def engine_of(module: str) -> str:
    """The credential type that a module belongs to: a folder of ``engines``; empty if none."""
    parts = module.split(".")
    return parts[2] if parts[:2] == ["rotators", "engines"] and len(parts) > 2 else ""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every import of a module with its line, also those for type checkers; relative ones are resolved."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            source = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                yield node.lineno, f"{source}.{alias.name}" if source == "rotators" else source


def is_name_of_package(imported: str) -> bool:
    """True if `from rotators import x` imports a name of the package itself, such as its version."""
    first, _, rest = imported.partition(".")
    folder = ROOT / "rotators"
    return first == "rotators" and not ((folder / rest).is_dir() or (folder / f"{rest}.py").exists())


def sources() -> list[Path]:
    return sorted([*(ROOT / "rotators").rglob("*.py"), *(ROOT / "functions").rglob("*.py")])


def label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def violations(path: Path) -> Iterator[str]:
    own = part_of(module_name(path))
    for line, imported in imports(path):
        where = f"{label(path)}:{line} imports {imported}"
        first = imported.partition(".")[0]
        if first in {"rotators", "functions"}:
            plain = imported.count(".") == 1 and is_name_of_package(imported)
            target = "rotators" if plain else part_of(imported)
            if target not in {own, "rotators"} | ARROWS[own]:
                yield f"{where}: {own} may import only {sorted(ARROWS[own]) or 'itself'}"
            elif own == "engines":
                yield from (
                    f"{where}: {fault}" for fault in engine_faults(engine_of(module_name(path)), imported)
                )
        elif first in sys.stdlib_module_names:
            continue
        elif own in STANDARD_LIBRARY_ONLY:
            yield f"{where}: {own} uses the standard library only"
        elif own == "engines" and first in FRAMEWORKS:
            yield f"{where}: an engine uses its own driver only"


def engine_faults(engine: str, imported: str) -> Iterator[str]:
    """The rules that an import of a credential type breaks."""
    if engine_of(imported) not in {"", engine, SPEAKS_PROTOCOL_OF.get(engine)}:
        yield "one credential type knows nothing of another"
    if part_of(imported) == "aws" and engine not in AWS_NATIVE:
        yield "only a credential type that AWS's API changes uses AWS"


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every string of a module that is no docstring, with its line."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def test_common_modules_name_no_engine() -> None:
    names = {"active directory", "pgbouncer", *registered().names}
    engine = re.compile("|".join(names), re.IGNORECASE)
    found = {
        (label(path), line)
        for path in sources()
        if part_of(module_name(path)) not in OF_ENGINES
        for line, text in texts(path)
        if engine.search(text)
    }
    assert {where for where in found if where[0] not in NAMES_ENGINES} == set()
    assert NAMES_ENGINES.keys() == {path for path, _ in found}


def test_common_modules_know_no_engines_members() -> None:
    rotators = map(load, registered().names)
    engines = [rotator.engine for rotator in rotators if isinstance(rotator, EngineRotator)]
    members = {key for engine in engines for key in own_members(engine)} - SHARED_MEMBERS
    assert members
    found = {
        (label(path), node.lineno)
        for path in sources()
        if part_of(module_name(path)) not in OF_ENGINES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.keyword) and node.arg in members)
        or (isinstance(node, ast.Constant) and node.value in members)
    }
    assert {where for where in found if where[0] not in NAMES_MEMBERS} == set()
    assert NAMES_MEMBERS.keys() == {path for path, _ in found}


def test_imports_follow_the_arrows() -> None:
    bound = [path for path in sources() if part_of(module_name(path)) not in UNBOUND]
    new = {part_of(module_name(path)) for path in bound} - set(ARROWS)
    assert not new, "new parts: add their arrows here and in the documentation"
    assert not [violation for path in bound for violation in violations(path)]


@pytest.mark.parametrize(
    ("module", "part"),
    [
        ("rotators", "rotators"),
        ("rotators.core.steps", "core"),
        ("rotators.engines.postgres.session", "engines"),
        ("functions.rotate", "functions"),
    ],
)
def test_parts_are_distinguished(module: str, part: str) -> None:
    assert part_of(module) == part


def test_the_functions_exist() -> None:
    missing = [
        name for name in ("rotate", "store", "retrieve") if not (ROOT / "functions" / f"{name}.py").exists()
    ]
    assert not missing, f"the template names functions that do not exist: {missing}"


def loaded_by(module: str) -> set[str]:
    """The top-level modules that a new interpreter has loaded after importing one."""
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"importing {module} fails:\n{done.stderr}"
    return set(done.stdout.split())


@pytest.mark.processes
def test_the_rotate_function_loads_nothing_slow_at_import() -> None:
    loaded = loaded_by("functions.rotate")
    assert not loaded.intersection(SLOW), "a driver must be imported where it is used, not with the function"


@pytest.mark.processes
def test_core_loads_in_a_bare_interpreter() -> None:
    loaded = loaded_by("rotators.core.steps")
    assert not loaded.intersection({"boto3", "botocore", *SLOW})


def below(part: str) -> set[str]:
    """All parts that can be reached along the arrows. A cycle causes an endless recursion."""
    return set().union(*({target} | below(target) for target in ARROWS[part]))


def necessary_arrows() -> set[tuple[str, str]]:
    """The arrows that are not implied by a longer path."""
    return {
        (part, target)
        for part, targets in ARROWS.items()
        for target in targets
        if part != "rotators" and not any(target in below(other) for other in targets - {target})
    }


def listed(pattern: str, page: str) -> dict[str, set[str]]:
    """Folders of a page with the folders that they may import."""
    found = re.findall(pattern, (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    return {name: set(re.findall(r"\w+", names)) & set(ARROWS) for name, names in found}


def modules_imported_by(path: Path, modules: set[str]) -> Iterator[str]:
    """The project's modules that a module imports, wherever in its text; also those for type checkers."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            source = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                name = f"{source}.{alias.name}"
                yield name if name in modules else source


def test_no_module_is_part_of_an_import_cycle() -> None:
    paths = {module_name(path): path for path in sources() if "example" not in path.parts}
    graph = {
        name: {each for each in modules_imported_by(path, {*paths}) if each in paths and each != name}
        for name, path in paths.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError with the modules of a cycle


def test_no_arrow_leads_back() -> None:
    assert not [part for part in ARROWS if part in below(part)]


def test_the_picture_shows_the_arrows() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^    (\w+) --> (\w+)$", page, re.MULTILINE)) == necessary_arrows()


@pytest.mark.parametrize(
    ("pattern", "page"),
    [
        (r"^ *(\w+)/ .*→ (.*)$", "docs/architecture.md"),
        (r"^\| `(?:rotators/)?(\w+)/` \|.*\| ([^|]*) \|$", "CONTRIBUTING.md"),
    ],
)
def test_the_pages_list_the_arrows(pattern: str, page: str) -> None:
    found = listed(pattern, page)
    assert {part: found[part] for part in ARROWS if part != "rotators"} == {
        part: targets for part, targets in ARROWS.items() if part != "rotators"
    }
