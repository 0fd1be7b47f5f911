"""A call of ``connect``: the driver's function, its arguments, and the parts of the target that they decide.

A stored version is untrusted: any person who may write the secret may have written it. Its password is sent
only to the server that the same version names, and only while AWSCURRENT names that server too. What the
caller passes (``host=`` of a proxy, ``sslmode=``) is the caller's decision and is not compared. The
database's name is not compared either, because a server asks for the password before it looks for the
database.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rotators.client._drivers import default_port_of, driver_meant, same_engine
from rotators.core.errors import InvalidInput, SecretFormatError
from rotators.core.secret import Secret
from rotators.logins.target import TargetIdentity

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.aws.secrets import SecretVersion
    from rotators.logins.driver import Driver

CREDENTIALS = frozenset({"user", "username", "password", "passwd"})
"""Arguments of drivers that come from the secret, never from the caller."""

_PLACES = frozenset({"host", "hostaddr", "port", "dbname", "database", "db", "unix_socket"})


@dataclass(frozen=True, slots=True)
class ConnectCall:
    """A call of a driver's function for a login.

    Attributes:
        driver: its argument names and errors apply.
        connect: the driver's function.
        args: positional arguments of the caller.
        given: keyword arguments of the caller.
    """

    driver: Driver
    connect: Callable[..., Any]
    args: tuple[Any, ...]
    given: dict[str, Any]

    @classmethod
    def of(
        cls,
        driver: Driver | str | None,
        connect: Callable[..., Any],
        args: tuple[Any, ...],
        given: dict[str, Any],
    ) -> ConnectCall:
        """Find the driver, and all arguments of the caller, because they override the secret.

        Those in a ``functools.partial`` and in the driver's connection string are included.

        Args:
            driver: or its name; None to find it by ``connect``.
            connect: the driver's function.
            args: positional arguments of the caller.
            given: keyword arguments of the caller.

        Returns:
            The call, ready to be made with the secret of any version.

        Raises:
            InvalidInput: a user or password was given, the connection string is malformed, or ``driver``
                names no driver.
            ConfigurationError: this part of the driver is not supported, or ``connect`` belongs to another
                driver.
        """
        while isinstance(connect, functools.partial):
            args, given = (*connect.args, *args), {**connect.keywords, **given}
            connect = connect.func
        known = driver_meant(driver, connect)
        # Without those that are None: they may be in the connection string, or be positional.
        args, given = known.unpacked(args, _without_unset_places(given))
        given = _without_unset_places(given)
        if named := sorted(CREDENTIALS & given.keys()):
            raise InvalidInput(
                f"{' and '.join(named)} given to connect()",
                remedy="Omit them: they come from the secret and change with it.",
            )
        return cls(known, connect, args, given)

    def made(self, secret: Secret, seconds: float) -> Any:
        """Call the function for one login.

        Args:
            secret: value to log in with.
            seconds: time limit of the login.

        Returns:
            The function's result.

        Raises:
            Exception: the driver's error.
        """
        return self.connect(*self.args, **self.driver.arguments(secret, seconds, self.given))


def _without_unset_places(given: dict[str, Any]) -> dict[str, Any]:
    """For an address that is None, a driver uses its own default and would send the password there."""
    return {name: value for name, value in given.items() if value is not None or name not in _PLACES}


@dataclass(frozen=True, slots=True)
class Destination:
    """The parts of a login's target that the caller decides.

    Attributes:
        given: names of the arguments that the caller passes to the driver.
        driver: driver of the logins; None if it is not known.
    """

    given: frozenset[str] = frozenset()
    driver: Driver | None = None

    @property
    def names_host(self) -> bool:
        """True if the caller names the server."""
        return not self.given.isdisjoint({"host", "unix_socket"})

    @property
    def names_address(self) -> bool:
        """True if no part of the address comes from the secret."""
        return "unix_socket" in self.given or self.given >= {"host", "port"}

    @property
    def names_database(self) -> bool:
        """True if the caller names the database."""
        return not self.given.isdisjoint({"database", "db", "dbname"})

    def target(self, secret: Secret) -> TargetIdentity:
        """Return the target of a login, without the parts that the caller decides.

        Args:
            secret: value to log in with.

        Raises:
            SecretFormatError: a key has a value that no login accepts.
        """
        decided = {"host": self.names_host, "port": "port" in self.given}
        left = Secret({key: value for key, value in secret.items() if not decided.get(key)})
        if any(name.startswith(("ssl", "tls")) for name in self.given):
            # The caller may have turned TLS off, so the key that protects logins without TLS is compared.
            left = left.replace(ssl=False, sslrootcert=None, start_tls=None)
        default = default_port_of(secret, self.driver)
        return TargetIdentity.of(left, default, os.environ.get("SSL_ROOT_CERT") or None)

    def same(self, one: Secret, other: Secret) -> bool:
        """Return True if logins with both values go to the same server; False if a value is malformed.

        Args:
            one: a value.
            other: another value.
        """
        try:
            return same_engine(one, other) and self.target(one).is_same_as(self.target(other))
        except SecretFormatError:
            return False

    def same_for(self, one: SecretVersion, other: SecretVersion) -> bool:
        """Return True if logins with both versions go to the same server; False if one is not a JSON object.

        Args:
            one: a version.
            other: another version.
        """
        try:
            return self.same(one.secret, other.secret)
        except SecretFormatError:
            return False

    def account(self, secret: Secret) -> tuple[str, TargetIdentity]:
        """Return user and target of a login: servers count rejected logins for these.

        Args:
            secret: value to log in with.

        Returns:
            The user, empty if the secret names none, and the target.

        Raises:
            SecretFormatError: as ``target``.
        """
        user = secret.text("username") if "username" in secret else ""
        return user, self.target(secret)
