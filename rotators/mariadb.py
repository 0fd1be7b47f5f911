"""MariaDB: engine ``mariadb``.

How this target differs from MySQL (rotators/mysql.py):

- Only hashes are sent, also by a user that changes its own password (``SET PASSWORD = '*…'``). A server with
  ``strict_password_validation`` and a validation plugin takes no hashes: switch the former off.
- A twin is proven by a mark that only an administrator can set: a role without rights, named after the pair.
  GRANT of that role makes the account too, with a password that nobody can have, so there is never an
  account without its mark.
- Two passwords are two alternatives of one account: ``IDENTIFIED VIA … OR …``. Setting them needs CREATE
  USER, so ``dual`` needs an admin, unless the user has that right.
- SET PASSWORD changes the first alternative only: whoever goes from ``dual`` to ``single`` lets an admin
  set the password once (ALTER USER), or the older one stays valid.
- A role has no host, and one role at most is the default.

Sources: MariaDB knowledge base, ALTER USER, GRANT, SET PASSWORD, Roles.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rotators.core.passwords import PasswordRules
from rotators.families.mysql_accounts import AccountSession
from rotators.families.mysql_rights import Account, Right, Role, quoted
from rotators.strategies.database import DatabaseRotator, require_driver
from rotators.strategies.hashes import native_password

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.core.secret import Secret
    from rotators.core.settings import Settings

_MARK = "rotators_twin_"
_VIA = "mysql_native_password USING"


def rotator() -> DatabaseRotator:
    """The entry point: the rotator of MariaDB."""
    require_driver("pymysql")
    return DatabaseRotator(MariaDbEngine())


class MariaDbEngine:
    """MariaDB's limits and its login."""

    names = frozenset({"mariadb"})
    default_port = 3306
    # Every server has it and every user may connect to it.
    default_dbname = "information_schema"
    longest_username = 80
    password_rules = PasswordRules(shortest=8, longest=128)
    two_passwords = True

    @contextmanager
    def login(self, secret: Secret, settings: Settings) -> Iterator[MariaDbSession]:
        """See Engine.login."""
        from rotators.families.mysql_connection import connected  # noqa: PLC0415 - the driver, when first needed

        with connected(secret, settings, self) as connection:
            yield MariaDbSession(connection, secret.text("username"))


class MariaDbSession(AccountSession):
    """One login to MariaDB."""

    # Else GRANT would make a user that is missing, without a password.
    mode = "STRICT_ALL_TABLES,NO_AUTO_CREATE_USER"
    more_limits = ("MAX_STATEMENT_TIME",)

    def _identified(self, password: str) -> str:
        return f"IDENTIFIED VIA {_VIA} '{native_password(password)}'"

    def _set_own(self, password: str) -> None:
        self._run(f"SET PASSWORD = '{native_password(password)}'")

    def _set_two(self, target: str, old: str, new: str) -> None:
        self._run(f"ALTER USER {target} {self._identified(old)} OR {_VIA} '{native_password(new)}'")

    def _set_own_two(self, old: str, new: str) -> None:
        # Not CURRENT_USER(): for that, the server drops the second alternative without a word.
        self._set_two(self._sql(self._own()), old, new)

    def _rights(self, account: Account) -> frozenset[Right]:
        rights = super()._rights(account)
        # information_schema leaves out what a role may do everywhere.
        powerful = not account.host and self._rows(
            "SELECT 1 FROM mysql.global_priv"
            " WHERE User = %(user)s AND Host = '' AND JSON_VALUE(Priv, '$.access') > 0",
            **account._asdict(),
        )
        return rights | {Right("", "", "", "", "GLOBAL", grantable=False)} if powerful else rights

    def _create(self, twin: Account, of: Account) -> None:
        mark = self._role(_mark(twin, of), "")
        # Made anew, because only who makes a role may grant it.
        self._run(f"CREATE OR REPLACE ROLE {mark}")
        self._run(f"GRANT {mark} TO {self._sql(twin)} IDENTIFIED VIA {_VIA} 'invalid'")

    def _is_marked(self, twin: Account, of: Account) -> bool:
        return any(role.name == _mark(twin, of) for role in self._all_roles(twin))

    def _marking(self, twin: Account, of: Account) -> str:
        mark = self._role(_mark(twin, of), "")
        return f"CREATE ROLE IF NOT EXISTS {mark}; GRANT {mark} TO {self._sql(twin)}"

    def _roles(self, account: Account) -> frozenset[Role]:
        return frozenset(role for role in self._all_roles(account) if not role.name.startswith(_MARK))

    def _all_roles(self, account: Account) -> list[Role]:
        rows = self._rows(
            "SELECT Role, Admin_option = 'Y' FROM mysql.roles_mapping"
            " WHERE User = %(user)s AND Host = %(host)s",
            **account._asdict(),
        )
        return [Role(name, "", bool(admin)) for name, admin in rows]

    def _default_roles(self, account: Account) -> frozenset[tuple[str, str]]:
        rows = self._rows(
            "SELECT default_role FROM mysql.user"
            " WHERE User = %(user)s AND Host = %(host)s AND default_role <> ''",
            **account._asdict(),
        )
        return frozenset((name, "") for (name,) in rows)

    def _set_default_roles(self, target: str, roles: frozenset[tuple[str, str]]) -> None:
        names = ", ".join(self._role(*role) for role in roles)
        self._run(f"SET DEFAULT ROLE {names or 'NONE'} FOR {target}")

    def _role(self, name: str, host: str) -> str:
        return quoted(name)


def _mark(twin: Account, of: Account) -> str:
    pair = f"{twin}\n{of}".encode()
    return _MARK + hashlib.sha256(pair).hexdigest()[:32]
