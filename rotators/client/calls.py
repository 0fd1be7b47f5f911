"""The call that a login consists of: a driver's function, and the arguments that a caller passes to it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rotators.client.drivers import driver_meant
from rotators.core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.client.messages import Attempt
    from rotators.logins.driver import Driver

_OURS = frozenset({"user", "username", "password", "passwd"})
_PLACES = frozenset({"host", "hostaddr", "port", "dbname", "database", "db", "unix_socket"})


@dataclass(frozen=True, slots=True)
class Call:
    """What a caller wants done for a login.

    Attributes:
        driver: whose names and errors are meant.
        connect: the driver's function.
        args: its positional arguments.
        given: its keyword arguments, as far as the caller passes them.
    """

    driver: Driver
    connect: Callable[..., Any]
    args: tuple[Any, ...]
    given: dict[str, Any]

    def made(self, attempt: Attempt) -> Any:
        """What the function returns for an attempt.

        Raises:
            Exception: the driver's error.
        """
        return self.connect(*self.args, **self.driver.arguments(attempt.secret, attempt.seconds, self.given))


def checked(
    driver: Driver | str | None, connect: Callable[..., Any], args: tuple[Any, ...], given: dict[str, Any]
) -> Call:
    """The driver that is meant, and the arguments. What hides arguments is taken apart, for they have to win.

    That is a ``functools.partial``, and the driver's connection string.

    Raises:
        InvalidInput: a user or password was given, a connection string that is none, or no driver.
        ConfigurationError: the driver is known and not covered, or not that of the function.
    """
    while isinstance(connect, functools.partial):
        args, given = (*connect.args, *args), {**connect.keywords, **given}
        connect = connect.func
    known = driver_meant(driver, connect)
    # An argument that is None is one that the caller does not have: the driver would take its own default,
    # and send the password there.
    given = {name: value for name, value in given.items() if value is not None or name not in _PLACES}
    args, given = known.unpacked(args, given)
    if named := sorted(_OURS & given.keys()):
        raise InvalidInput(
            f"{' and '.join(named)} given to connect()",
            remedy="Leave them out: they come from the secret and change with it.",
        )
    return Call(known, connect, args, given)
