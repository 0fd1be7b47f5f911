"""Finds a driver among those that the engines declare.

The caller names the driver, or it is found by the package of the callable. A name that is unknown, or that
does not fit the connection or error of a login, is an error: failures would be classified by the wrong
messages, and no rejection would be recognised. An unknown callable counts as a driver of the common kind:
arguments ``host``, ``port``, ``user``, ``password``, ``database`` (PEP 249), and errors classified by the
secret's engine. Its caller has to pass the driver's own TLS arguments, otherwise the login is refused.

Each driver is an entry point of the group ``rotators.drivers``, named like its package, whose value is the
`ClientSide` of its engine. Only that engine is loaded. An engine without drivers of its own is an entry point
of the group ``rotators.servers``, named like the engine.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import sys
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from rotators.core.errors import ConfigurationError, InvalidInput
from rotators.logins.driver import ClientSide, Driver, Verdict, common_kind, verdict_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rotators.core.secret import Secret


@functools.cache
def _points() -> dict[str, EntryPoint]:
    """Return the declarations of the drivers by name of the package. No engine is imported.

    Raises:
        ConfigurationError: there are none, so every driver would be taken for one that is not known.
    """
    found = {point.name: point for point in entry_points(group="rotators.drivers")}
    if not found:
        raise ConfigurationError("no driver is registered", remedy="Install rotators as a package, with pip.")
    return found


@functools.cache
def _servers() -> dict[str, EntryPoint]:
    """Return the declarations of the engines that use drivers of others, by name of the engine."""
    return {point.name: point for point in entry_points(group="rotators.servers")}


@functools.cache
def _driver(name: str) -> Driver:
    """Return the driver of a name in `_points`."""
    side: ClientSide = _points()[name].load()
    return next(driver for driver in side.drivers if driver.name == name)


def _client_sides() -> Iterator[ClientSide]:
    """Yield the declarations of the engines; each one is loaded when the iteration reaches it."""
    points = (*_points().values(), *_servers().values())
    return (point.load() for point in {point.value: point for point in points}.values())


def _side_of(engine: str) -> ClientSide | None:
    """Find the declaration for an engine, by its name or by a part of it."""
    sides = list(_client_sides())
    named = (side for side in sides if engine in side.engines.values())
    return next(named, next((side for side in sides if any(word in engine for word in side.words)), None))


def engine_of(secret: Secret) -> str:
    """Return the engine of a secret, with one name for each kind of server; empty if it names none.

    Args:
        secret: a secret's value.
    """
    named = _engine_named(secret)
    side = declared_for(secret)
    return side.engines[named] if side else named


def declared_for(secret: Secret, driver: Driver | None = None) -> ClientSide | None:
    """Return the declaration of a secret's engine; None if no engine declares its name.

    Args:
        secret: a secret's value.
        driver: driver of the login. Its own engine is asked first, so that usually no other one is loaded.

    Raises:
        ConfigurationError: no driver is registered; rotators is not installed as a package.
    """
    named = _engine_named(secret)
    sides = _nearest_first(named, driver)
    return next((side for side in sides if named in side.engines), None) if named else None


def _nearest_first(engine: str, driver: Driver | None) -> Iterator[ClientSide]:
    """Yield the driver's declaration, the engine's own if it uses drivers of another one, then all."""
    if driver and driver.name in _points():
        yield _points()[driver.name].load()
    if engine in _servers():
        yield _servers()[engine].load()
    yield from _client_sides()


def _engine_named(secret: Secret) -> str:
    return str(secret.get("engine") or "").lower()


def same_engine(one: Secret, other: Secret) -> bool:
    """Return True if two values are for the same kind of server; one without an engine is for any.

    Args:
        one: a secret's value.
        other: another value.
    """
    return one.get("engine") == other.get("engine") or len({engine_of(one), engine_of(other)} - {""}) < 2  # noqa: PLR2004 - two that differ


def default_port_of(secret: Secret, driver: Driver | None) -> int:
    """Return the default port of a secret's engine; the driver's if it names none; 0 if none is known.

    Args:
        secret: a secret's value.
        driver: driver of the login; None if it is not known.

    Returns:
        A port from 1 to 65535, or 0.
    """
    side = declared_for(secret, driver)
    return side.port if side else (driver.port if driver else None) or 0


def completed(secret: Secret, driver: Driver) -> Secret:
    """Return a secret with the defaults of its engine: a driver's own may be those of another engine.

    Args:
        secret: a secret's value.
        driver: driver of the login.
    """
    side = declared_for(secret, driver)
    defaults = {"port": side.port, **side.target_defaults} if side else {}
    return secret.replace(**{key: value for key, value in defaults.items() if secret.get(key) is None})


def _judge_by_engine(error: Exception, secret: Secret) -> Verdict:
    side = _side_of(engine_of(secret))
    return verdict_on(error, side.messages) if side else Verdict.OTHER


COMMON = common_kind("", _judge_by_engine)
"""Stands for every driver that no engine declares."""


def driver_of(connect: Callable[..., Any]) -> Driver:
    """Return the driver that a callable belongs to.

    Args:
        connect: ``psycopg.connect``, a class, a bound method, or one of a subclass of the driver's class.

    Returns:
        The driver; `COMMON` if no engine declares it.

    Raises:
        ConfigurationError: no driver is registered; rotators is not installed as a package.
    """
    return _found(_modules_of(connect)) or COMMON


def _modules_of(connect: object) -> list[str]:
    """Modules that a callable may belong to: its own, and those of its class, the nearest first."""
    owner = connect if inspect.isclass(connect) else getattr(connect, "__self__", connect)
    kind = owner if inspect.isclass(owner) else type(owner)
    own = getattr(connect, "__module__", None)
    return [str(module) for module in (own, *(each.__module__ for each in kind.__mro__)) if module]


def _found(modules: Iterable[str]) -> Driver | None:
    """Return the driver of the first module that belongs to one."""
    return next((driver for module in modules if (driver := _owner_of(module))), None)


@functools.lru_cache(maxsize=256)
def _owner_of(module: str) -> Driver | None:
    if module.partition(".")[0] in sys.stdlib_module_names:
        return None
    parts = module.split(".")
    packages = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return next((_driver(package) for package in packages if package in _points()), None)


def driver_named(driver: object) -> Driver:
    """Return the driver with a name.

    Args:
        driver: a ``Driver``, or the name of its package.

    Raises:
        InvalidInput: no driver has this name, or it is of another type.
        ConfigurationError: no driver is registered; rotators is not installed as a package.
    """
    if isinstance(driver, Driver):
        return driver
    if isinstance(driver, str) and driver in _points():
        return _driver(driver)
    names = {name.lower(): name for name in _points()}
    known = ", ".join(names.values())
    if not isinstance(driver, str):
        raise InvalidInput(f"driver must be a driver's name, one of {known}", remedy="Correct the argument.")
    near = difflib.get_close_matches(driver.lower(), names, 1)
    raise InvalidInput(
        f"driver {driver!r} is not known",
        remedy=(f"Did you mean {names[near[0]]!r}? " if near else "")
        + f"Pass one of {known}, or COMMON of rotators.client for another one.",
    )


def driver_of_dialect(name: str) -> Driver:
    """Return the driver of a SQLAlchemy dialect; `COMMON` if no engine declares it.

    Args:
        name: the dialect's ``driver``.

    Raises:
        ConfigurationError: no driver is registered; rotators is not installed as a package.
    """
    if name in _points():
        return _driver(name)
    drivers = (driver for side in _client_sides() for driver in side.drivers)
    return next((driver for driver in drivers if name == driver.dialect), COMMON)


def driver_meant(driver: object, connect: Callable[..., Any]) -> Driver:
    """Return the driver of a callable, as named by the caller or found.

    Args:
        driver: as for ``driver_named``; None to find it.
        connect: the callable.

    Raises:
        InvalidInput: as ``driver_named``.
        ConfigurationError: the callable belongs to another driver.
    """
    found = driver_of(connect)
    if driver is None:
        return found
    named = driver_named(driver)
    if found not in {COMMON, named} and not (named is COMMON and found.common):
        raise ConfigurationError(
            f"the argument driver names {named.name or 'COMMON'!r}, but the function belongs to "
            f"{found.name!r}",
            remedy="Omit driver: the function determines it.",
        )
    return named


def check_owner(driver: Driver, made: object) -> None:
    """Check that the result of a login does not belong to another known driver.

    Args:
        driver: driver of the login.
        made: the connection, or the error that was raised.

    Raises:
        ConfigurationError: it does. No rejection would be recognised, so the connection must not be used.
    """
    if driver.common:
        return
    found = _found(each.__module__ for each in type(made).__mro__)
    error = isinstance(made, Exception)
    # An error may come from a driver for other servers that the application uses in between.
    if found is None or found.name == driver.name or (error and found.engine != driver.engine):
        return
    raise ConfigurationError(
        f"the argument driver names {driver.name!r}, but the login"
        f" {'raised an error' if error else 'returned a connection'} of {found.name!r}",
        remedy=f"Pass driver={found.name!r}.",
    )
