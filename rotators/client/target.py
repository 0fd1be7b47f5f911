"""Which server a stored version leads to, compared before its password is used.

A stored version is input: anyone who may write the secret may have written it. Its password is sent only to
the server that the same version names, and only while AWSCURRENT names that server too. What the caller of
``connect`` passes (``host=`` of a proxy, ``sslmode=``) is the caller's decision, so it is not compared.
The database's name is not compared: a server asks for the password before it looks for the database.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rotators.core.errors import SecretFormatError
from rotators.logins.connecting import wants_tls
from rotators.strategies.identity import port_of

if TYPE_CHECKING:
    from rotators.core.secret import Secret

_ENGINES = {"aurora-mysql": "mysql", "aurora-postgresql": "postgres", "postgresql": "postgres"}
_PORTS = {"mariadb": 3306, "mysql": 3306, "postgres": 5432}


class Target(NamedTuple):
    """A server, in a form in which equal ones are equal; None for what the caller decides.

    Attributes:
        host: in lower case.
        port: a number; 0 when neither the secret nor the driver names one.
        admin: host and port of logins that change passwords; ``host`` and ``port`` unless the secret differs.
        tls: whether the connection is encrypted.
        roots: the file of trusted certificates; None for the system's, and without TLS.
        public_key: the server's RSA key as PEM, without its blanks.
    """

    host: str | None
    port: int | None
    admin: tuple[str | None, int | None]
    tls: bool | None
    roots: str | None
    public_key: str | None


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
        """Where a login with this value goes.

        Raises:
            SecretFormatError: a key has a value that no login takes.
        """
        default = _PORTS.get(engine_of(secret), 0) if self.port is None else self.port
        host = None if self.names_host else _text(secret, "host")
        port = None if "port" in self.given else port_of(secret, default)
        admin = (_text(secret, "admin_host") or host, port_of(secret, port or 0, "admin_port") or None)
        key = _text(secret, "server_public_key")
        tls, roots = self._encryption(secret)
        return Target(
            host=host and host.lower(),
            port=port,
            admin=(admin[0] and admin[0].lower(), admin[1]),
            tls=tls,
            roots=roots,
            public_key=key and "".join(key.split()),
        )

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
        return _text(secret, "username") or "", self.target(secret)

    def _encryption(self, secret: Secret) -> tuple[bool | None, str | None]:
        if any(name.startswith("ssl") for name in self.given):
            return None, None
        if secret.get("ssl") is not None and not wants_tls(secret):
            return False, None
        return True, _text(secret, "sslrootcert") or os.environ.get("SSL_ROOT_CERT") or None


def engine_of(secret: Secret) -> str:
    """The engine in a value, by one name for each protocol; empty when it names none."""
    named = str(secret.get("engine") or "").lower()
    return _ENGINES.get(named, named)


def _text(secret: Secret, key: str) -> str | None:
    """A text; None when it is absent, null or empty."""
    return secret.text(key) if secret.get(key) else None
