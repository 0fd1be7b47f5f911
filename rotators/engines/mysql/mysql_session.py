"""One login to MySQL; ``__init__.py`` lists the differences from other targets."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence

from rotators.core.errors import TargetRefused, TargetUnavailable
from rotators.engines.mysql.accounts import AccountSession
from rotators.engines.mysql.hashes import caching_sha2, native_password, sha256_password
from rotators.engines.mysql.plugins import Kinds, Way, password_plugins
from rotators.engines.mysql.rights import Account, MySqlRole, Right
from rotators.engines.mysql.statements import text_of

_MARK = "rotators_clone_of"
_RETAIN = "RETAIN CURRENT PASSWORD"
_WAIT_SECONDS = 4


class MySqlSession(AccountSession):
    """One login to MySQL."""

    own_pair_rights = ("APPLICATION_PASSWORD_ADMIN", "CREATE USER")

    kinds = Kinds(
        {
            "caching_sha2_password": caching_sha2,
            "sha256_password": sha256_password,
            "mysql_native_password": native_password,
        }
    )

    def rejections_allowed(self, user: str) -> int | None:
        """See Session.rejections_allowed: the lowest FAILED_LOGIN_ATTEMPTS of the user's accounts."""
        limits = [
            int(limit)
            for account in self._accounts(user)
            for limit in self._attribute(account, "$.Password_locking.failed_login_attempts")
        ]
        return min((limit - 1 for limit in limits if limit), default=None)

    def _ways(self, account: Account) -> tuple[Way, ...]:
        rows = self._rows_of(account, "SELECT plugin, authentication_string FROM mysql.user")
        return tuple(Way(text_of(plugin), _latin(stored)) for plugin, stored in rows)

    def _second_ways(self, account: Account) -> tuple[Way, ...]:
        second = self._attribute(account, "$.additional_password")
        return tuple(Way(way.plugin, _latin(stored)) for way in self._ways(account) for stored in second)

    def _locked(self, account: Account) -> bool:
        return bool(self._rows_of(account, "SELECT 1 FROM mysql.user", "account_locked = 'Y'"))

    def _attribute(self, account: Account, path: str) -> list[str]:
        """Return the value at a path of the account's attributes, if there is one."""
        found = "JSON_EXTRACT(User_attributes, %(path)s)"
        rows = self._rows_of(
            account,
            f"SELECT JSON_UNQUOTE({found}) FROM mysql.user",  # noqa: S608 - a constant
            f"{found} IS NOT NULL",
            path=path,
        )
        return [text_of(value) for (value,) in rows]

    def _unblocking(self, account: Account) -> str:
        """Return the clause that ends a block by FAILED_LOGIN_ATTEMPTS; a lock stays.

        A new password alone does not end such a block.
        """
        counted = self._attribute(account, "$.Password_locking.failed_login_attempts")
        return " ACCOUNT UNLOCK" if counted and not self._locked(account) else ""

    def _identified(self, ways: Sequence[Way], account: Account, password: str) -> str:
        plugin = password_plugins(ways, self.kinds, account)[0]
        stored = self.kinds.hashes[plugin](password)
        written = f"0x{stored.hex()}" if isinstance(stored, bytes) else self._literal(stored)
        return f"IDENTIFIED WITH {plugin} AS {written}"

    def _set_other(self, account: Account, ways: Sequence[Way], *passwords: str) -> None:
        target = self._sql(account)
        first, *second = (self._identified(ways, account, password) for password in passwords)
        if second:
            self._wait_for_others(target)
        # The first makes its password the primary one in any case; the second one retains the primary.
        self._alter(f"{target} {first}{self._unblocking(account)}", account)
        for clause in second:
            self._alter(f"{target} {clause} {_RETAIN}", account)

    def _set_own(self, *passwords: str) -> None:
        self._require_tls()
        password_plugins([Way(self._connection.accepted_plugin)], self.kinds, self._user)
        # Without WITH the account keeps its plugin (MySQL, sql_user.cc).
        first, *second = (f"CURRENT_USER() IDENTIFIED BY {self._literal(each)}" for each in passwords)
        if second:
            self._wait_for_others(self._sql(self._own()))
        self._alter(first)
        for change in second:
            self._alter(f"{change} {_RETAIN}")

    def _alter(self, change: str, account: Account | None = None) -> None:
        self._change(lambda _: f"ALTER USER {change}", account)

    def _wait_for_others(self, target: str) -> None:
        """Make other sessions of ours that set this account's pair wait until this session ends.

        A statement of another session between two of this one would make both passwords the new one.
        """
        name = "rotators_" + hashlib.sha256(target.encode()).hexdigest()[:32]
        if self._rows(f"SELECT GET_LOCK(%(name)s, {_WAIT_SECONDS})", name=name) != [(1,)]:
            raise TargetUnavailable(
                f"another session is setting the passwords of {target}, as {self._user!r}",
                reason="interrupted",
            )

    def _require_tls(self) -> None:
        if not self._connection.protected:
            raise TargetRefused(
                "a user's own change of password goes to MySQL in clear text, and this connection has no TLS",
                reason="clear-text",
                remedy='Remove "ssl": false from the secret, or let an admin rotate (masterarn).',
            )

    def _rights(self, account: Account) -> frozenset[Right]:
        if self._attribute(account, "$.Restrictions"):
            raise TargetRefused(
                f"user {str(account)!r} has partial revokes, which its clone would lack",
                reason="partial-revokes",
                remedy="Use dual, or set alternate_username to a second user of your own.",
            )
        return super()._rights(account)

    def _create(self, clone: Account, of: Account) -> None:
        self._run(
            f"CREATE USER {self._sql(clone)} IDENTIFIED WITH caching_sha2_password"
            f" AS 0x{caching_sha2(secrets.token_urlsafe(32)).hex()}"
            f" ATTRIBUTE {self._literal(json.dumps({_MARK: str(of)}))}"
        )

    def _is_marked(self, clone: Account, of: Account) -> bool:
        mark = f"ATTRIBUTE ->> '$.{_MARK}'"
        rows = self._rows_of(clone, f"SELECT {mark} FROM information_schema.USER_ATTRIBUTES")  # noqa: S608 - a constant
        return rows == [(str(of),)]

    def _marking(self, clone: Account, of: Account) -> str:
        return f"ALTER USER {self._sql(clone)} ATTRIBUTE {self._literal(json.dumps({_MARK: str(of)}))}"

    def _roles(self, account: Account) -> frozenset[MySqlRole]:
        rows = self._rows(
            "SELECT FROM_USER, FROM_HOST, WITH_ADMIN_OPTION = 'Y' FROM mysql.role_edges"
            " WHERE CAST(TO_USER AS BINARY) = CAST(%(user)s AS BINARY)"
            " AND CAST(TO_HOST AS BINARY) = CAST(%(host)s AS BINARY)",
            **account._asdict(),
        )
        return frozenset(MySqlRole(name, host, bool(admin)) for name, host, admin in rows)

    def _default_roles(self, account: Account) -> frozenset[tuple[str, str]]:
        rows = self._rows_of(account, "SELECT DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST FROM mysql.default_roles")
        return frozenset((name, host) for name, host in rows)

    def _set_default_roles(self, target: str, roles: frozenset[tuple[str, str]]) -> None:
        names = ", ".join(self._role(*role) for role in sorted(roles))
        self._run(f"ALTER USER {target} DEFAULT ROLE {names or 'NONE'}")

    def _role(self, name: str, host: str) -> str:
        return self._sql(Account(name, host))


logged_in = MySqlSession.logged_in


def _latin(stored: str | bytes) -> str:
    """Return a hash as text, one character per byte: its salt may contain any byte."""
    return stored.decode("latin-1") if isinstance(stored, bytes) else stored
