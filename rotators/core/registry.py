"""Finds rotators by name among the entry points of the group ``rotators``.

A package provides one with::

    [project.entry-points.rotators]
    my-service = "my_package.my_service:rotator"

where ``rotator`` is called without arguments and returns a Rotator. Built-in rotators register in the
same way. Only the named entry point is loaded, so drivers of other databases are not imported.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from rotators.core.contracts import Rotator
from rotators.core.errors import BrokenRotator, DuplicateRotator, RotatorNotFound, RotatorsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import EntryPoint, EntryPoints

    from rotators.core.secret import Secret
    from rotators.core.settings import Settings

GROUP = "rotators"

# Other names of engines that drivers, other tools and the console use.
_ALSO_CALLED = {
    "aurora": "aurora-mysql",
    "aurora-postgres": "aurora-postgresql",
    "maria": "mariadb",
    "mssql": "sqlserver",  # similar to "mysql", but a different engine
    "pg": "postgres",
    "pgsql": "postgres",
    "postgresql": "postgres",
    "psql": "postgres",
    "sql-server": "sqlserver",
}


def rotator_name(secret: Secret, settings: Settings) -> str:
    """Return the name of the rotator for a secret: ROTATOR if set, else the secret's ``engine``.

    Args:
        secret: the current value.
        settings: settings of the function.

    Raises:
        SecretFormatError: ROTATOR is not set, and the secret has no ``engine``.
    """
    return settings.rotator or secret.text("engine")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the most similar valid name, or an empty text.

    Args:
        name: the unknown name.
        known: the valid names.
    """
    import difflib  # noqa: PLC0415 - only an error needs it

    written = name.strip().lower()
    names = sorted(known)
    near = difflib.get_close_matches(written, names, 1)
    meant = _ALSO_CALLED.get(written, near[0] if near else "")
    return f" (did you mean {meant!r}?)" if meant in names else ""


@lru_cache(maxsize=1)
def registered() -> EntryPoints:
    """List the entry points of all rotators; a process reads the installed distributions once.

    Returns:
        The entry points; two have the same name if two distributions register it.
    """
    return entry_points(group=GROUP)


@lru_cache(maxsize=32)
def load(name: str) -> Rotator:
    """Load the rotator registered as ``name``; a warm container keeps it.

    Args:
        name: name of the entry point.

    Returns:
        The rotator.

    Raises:
        RotatorNotFound: no distribution registers the name; the error lists the registered names.
        DuplicateRotator: two distributions register it; both are named.
        BrokenRotator: it cannot be loaded, or is not a rotator; the distribution is named.
    """
    found = [entry for entry in registered() if entry.name == name]
    if not found:
        names = {entry.name for entry in registered()}
        raise RotatorNotFound(
            f"no rotator is registered as {name[:40]!r}{did_you_mean(name, names)};"
            f" installed rotators: {', '.join(sorted(names)) or 'none'}"
        )
    if len(found) > 1:
        owners = " and ".join(sorted(_owner(entry) for entry in found))
        raise DuplicateRotator(f"the rotator {name!r} is registered by {owners}")
    return _loaded(found[0])


def _loaded(entry: EntryPoint) -> Rotator:
    try:
        rotator = entry.load()()
    except RotatorsError:
        raise
    except Exception as error:
        # The type is enough to act on, and a third-party message may contain a secret value.
        kind = type(error).__name__
        module = f" for {error.name!r}" if isinstance(error, ImportError) and error.name else ""
        raise BrokenRotator(f"{_place(entry)} cannot be loaded: {kind}{module}") from error
    if not isinstance(rotator, Rotator):
        raise BrokenRotator(
            f"{_place(entry)} gave a {type(rotator).__name__} without propose, apply and verify"
        )
    return rotator


def _place(entry: EntryPoint) -> str:
    return f"the rotator {entry.name!r} of {_owner(entry)} ({entry.value})"


def _owner(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown distribution"
