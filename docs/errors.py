"""Prints docs/reference/errors.md from the error classes (`make docs`)."""

from __future__ import annotations

import ast
import importlib
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from rotators.core import errors
from rotators.core.registry import load, registered
from rotators.logins.causes import CAUSES
from rotators.recovery.refusals import REFUSALS
from rotators.strategies.engine import remedies_of
from rotators.strategies.rotator import engine_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(errors.__file__).parents[1]
# Importing a module of errors makes its classes known to their base class.
for file in SOURCE.rglob("errors.py"):
    importlib.import_module(".".join(file.relative_to(SOURCE.parent).with_suffix("").parts))

HEADER = """\
# Errors

Every error has a stable code, a cause and a next action. Messages begin with the code
(`[target-unavailable/timeout] …`), and the log contains it as `error_code`. Codes do not change between
releases. The part after the slash is the reason. Secret values are masked in all errors.

*Retryable* means that the same call can succeed later without a change by a person. Secrets Manager
repeats a failed rotation while its window is open.

`make docs` generates this page from the code. A test checks that it is up to date.
"""


def classes(root: type[errors.RotatorsError]) -> Iterator[type[errors.RotatorsError]]:
    """The class and its descendants: parents first, then those of core, then by module."""
    yield root
    children = (each for each in root.__subclasses__() if _is_ours(each))
    for child in sorted(children, key=lambda each: (each.__module__ != errors.__name__, each.__module__)):
        yield from classes(child)


def _is_ours(kind: type[errors.RotatorsError]) -> bool:
    return kind.__module__.startswith("rotators.") and kind.__module__.endswith(".errors")


def narrowed() -> Iterator[tuple[str, str, str]]:
    """Every other error that is raised with a reason: (code, message, module), read from the source."""
    kinds = {kind.__name__: kind for kind in classes(errors.RotatorsError)}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args:
                named = node.args[0] if getattr(node.func, "id", "") == "_Fault" else node.func
                kind = kinds.get(ast.unparse(named).removeprefix("errors."))
                reason = next((word.value for word in node.keywords if word.arg == "reason"), None)
                if kind and isinstance(reason, ast.Constant):
                    module = path.relative_to(SOURCE.parent).as_posix()
                    yield f"{kind.code}/{reason.value!s}", template(node), module


def template(call: ast.Call) -> str:
    """Return a message with ``…`` for its values; for the table of faults, AWS's codes or text."""
    words = {word.arg: word.value for word in call.keywords}
    said = words.get("codes") or words.get("what") or words.get("message")
    message = said or call.args[0]
    if isinstance(message, ast.Constant):
        return str(message.value)
    if isinstance(message, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in message.values)
    return "…"


def remedies() -> Iterator[tuple[str, str, str]]:
    """What engines add to next actions: (code, engines, text), in the order of the causes."""
    engines: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in sorted(registered().names):
        for reason, text in remedies_of(engine_of(load(name))).items():
            engines[reason, text].append(name)
    for reason, text in sorted(engines, key=lambda each: [*{**CAUSES, **REFUSALS}, "pooler"].index(each[0])):
        kind = CAUSES[reason].kind if reason in CAUSES else errors.TargetRefused
        yield f"{kind.code}/{reason}", ", ".join(f"`{name}`" for name in engines[reason, text]), text


def page() -> str:
    """Return the complete page."""
    lines = [HEADER, "| code | error | cause | next action | retryable |", "|---|---|---|---|---|"]
    for kind in classes(errors.RotatorsError):
        meaning = " ".join((kind.__doc__ or "").split("Args:")[0].split())
        retryable = "yes" if kind.retryable else ""
        lines.append(f"| `{kind.code}` | {kind.__name__} | {meaning} | {kind.remedy} | {retryable} |")
    lines += [
        "",
        "## Failed logins to databases",
        "",
        "| code | cause | next action |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{cause.kind.code}/{reason}` | {cause.text} | {cause.remedy or cause.kind.remedy} |"
        for reason, cause in CAUSES.items()
    ]
    lines += [
        "",
        "Errors and `rotators doctor` add to the next action what the secret's engine declares:",
        "",
        "| code | engine | addition to the next action |",
        "|---|---|---|",
    ]
    lines += [f"| `{code}` | {names} | {text} |" for code, names, text in remedies()]
    lines += ["", "## Other reasons", "", "| code | message | raised in |", "|---|---|---|"]
    lines += [f"| `{code}` | {said} | `{module}` |" for code, said, module in sorted(set(narrowed()))]
    return "\n".join(lines)


if __name__ == "__main__":
    print(page())
