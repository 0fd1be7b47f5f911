"""Finds the driver that is meant among those that the engines declare.

A driver is found by the package that the given callable is of, or named by the caller. A name that is not
known, or that does not fit the connection or error that a login gives, is refused: errors would be judged by
the wrong words, and no rejection recognised. A callable that is not known is taken for a driver of the common
kind: ``host``, ``port``, ``user``, ``password``, ``database`` (PEP 249), errors told by what the secret's
engine says; its TLS is the caller's to name, and without it the login is refused.

Engines are folders of ``rotators.engines`` with a module ``driver``. They are loaded one after the other, and
only until the driver is found.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import os
import pkgutil
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import rotators.engines
from rotators.core.errors import ConfigurationError, InvalidInput
from rotators.logins.driver import Driver, Verdict, common_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rotators.core.secret import Secret
    from rotators.logins.driver import ClientSide


def _client_sides() -> Iterator[ClientSide]:
    """What the engines declare; each is loaded when the iteration comes to it."""
    return (_client_side(engine) for engine in _engines())


@functools.cache
def _engines() -> tuple[str, ...]:
    """The folders of engines that have a client's side, without importing any."""
    return tuple(
        engine.name
        for engine in pkgutil.iter_modules(rotators.engines.__path__)
        if engine.ispkg
        for module in pkgutil.iter_modules(
            [os.path.join(path, engine.name) for path in rotators.engines.__path__]  # noqa: PTH118 - as __path__
        )
        if module.name == "driver"
    )


@functools.cache
def _client_side(engine: str) -> ClientSide:
    found: ClientSide = import_module(f"rotators.engines.{engine}.driver").CLIENT_SIDE
    return found


def _drivers() -> Iterator[Driver]:
    return (driver for side in _client_sides() for driver in side.drivers)


def _side_of(engine: str) -> ClientSide | None:
    """Who knows servers of an engine, by its name or by a part of it."""
    sides = list(_client_sides())
    named = (side for side in sides if engine in side.engines.values())
    return next(named, next((side for side in sides if any(word in engine for word in side.words)), None))


def engine_of(secret: Secret) -> str:
    """The engine in a value, by one name for each kind of server; empty when it names none."""
    named = str(secret.get("engine") or "").lower()
    return next((side.engines[named] for side in _client_sides() if named in side.engines), named)


def same_engine(one: Secret, other: Secret) -> bool:
    """Whether two values are for the same kind of server; one that names none is for any."""
    return one.get("engine") == other.get("engine") or len({engine_of(one), engine_of(other)} - {""}) < 2  # noqa: PLR2004 - two that differ


def default_port_of(secret: Secret) -> int:
    """The default port of the engine in a value; 0 when it is not known."""
    engine = engine_of(secret)
    return next((side.port for side in _client_sides() if engine in side.engines.values()), 0)


def _judge_by_engine(error: Exception, secret: Secret) -> Verdict:
    side = _side_of(engine_of(secret))
    return side.judge(error) if side else Verdict.OTHER


COMMON = common_kind("", "", _judge_by_engine)
"""A driver that is not known."""


def driver_of(connect: Callable[..., Any]) -> Driver:
    """The driver that a callable belongs to.

    Args:
        connect: such as ``psycopg.connect``, a class, a bound method, or one of a subclass of the driver's.

    Returns:
        What is known of it; `COMMON` if nothing is.

    Raises:
        ConfigurationError: it is of a part of the driver that is not covered, such as redis-py's for asyncio.
    """
    modules = _modules_of(connect)
    found = _found(modules) or COMMON
    for part, instead in found.uncovered.items():
        if any(module.startswith(part) for module in modules):
            raise ConfigurationError(f"{part} is not covered", remedy=instead)
    return found


def _modules_of(connect: object) -> list[str]:
    """The modules that a callable may be of: its own, and those of its class, the nearest first."""
    owner = connect if inspect.isclass(connect) else getattr(connect, "__self__", connect)
    kind = owner if inspect.isclass(owner) else type(owner)
    own = getattr(connect, "__module__", None)
    return [str(module) for module in (own, *(each.__module__ for each in kind.__mro__)) if module]


def _found(modules: Iterable[str]) -> Driver | None:
    """The known driver that one of the modules belongs to, the first that does."""
    return next((driver for module in modules if (driver := _owner_of(module))), None)


@functools.lru_cache(maxsize=256)
def _owner_of(module: str) -> Driver | None:
    if module.partition(".")[0] in sys.stdlib_module_names:
        return None
    return next((driver for driver in _drivers() if driver.owns(module)), None)


def driver_named(driver: object) -> Driver:
    """The driver that a caller means.

    Args:
        driver: a ``Driver``, or the name of its package.

    Raises:
        InvalidInput: there is none of this name, or it is something else.
    """
    if isinstance(driver, Driver):
        return driver
    if isinstance(driver, str) and (
        found := next((each for each in _drivers() if each.name == driver), None)
    ):
        return found
    names = {each.name.lower(): each.name for each in _drivers()}
    known = ", ".join(names.values())
    if not isinstance(driver, str):
        raise InvalidInput(f"driver must be a driver's name, one of {known}", remedy="Correct the argument.")
    near = difflib.get_close_matches(driver.lower(), names, 1)
    raise InvalidInput(
        f"driver {driver!r} is not known",
        remedy=(f"Did you mean {names[near[0]]!r}? " if near else "")
        + f"Pass one of {known}, or COMMON of rotators.client.drivers for another one.",
    )


def driver_of_dialect(name: str) -> Driver:
    """The driver of a dialect of SQLAlchemy; of the common kind when it is not known."""
    return next((driver for driver in _drivers() if name in {driver.dialect, driver.name}), COMMON)


def driver_meant(driver: object, connect: Callable[..., Any]) -> Driver:
    """The driver of a callable, as named by the caller or found.

    Args:
        driver: as for ``driver_named``; None to find it.
        connect: the callable.

    Raises:
        InvalidInput: as ``driver_named``.
        ConfigurationError: the callable is another driver's than the caller names.
    """
    found = driver_of(connect)
    if driver is None:
        return found
    named = driver_named(driver)
    if found not in {COMMON, named} and not (named is COMMON and found.common):
        raise ConfigurationError(
            f"the driver is said to be {named.name or 'of the common kind'!r}, and the function is of"
            f" {found.name!r}",
            remedy="Leave driver out: it is found by the function.",
        )
    return named


def check_connection(driver: Driver, connection: object) -> None:
    """Check that a connection is not one of another driver that is known.

    Args:
        driver: that is said to have made it.
        connection: that was made.

    Raises:
        ConfigurationError: it is; no rejection would be recognised, so the connection must not be used.
    """
    if driver.common:
        return
    found = _found(each.__module__ for each in type(connection).__mro__)
    if found not in {None, driver}:
        raise _mistaken(driver, found, "made a connection")


def check_error(driver: Driver, error: Exception) -> None:
    """Check that an error is not one of another driver for the same servers.

    Args:
        driver: that is said to have raised it.
        error: that was raised.

    Raises:
        ConfigurationError: it is, so nobody can tell whether the login was rejected.
    """
    if driver.common:
        return
    found = _found(each.__module__ for each in type(error).__mro__)
    if found not in {None, driver} and found.engine == driver.engine:
        raise _mistaken(driver, found, "raised an error")


def _mistaken(driver: Driver, other: Driver, doing: str) -> ConfigurationError:
    return ConfigurationError(
        f"the driver is said to be {driver.name!r}, and the login {doing} of {other.name!r}",
        remedy=f"Pass driver={other.name!r}.",
    )
