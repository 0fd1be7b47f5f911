"""Which server a stored version leads to, compared before its password is used.

A stored version is input: anyone who may write the secret may have written it. Its password is sent only to
the server that the same version names, and only while AWSCURRENT names that server too. What the caller of
``connect`` passes (``host=`` of a proxy, ``sslmode=``) is the caller's decision, so it is not compared.
The database's name is not compared: a server asks for the password before it looks for the database.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from rotators.core.errors import SecretFormatError
from rotators.core.secret import Secret
from rotators.logins.target import Target

_ENGINES = {"aurora-mysql": "mysql", "aurora-postgresql": "postgres", "postgresql": "postgres"}
_PORTS = {"mariadb": 3306, "mysql": 3306, "postgres": 5432}


@dataclass(frozen=True, slots=True)
class Destination:
    """What a caller decides about the target of its logins.

    Attributes:
        given: the names of the arguments that the caller passed to the driver.
        port: the driver's default; None when it depends on the secret's engine.
    """

    given: frozenset[str] = frozenset()
    port: int | None = None

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
        default = _PORTS.get(engine_of(secret), 0) if self.port is None else self.port
        return Target.of(left, default, os.environ.get("SSL_ROOT_CERT") or None)

    def same(self, one: Secret, other: Secret) -> bool:
        """Whether logins with both values go to the same server. A value that is malformed goes nowhere."""
        engines = {engine_of(one), engine_of(other)} - {""}
        try:
            return len(engines) < 2 and self.target(one) == self.target(other)  # noqa: PLR2004 - two that differ
        except SecretFormatError:
            return False

    def account(self, secret: Secret) -> tuple[str, Target]:
        """Whom a login with this value is for: what servers count rejected logins for.

        Raises:
            SecretFormatError: as ``target``.
        """
        user = secret.text("username") if "username" in secret else ""
        return user, self.target(secret)


def engine_of(secret: Secret) -> str:
    """The engine in a value, by one name for each protocol; empty when it names none."""
    named = str(secret.get("engine") or "").lower()
    return _ENGINES.get(named, named)
