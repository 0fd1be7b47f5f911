"""Which server a stored version leads to, compared before its password is used.

A stored version is input: anyone who may write the secret may have written it. Its password is sent only to
the server that the same version names, and only while AWSCURRENT names that server too. What the caller of
``connect`` passes (``host=`` of a proxy, ``sslmode=``) is the caller's decision, so it is not compared.
The database's name is not compared: a server asks for the password before it looks for the database.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rotators.client.drivers import default_port_of, same_engine
from rotators.core.errors import SecretFormatError
from rotators.core.secret import Secret
from rotators.logins.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rotators.logins.driver import Driver


@dataclass(frozen=True, slots=True)
class Destination:
    """What a caller decides about the target of its logins.

    Attributes:
        given: the names of the arguments that the caller passed to the driver.
        port: the driver's default; None when it depends on the secret's engine.
    """

    given: frozenset[str] = frozenset()
    port: int | None = None

    @classmethod
    def of(cls, driver: Driver, given: Iterable[str]) -> Destination:
        """The destination of a driver's logins.

        Args:
            driver: of the logins.
            given: the names of the arguments that the caller passes to it.
        """
        return cls(frozenset(given), driver.port)

    @property
    def names_host(self) -> bool:
        """Whether the caller names the server."""
        return not self.given.isdisjoint({"host", "unix_socket"})

    @property
    def names_address(self) -> bool:
        """Whether nothing of the address comes from the secret."""
        return "unix_socket" in self.given or self.given >= {"host", "port"}

    @property
    def names_database(self) -> bool:
        """Whether the caller names the database."""
        return not self.given.isdisjoint({"database", "db", "dbname"})

    def target(self, secret: Secret) -> Target:
        """Where a login with this value goes, as far as the secret decides it.

        Raises:
            SecretFormatError: a key has a value that no login takes.
        """
        decided = {
            "host": self.names_host,
            "port": "port" in self.given,
            **dict.fromkeys(("ssl", "sslrootcert"), any(name.startswith("ssl") for name in self.given)),
        }
        left = Secret({key: value for key, value in secret.items() if not decided.get(key)})
        default = default_port_of(secret) if self.port is None else self.port
        return Target.of(left, default, os.environ.get("SSL_ROOT_CERT") or None)

    def same(self, one: Secret, other: Secret) -> bool:
        """Whether logins with both values go to the same server. A value that is malformed goes nowhere."""
        try:
            return same_engine(one, other) and self.target(one) == self.target(other)
        except SecretFormatError:
            return False

    def account(self, secret: Secret) -> tuple[str, Target]:
        """Whom a login with this value is for: what servers count rejected logins for.

        Raises:
            SecretFormatError: as ``target``.
        """
        user = secret.text("username") if "username" in secret else ""
        return user, self.target(secret)
