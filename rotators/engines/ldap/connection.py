"""A logged-in connection to a directory. Referrals are not followed, and nothing is repeated."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import ldap3
from ldap3.core.exceptions import (
    LDAPSessionTerminatedByServerError,
    LDAPSocketOpenError,
    LDAPSocketReceiveError,
)

from rotators.core.errors import RotatorFailure, SecretFormatError
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.ldap.refusals import MUST_CHANGE, SUCCESS, change_failure, login_failure
from rotators.logins.causes import failure
from rotators.logins.channel import held, reason_of, tls_context
from rotators.logins.connecting import trusted_roots, wants_start_tls
from rotators.logins.target import host_of, port_of
from rotators.strategies.engine import Engine

AnyDirectory = TypeVar("AnyDirectory", bound="Directory")

START_TLS = "1.3.6.1.4.1.1466.20037"
WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3"
PASSWORD_POLICY = "1.3.6.1.4.1.42.2.27.8.5.1"  # noqa: S105 - an object identifier

_POLICY_REQUEST = [(PASSWORD_POLICY, False, None)]
_ERROR_TAG = 0x81

Changes = dict[str, list[tuple[str, "Sequence[str | bytes]"]]]
"""Attribute to operations (``ldap3.MODIFY_REPLACE`` …) with values."""


@dataclass(frozen=True)
class LdapLogin:
    """User and password, and how to reach the directory.

    Attributes:
        host: name or address.
        port: port of the server.
        user: DN.
        password: clear text.
        roots: as ``trusted_roots`` returns it.
        start_tls: True to negotiate TLS on the connection, instead of beginning with it.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    roots: str | None
    start_tls: bool

    @classmethod
    def of(cls, secret: Secret, settings: Settings, engine: Engine, user: str) -> LdapLogin:
        """Return the login of a secret's user.

        Args:
            secret: password, target and trust.
            settings: settings of the function: trusted certificates.
            engine: engine with the default port.
            user: name that the server knows.

        Raises:
            SecretFormatError: a member is missing or wrong.
            TargetUnavailable: as ``trusted_roots``.
        """
        return cls(
            host_of(secret),
            port_of(secret, engine.default_port),
            user,
            secret.text("password"),
            trusted_roots(secret, settings, "LDAPTLS_CACERT"),
            wants_start_tls(secret),
        )


class Directory:
    """A connection to one server.

    Attributes:
        must_change: True if the user may only change its password (``pwdReset``). Known after the login.

    Args:
        channel: a connected socket, with TLS unless StartTLS follows.
        login: user, password and target.
    """

    must_change = False

    def __init__(self, channel: socket.socket, login: LdapLogin) -> None:
        self._login = login
        server = ldap3.Server(login.host, login.port, get_info=ldap3.NONE)
        # Octets are sent as they are; the driver would normalize text. Its fast decoder fails at referrals.
        password: Any = login.password.encode()
        options = {"auto_referrals": False, "check_names": False, "fast_decoder": False}
        self._client: Any = ldap3.Connection(server, login.user, password, **options)
        self._client.socket, self._client.closed, self._client.listening = channel, False, True
        self._client.strategy._outstanding = {}  # noqa: SLF001 - the driver's open() would resolve and connect

    @property
    def channel(self) -> socket.socket:
        """The socket; another one after StartTLS."""
        found: socket.socket = self._client.socket
        return found

    def start_tls(self, roots: str) -> None:
        """Negotiate TLS and verify the certificate, before anything else is sent.

        Args:
            roots: file of the trusted certificates, or SYSTEM_ROOTS.

        Raises:
            TargetUnavailable: the server offers no TLS, or TLS failed.
        """
        doing = f"Unable to connect to {self._login.host}:{self._login.port}"
        context = tls_context(roots)
        self._ask("StartTLS", lambda: self._client.extended(START_TLS))
        if self._result != SUCCESS:
            raise failure("tls-unsupported", doing)
        try:
            self._client.socket = context.wrap_socket(self.channel, server_hostname=self._login.host)
        except (OSError, ValueError) as error:
            raise failure(reason_of(error), doing) from None

    def log_in(self) -> None:
        """Log in as the user.

        Raises:
            CredentialsRejected, TargetUnavailable, TargetRefused, SecretFormatError: see Engine.login.
        """
        login = self._login
        self._ask("bind", lambda: self._client.bind(read_server_info=False, controls=_POLICY_REQUEST))
        if self._result != SUCCESS:
            raise self._login_error(f"{login.host}:{login.port} as {login.user!r}")
        self.must_change = self._policy_error() == MUST_CHANGE

    def who_am_i(self) -> str:
        """Return the DN of the logged-in user; empty if the server does not tell."""
        self._ask("who am I", lambda: self._client.extended(WHO_AM_I))
        answer = self._client.result.get("responseValue") if self._result == SUCCESS else None
        kind, _, name = (answer or b"").decode(errors="replace").partition(":")
        return name if kind == "dn" else ""

    def read(self, name: str, *attributes: str) -> dict[str, list[bytes]] | None:
        """Return attributes of one entry, as far as the user may read them.

        Args:
            name: DN; empty for the server's own entry.
            *attributes: names of attributes.

        Returns:
            The values by attribute in lower case; None if there is no entry, or none for this user.
        """
        return next(iter(self.search(name, "(objectClass=*)", *attributes, scope=ldap3.BASE)), None)

    def search(
        self, base: str, condition: str, *attributes: str, scope: str = ldap3.SUBTREE
    ) -> Sequence[dict[str, list[bytes]]]:
        """Return the attributes of the first entries that fulfil a condition.

        Args:
            base: DN where the search begins.
            condition: filter, with its values escaped.
            *attributes: names of attributes; none for entries without attributes.
            scope: scope of ldap3.

        Returns:
            Values by attribute in lower case; empty if the user may not search there. `denied` tells why.
        """
        self._ask(
            "search",
            lambda: self._client.search(
                base, condition, scope, ldap3.DEREF_NEVER, attributes or [ldap3.NO_ATTRIBUTES], size_limit=5
            ),
        )
        entries = [each for each in self._client.response or [] if each["type"] == "searchResEntry"]
        return [{name.lower(): found for name, found in each["raw_attributes"].items()} for each in entries]

    def modify(self, user: str, changes: Changes) -> None:
        """Change an entry as a whole.

        Args:
            user: DN.
            changes: all changes.

        Raises:
            TargetRefused, TargetUnavailable: nothing was changed; the reason says why.
        """
        self._ask("modify", lambda: self._client.modify(user, changes, controls=_POLICY_REQUEST))
        self._require_success(user)

    def change_own_password(self, new: str) -> None:
        """Replace all passwords of the logged-in user by one, which the server hashes (RFC 3062).

        Args:
            new: clear text.

        Raises:
            TargetRefused, TargetUnavailable: nothing was changed; the reason says why.
        """
        user, old = self._login.user, self._login.password.encode()
        change = self._client.extend.standard.modify_password
        self._ask(
            "password modify",
            lambda: change(user, old, new.encode(), hash_algorithm=None, controls=_POLICY_REQUEST),
        )
        self._require_success(user)

    def close(self) -> None:
        """Close the connection without waiting for the server."""
        if self.channel is not None:
            self.channel.close()

    @property
    def _result(self) -> int:
        return int(self._client.result["result"])

    @property
    def denied(self) -> bool:
        """True if the last search was not successful, for another reason than its size."""
        return self._result not in {SUCCESS, 4}  # sizeLimitExceeded

    @property
    def _said(self) -> str:
        return str(self._client.result["message"])

    def _require_success(self, user: str) -> None:
        if self._result != SUCCESS:
            raise self._change_error(user)

    def _login_error(self, where: str) -> RotatorFailure | SecretFormatError:
        return login_failure(self._result, self._policy_error(), where)

    def _change_error(self, user: str) -> RotatorFailure:
        return change_failure(self._result, self._policy_error(), self._said, user)

    def _policy_error(self) -> int | None:
        """Return the error in ppolicy's response control, which is a sequence of a warning and an error."""
        control = (self._client.result.get("controls") or {}).get(PASSWORD_POLICY) or {}
        elements = bytes(control.get("value") or b"")[2:]
        while len(elements) >= 3:  # noqa: PLR2004 - tag, length and a code
            if elements[0] == _ERROR_TAG:
                return elements[2]
            elements = elements[2 + elements[1] :]
        return None

    def _ask(self, what: str, call: Callable[[], object]) -> None:
        where = f"{what} at {self._login.host}:{self._login.port}"
        try:
            call()
        except (OSError, LDAPSessionTerminatedByServerError, LDAPSocketOpenError) as error:
            # The driver raises this class itself for answers to something that was not asked.
            protocol = type(error) is LDAPSocketReceiveError
            reason = "protocol" if protocol else "timeout" if "timed out" in str(error) else "closed"
            raise failure(reason, where) from None
        except Exception:  # noqa: BLE001 - the decoder raises many types for invalid input
            raise failure("protocol", where) from None


@contextmanager
def connected(login: LdapLogin, until: float, kind: type[AnyDirectory]) -> Iterator[AnyDirectory]:
    """Log in; the connection is cut at the end of the time.

    Args:
        login: user, password and target.
        until: end of the whole session, by ``time.monotonic``.
        kind: Directory, or a class that knows a server's errors.

    Yields:
        The logged-in connection, which is closed at the end of the block.

    Raises:
        CredentialsRejected, TargetUnavailable, TargetRefused, SecretFormatError: see Engine.login.
    """
    doing = f"Unable to log into the directory at {login.host}:{login.port} as {login.user!r}"
    roots = None if login.start_tls else login.roots
    with held(login.host, login.port, roots, until, doing) as channel:
        directory = kind(channel, login)
        try:
            if login.start_tls and login.roots is not None:
                directory.start_tls(login.roots)
            directory.log_in()
            yield directory
        finally:
            directory.close()
