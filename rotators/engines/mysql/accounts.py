"""Accounts of MySQL and MariaDB: operations of a session, and the properties that a clone copies.

Rights are read as rows of information_schema and mysql.*; no text rendered by the server is parsed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Self

from rotators.core.errors import TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mysql.authentication import MySqlConnection
from rotators.engines.mysql.connection import connected
from rotators.engines.mysql.plugins import Kinds, Way, password_plugins
from rotators.engines.mysql.resets import SeenSession, StoredAccount, require_reset_helps
from rotators.engines.mysql.rights import (
    RIGHTS,
    Account,
    MySqlRole,
    Place,
    Profile,
    Right,
    RightsChange,
    changes,
    demanded,
    is_administrative,
    may_hand_on,
    quoted,
)
from rotators.engines.mysql.statements import DatabaseSession, ServerAccount, missing, text_of
from rotators.strategies.engine import Engine
from rotators.strategies.preflight import Demands

_LIMITS = ("MAX_QUERIES_PER_HOUR", "MAX_UPDATES_PER_HOUR", "MAX_CONNECTIONS_PER_HOUR", "MAX_USER_CONNECTIONS")
_REQUIREMENTS = (
    "ssl_type, x509_subject, x509_issuer, ssl_cipher,"
    " max_questions, max_updates, max_connections, max_user_connections"
)
_MOST_CONNECTIONS = 7  # index of max_user_connections
_REQUIRE = {"": "REQUIRE NONE", "ANY": "REQUIRE SSL", "X509": "REQUIRE X509"}


class AccountSession(DatabaseSession, ABC):
    """One login; see strategies/engine.py for the operations. A subclass has what differs per server.

    Args:
        connection: connection whose login was accepted; no statement was run.
        secret: value that the connection logged in with.
    """

    kinds: ClassVar[Kinds]
    """The server's authentication plugins."""
    more_limits: tuple[str, ...] = ()
    own_pair_rights: tuple[str, ...] = ("CREATE USER",)
    """Any of these privileges lets an account set its own two passwords."""

    def __init__(self, connection: MySqlConnection, secret: Secret) -> None:
        self._seconds: dict[str, Account] = {}
        super().__init__(connection, secret)

    @classmethod
    @contextmanager
    def logged_in(cls, secret: Secret, settings: Settings, engine: Engine) -> Iterator[Self]:
        """Log in, and yield the session. See ``connected``.

        Args:
            secret: value to log in with.
            settings: settings of the function; its trusted certificates.
            engine: engine with the default port and database.
        """
        with connected(secret, settings, engine) as connection:
            yield cls(connection, secret)

    def set_credential(self, user: str, password: str) -> None:
        """See Session.set_credential. Every password plugin of the account gets the new password."""
        if self._is_own(user):
            if self._expired:
                # The server allows nothing else before this; it determines the account from the session.
                self._set_own(password)
                self.check()
            else:
                self.check()
                self._set_own(password)
        else:
            account = self._seconds.get(user) or self._account(user)
            self._set_other(account, self._ways(account), password)

    def set_pair(self, user: str, old: str, new: str) -> None:
        """See KeepsTwo.set_pair. Every password plugin of the account gets these passwords."""
        if self._is_own(user):
            self.check()
            self._set_own(old, new)
        else:
            account = self._account(user)
            self._set_other(account, self._ways(account), old, new)

    def require_resettable(self, user: str, rejected: Collection[str], *, tls: bool) -> None:
        """See Session.require_resettable."""
        account = self._account(user)
        required = self._requirements(account)
        ssl_type, subject, issuer, cipher = required[:4]
        stored = StoredAccount(
            account,
            (*self._ways(account), *self._second_ways(account)),
            self._locked(account),
            ssl_type,
            subject,
            issuer,
            cipher,
            int(required[_MOST_CONNECTIONS]),
            tuple(anonymous.host for anonymous in self._accounts("")),
        )
        seen = SeenSession(self._seen, self._connection.cipher)
        require_reset_helps(stored, self.kinds, seen, rejected, tls=tls)

    def require_ordinary(self, user: str) -> None:
        """See Session.require_ordinary."""
        if self._administers(self._account(user), set()):
            raise TargetRefused(
                f"user {user!r} is an administrator, and none of its stored passwords logs in",
                reason="administrator",
                remedy="Store its working password by PutSecretValue; masterarn resets no administrators.",
            )

    def require_clone(self, of: str, clone: str) -> None:
        """See Session.require_clone."""
        original = self._original(of)
        found = self._accounts(clone)
        second = Account(clone, original.host)
        if second not in found:
            second = found[0] if len(found) == 1 else self._account(clone)
        self._seconds[clone] = second
        if self._is_marked(original, second):
            return
        self._require_marked(second, original)
        ours, theirs = self._profile(second), self._profile(original)
        more = {_said(right) for right in ours.rights - theirs.rights}
        more |= {role.name for role in ours.roles - theirs.roles}
        if more:
            raise TargetRefused(
                f"user {str(second)!r} has rights that {str(original)!r} lacks ({', '.join(sorted(more))})",
                reason="stranger",
                remedy="Revoke them, or set alternate_username to another user.",
            )

    def ensure_clone(self, of: str, clone: str, password: str) -> None:
        """See Session.ensure_clone.

        The rights are set before the password, so a crash never leaves a login with fewer rights.
        """
        original = self._original(of)
        second = Account(clone, original.host)
        exists = second in self._accounts(clone)
        own = self._ways(second) if exists else ()
        ways: Sequence[Way] = own
        if self._is_marked(original, second):
            if not exists:
                raise missing(str(second))
        else:
            if exists:
                self._require_marked(second, original)
                password_plugins(own, self.kinds, second)
            ways = self._shared_ways(original, own)
            if not exists:
                self._create(second, original)
            self._sync(self._profile(original), second, self._profile(second))
        self._set_other(second, ways, password)

    def _original(self, of: str) -> Account:
        """Return the account to clone. If it could not log in because it is locked, it stays locked."""
        original = self._account(of)
        if not isinstance(of, ServerAccount) and self._locked(original):
            raise TargetRefused(
                f"user {str(original)!r} is locked by an administrator",
                reason="locked",
                remedy="Ask who did; then ALTER USER … ACCOUNT UNLOCK.",
            )
        return original

    def _shared_ways(self, original: Account, own: Sequence[Way]) -> Sequence[Way]:
        """Return a clone's ways: the original's password plugins, and its own ways without a password."""
        theirs = self._ways(original)
        wanted = password_plugins(theirs, self.kinds, original)
        kept = [way for way in own if way.plugin in self.kinds.without]
        if own and wanted == password_plugins(own, self.kinds, original):
            return own
        return [*map(Way, wanted), *kept]

    def writable(self) -> bool:
        """See Preflight.writable. The server turns read_only on together with super_read_only."""
        return not self._rows("SELECT @@global.read_only")[0][0]

    def demands(self) -> Demands:
        """See Preflight.demands."""
        found = self._rows(
            "SHOW VARIABLES WHERE Variable_name LIKE 'validate_password%%'"
            " OR Variable_name LIKE 'simple_password_check%%' OR Variable_name = %(strict)s",
            strict="strict_password_validation",
        )
        settings = {name.replace(".", "_").lower(): text_of(value) for name, value in found}
        found_demands = demanded(settings, self._validators())
        allowed = self._clear_text and self._connection.protected
        return replace(found_demands, takes_hashes=found_demands.takes_hashes or allowed)

    def missing_for_own_pair(self) -> str:
        """Return the right that the logged-in account lacks to set its own two passwords; empty if none."""
        own = self._own()
        rows = self._rows(
            "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES"
            " WHERE CAST(GRANTEE AS BINARY) = CAST(%(grantee)s AS BINARY)",
            grantee=f"'{own.user}'@'{own.host}'",
        )
        held = {text_of(name) for (name,) in rows}
        return "" if held & set(self.own_pair_rights) else " or ".join(self.own_pair_rights)

    def missing_for_reset(self, user: str) -> str:
        """See Preflight.missing_for_reset."""
        self._account(user)
        return "" if self._may("CREATE USER") else "CREATE USER"

    def missing_for_clone(self, of: str) -> str:
        """See Preflight.missing_for_clone."""
        original = self._account(of)
        if not self._may("CREATE USER"):
            return "CREATE USER"
        ours = self._reach(self._own(), set())
        lacking = [right for right in sorted(self._rights(original)) if not may_hand_on(ours, right)]
        return f"{_said(lacking[0])} WITH GRANT OPTION" if lacking else ""

    def _may(self, privilege: str) -> bool:
        """Return True if the logged-in account has a privilege on everything, directly or through a role."""
        return any(
            not right.place and right.privilege in {privilege, "GLOBAL"}
            for right in self._reach(self._own(), set())
        )

    def _reach(self, account: Account, seen: set[Account]) -> frozenset[Right]:
        """Return the rights of an account and of all its roles."""
        seen.add(account)
        rights = self._rights(account)
        for role in self._roles(account):
            found = Account(role.name, role.host)
            if found not in seen:
                rights |= self._reach(found, seen)
        return rights

    def _require_marked(self, clone: Account, of: Account) -> None:
        if not self._is_marked(clone, of):
            raise TargetRefused(
                f"user {str(clone)!r} exists and is not the clone of {str(of)!r}: it does not carry the mark",
                reason="stranger",
                remedy=f"If it is one, let an administrator run: {self._marking(clone, of)};"
                " else set alternate_username to another user.",
            )

    def _administers(self, account: Account, seen: set[Account]) -> bool:
        seen.add(account)
        if any(is_administrative(right) for right in self._rights(account)):
            return True
        roles = self._roles(account)
        found = {Account(role.name, role.host) for role in roles} - seen
        return any(role.admin for role in roles) or any(self._administers(role, seen) for role in found)

    def _profile(self, account: Account) -> Profile:
        requirements = self._requirements(account)
        return Profile(
            requirements, self._rights(account), self._roles(account), self._default_roles(account)
        )

    def _requirements(self, account: Account) -> tuple[Any, ...]:
        """Return the columns in _REQUIREMENTS, and the limits that only this server has."""
        columns = ", ".join((_REQUIREMENTS, *(limit.lower() for limit in self.more_limits)))
        rows = self._rows_of(account, f"SELECT {columns} FROM mysql.user")  # noqa: S608 - columns of ours
        if not rows:
            raise missing(str(account))
        return tuple(text_of(value) if isinstance(value, str | bytes) else value for value in rows[0])

    def _rights(self, account: Account) -> frozenset[Right]:
        grantee = f"'{account.user}'@'{account.host}'"
        rights = (
            Right._make((*map(text_of, texts), bool(grantable)))
            for query in RIGHTS
            for *texts, grantable in self._rows(query, grantee=grantee, **account._asdict())
        )
        return frozenset(right for right in rights if right.privilege != "USAGE" or right.grantable)

    def _sync(self, of: Profile, clone: Account, has: Profile) -> None:
        target = self._sql(clone)
        if of.requirements != has.requirements:
            self._run(f"ALTER USER {target} {self._options(of.requirements)}")
        for change in changes(of.rights, has.rights):
            self._run(self._statement(change, target))
        for role in sorted(has.roles - of.roles):
            self._run(f"REVOKE {self._role(role.name, role.host)} FROM {target}")
        for role in sorted(of.roles - has.roles):
            option = " WITH ADMIN OPTION" if role.admin else ""
            self._run(f"GRANT {self._role(role.name, role.host)} TO {target}{option}")
        if of.roles != has.roles or of.defaults != has.defaults:
            self._set_default_roles(target, of.defaults)

    def _statement(self, change: RightsChange, target: str) -> str:
        word = "TO" if change.verb == "GRANT" else "FROM"
        option = " WITH GRANT OPTION" if change.grantable else ""
        return f"{change.verb} {change.privileges} ON {self._place(change.place)} {word} {target}{option}"

    def _place(self, on: Place) -> str:
        if on.kind == "PROXY":
            return self._sql(Account(on.place, on.object))
        if not on.place:
            return "*.*"
        # A database name is a pattern here, and is granted as it is stored.
        return f"{on.kind} {quoted(on.place)}.{quoted(on.object) if on.object else '*'}".strip()

    def _options(self, requirements: tuple[Any, ...]) -> str:
        kind, subject, issuer, cipher, *limits = requirements
        named = {"SUBJECT": subject, "ISSUER": issuer, "CIPHER": cipher}
        specified = " AND ".join(f"{key} {self._literal(text)}" for key, text in named.items() if text)
        require = _REQUIRE.get(kind) or f"REQUIRE {specified}"
        names = (*_LIMITS, *self.more_limits)
        return f"{require} WITH " + " ".join(
            f"{name} {value}" for name, value in zip(names, limits, strict=True)
        )

    def _sql(self, account: Account) -> str:
        return f"{self._literal(account.user)}@{self._literal(account.host)}"

    @abstractmethod
    def _ways(self, account: Account) -> tuple[Way, ...]:
        """Return the authentication ways of an account, as an admin can read them."""

    def _second_ways(self, account: Account) -> tuple[Way, ...]:
        """Return the way with a second password, if it is not already one of the ways."""
        del account
        return ()

    @abstractmethod
    def _locked(self, account: Account) -> bool:
        """Return True if an administrator locked an account."""

    @abstractmethod
    def rejections_allowed(self, user: str) -> int | None:
        """See Session.rejections_allowed."""

    @abstractmethod
    def _set_other(self, account: Account, ways: Sequence[Way], *passwords: str) -> None:
        """Set exactly these passwords for an account, in each of its ways that stores one, and unblock it.

        The first of two passwords works at every instant.
        """

    @abstractmethod
    def _set_own(self, *passwords: str) -> None:
        """Set exactly these passwords for the logged-in account, which may have no right to do more."""

    @abstractmethod
    def _create(self, clone: Account, of: Account) -> None:
        """Create a marked account with a random password, which is discarded, in one statement."""

    @abstractmethod
    def _is_marked(self, clone: Account, of: Account) -> bool:
        """Return True if the server shows that an administrator marked the account as this clone."""

    @abstractmethod
    def _marking(self, clone: Account, of: Account) -> str:
        """Return the statement with which an administrator marks a clone by hand."""

    @abstractmethod
    def _roles(self, account: Account) -> frozenset[MySqlRole]:
        """Return the roles of an account, without marks."""

    @abstractmethod
    def _default_roles(self, account: Account) -> frozenset[tuple[str, str]]:
        """Return name and host of the roles that are active at the account's login."""

    @abstractmethod
    def _set_default_roles(self, target: str, roles: frozenset[tuple[str, str]]) -> None:
        """Set the roles that are active at the account's login."""

    @abstractmethod
    def _role(self, name: str, host: str) -> str:
        """Return a role as it is written in GRANT."""


def _said(right: Right) -> str:
    return f"{right.privilege} on {right.place or '*'}.{right.object or '*'}"
