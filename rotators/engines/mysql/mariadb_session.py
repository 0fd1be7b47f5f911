"""One login to MariaDB; ``mariadb.py`` lists the differences from MySQL."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from typing import Any

import pymysql

from rotators.core.errors import TargetRefused
from rotators.engines.mysql.accounts import AccountSession
from rotators.engines.mysql.failures import NO_PASSWORD_PLUGIN, number_of
from rotators.engines.mysql.hashes import ed25519, is_password, native_password
from rotators.engines.mysql.plugins import Kinds, Way, password_plugins, shown_ways
from rotators.engines.mysql.rights import Account, MySqlRole, Right, quoted
from rotators.engines.mysql.statements import text_of
from rotators.logins.connecting import STATEMENT_SECONDS

_MARK = "rotators_clone_"
_UNLIMITED = 2**32 - 1


class MariaDbSession(AccountSession):
    """One login to MariaDB."""

    # Otherwise GRANT would create a missing user, without a password.
    mode = "STRICT_ALL_TABLES,NO_AUTO_CREATE_USER"
    time_limit = f"SESSION max_statement_time = {STATEMENT_SECONDS:.0f}"
    more_limits = ("MAX_STATEMENT_TIME",)
    kinds = Kinds(
        {"mysql_native_password": native_password, "ed25519": ed25519},
        frozenset({"unix_socket", "named_pipe", "pam", "gssapi"}),
    )

    def rejections_allowed(self, user: str) -> int | None:
        """See Session.rejections_allowed. The limit is the same for all users, and the counter is kept."""
        del user
        most = int(self._rows("SELECT @@global.max_password_errors")[0][0])
        return None if most >= _UNLIMITED else most - 1

    def _ways(self, account: Account) -> tuple[Way, ...]:
        rows = self._rows_of(account, "SELECT Priv FROM mysql.global_priv")
        stored = json.loads(rows[0][0]) if rows else {}
        # An empty entry in the list of alternatives stands for the one stored outside the list.
        return tuple(_way(each or stored) for each in stored.get("auth_or", [stored]))

    def _locked(self, account: Account) -> bool:
        locked = "JSON_VALUE(Priv, '$.account_locked') = 1"
        return bool(self._rows_of(account, "SELECT 1 FROM mysql.global_priv", locked))

    def _set_other(self, account: Account, ways: Sequence[Way], *passwords: str) -> None:
        if "ed25519" in password_plugins(ways, self.kinds, account) and len(passwords) > 1:
            raise TargetRefused(
                f"user {str(account)!r} logs in with ed25519, and clients such as PyMySQL try only the first"
                " of two such passwords",
                reason="plugin",
                remedy="Use strategy alternating, or give the user mysql_native_password.",
            )
        self._change(
            lambda clear: f"ALTER USER {self._sql(account)} {self._identified(ways, passwords, clear)}",
            account,
        )

    def _identified(self, ways: Sequence[Way], passwords: Sequence[str], clear: bool) -> str:
        """Return the clause that keeps the ways, with each password plugin once per password."""
        parts: list[str] = []
        for way in dict.fromkeys(
            way if way.plugin in self.kinds.without else Way(way.plugin) for way in ways
        ):
            if way.plugin in self.kinds.without:
                parts.append(f"{way.plugin} USING {self._literal(way.stored)}" if way.stored else way.plugin)
            else:
                parts += (f"{way.plugin} USING {self._stored(way.plugin, each, clear)}" for each in passwords)
        return f"IDENTIFIED VIA {' OR '.join(parts)}"

    def _stored(self, plugin: str, password: str, clear: bool) -> str:
        if clear:
            return f"PASSWORD({self._literal(password)})"
        return self._literal(str(self.kinds.hashes[plugin](password)))

    def _set_own(self, *passwords: str) -> None:
        if len(passwords) > 1:
            # Not CURRENT_USER(), with which the server drops the second alternative without an error.
            self._set_other(self._own(), self._own_ways(), *passwords)
        else:
            self._set_first(*passwords)

    def _set_first(self, password: str) -> None:
        """Change the password of the first way that stores one; changing more would need CREATE USER."""
        ways = self._own_ways()
        plugins = password_plugins(ways, self.kinds, self._user)
        if len(plugins) > 1:
            raise TargetRefused(
                f"user {self._user!r} has passwords for {' and '.join(plugins)}, and may change only one",
                reason="plugin",
                remedy="Use strategy dual or alternating with an admin (masterarn), which change both.",
            )
        try:
            self._change(lambda clear: f"SET PASSWORD = {self._stored(plugins[0], password, clear)}")
        except pymysql.Error as error:
            # Despite the error the password was changed, if a way without a password precedes it.
            done = number_of(error) == NO_PASSWORD_PLUGIN and self._is_set(plugins[0], password)
            if not done:
                raise

    def _own_ways(self) -> tuple[Way, ...]:
        """Return the own account's ways; an expired account cannot read them and gets this login's way."""
        if self._expired:
            return (Way(self._connection.accepted_plugin),)
        return shown_ways(text_of(self._rows("SHOW CREATE USER CURRENT_USER()")[0][0]))

    def _is_set(self, plugin: str, password: str) -> bool:
        self._identify()
        return any(
            way.plugin == plugin and is_password(plugin, way.stored.encode(), password)
            for way in self._own_ways()
        )

    def _rights(self, account: Account) -> frozenset[Right]:
        rights = super()._rights(account)
        # information_schema omits the global privileges of roles.
        powerful = not account.host and self._rows_of(
            account, "SELECT 1 FROM mysql.global_priv", "JSON_VALUE(Priv, '$.access') > 0"
        )
        return rights | {Right("", "", "", "", "GLOBAL", grantable=False)} if powerful else rights

    def _create(self, clone: Account, of: Account) -> None:
        mark = self._role(_mark(clone, of), "")
        # Created again, because only the creator of a role may grant it.
        self._run(f"CREATE OR REPLACE ROLE {mark}")
        nobody = self._literal(secrets.token_urlsafe(32) + "aA1!")

        def granting(clear: bool) -> str:
            stored = f"PASSWORD({nobody})" if clear else "'invalid'"
            return f"GRANT {mark} TO {self._sql(clone)} IDENTIFIED VIA mysql_native_password USING {stored}"

        self._change(granting)

    def _is_marked(self, clone: Account, of: Account) -> bool:
        return any(role.name == _mark(clone, of) for role in self._all_roles(clone))

    def _marking(self, clone: Account, of: Account) -> str:
        mark = self._role(_mark(clone, of), "")
        return f"CREATE ROLE IF NOT EXISTS {mark}; GRANT {mark} TO {self._sql(clone)}"

    def _roles(self, account: Account) -> frozenset[MySqlRole]:
        return frozenset(role for role in self._all_roles(account) if not role.name.startswith(_MARK))

    def _all_roles(self, account: Account) -> list[MySqlRole]:
        rows = self._rows_of(account, "SELECT Role, Admin_option = 'Y' FROM mysql.roles_mapping")
        return [MySqlRole(name, "", bool(admin)) for name, admin in rows]

    def _default_roles(self, account: Account) -> frozenset[tuple[str, str]]:
        rows = self._rows_of(account, "SELECT default_role FROM mysql.user", "default_role <> ''")
        return frozenset((name, "") for (name,) in rows)

    def _set_default_roles(self, target: str, roles: frozenset[tuple[str, str]]) -> None:
        names = ", ".join(self._role(*role) for role in roles)
        self._run(f"SET DEFAULT ROLE {names or 'NONE'} FOR {target}")

    def _role(self, name: str, host: str) -> str:
        return quoted(name)


logged_in = MariaDbSession.logged_in


def _mark(clone: Account, of: Account) -> str:
    pair = f"{clone}\n{of}".encode()
    return _MARK + hashlib.sha256(pair).hexdigest()[:32]


def _way(stored: dict[str, Any]) -> Way:
    return Way(stored.get("plugin") or "mysql_native_password", stored.get("authentication_string", ""))
