"""A real MariaDB with the local AWS, which logs as much as possible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rotators.engines.mysql.hashes import native_password
from tests.world import World, new_password, remembered, unique

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rotators.local.aws import LocalAws
    from rotators.local.servers.mariadb import MariaDbServer


class MariaDbWorld(World):
    """The world with MariaDB instead of PostgreSQL."""

    def __init__(self, aws: LocalAws, maria: MariaDbServer) -> None:
        super().__init__(aws, maria)
        self.maria = maria

    def account(
        self,
        name: str | None = None,
        *,
        host: str = "%",
        password: str | None = None,
        options: str = "",
        grants: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """Create an account with a hash; return its secret's value. ``{}`` in a grant is the account."""
        name = name or unique("app")
        password = remembered(password) if password else new_password()
        written = self.written(name, host)
        self.run(f"CREATE USER {written} {self.identified(password)} {options}")
        for grant in grants:
            self.run(grant.replace("{}", written))
        return self.maria.secret(name, password)

    def admin(self) -> dict[str, Any]:
        return self.maria.secret()

    def reset(self, name: str, password: str, host: str = "%") -> None:
        """Change a password on the server without changing the secret."""
        self.run(f"ALTER USER {self.written(name, host)} {self.identified(remembered(password))}")

    def identified(self, password: str) -> str:
        """Return the clause that sets a hash."""
        return f"IDENTIFIED VIA mysql_native_password USING '{native_password(password)}'"

    def written(self, name: str, host: str = "%") -> str:
        """Return an account in SQL syntax."""
        return "@".join("'" + part.replace("\\", "\\\\").replace("'", "\\'") + "'" for part in (name, host))

    def run(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser, in one session for all tests, because a login is slow."""
        target: Any = self.target
        rows: list[tuple[Any, ...]] = target._execute(statement, *params)
        return rows

    def ask(self, value: dict[str, Any], statement: str) -> list[tuple[Any, ...]]:
        """Run a statement with a value's login."""
        with self.login(value) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def logins(self) -> int:
        return self.maria.general_log().count(" Connect\t")

    def exists(self, name: str) -> bool:
        return bool(self.run("SELECT 1 FROM mysql.user WHERE User = %s", name))

    def grants(self, name: str, host: str = "%") -> set[str]:
        """The output of SHOW GRANTS without the account, the mark of clones and the hash."""
        rows = self.run(f"SHOW GRANTS FOR {self.written(name, host)}")
        lines = {row[0].replace(f"`{name}`@`{host}`", "{}") for row in rows}
        return {line.split(" IDENTIFIED")[0] for line in lines if "rotators_clone_" not in line}


@pytest.fixture
def world(aws: LocalAws, maria: MariaDbServer) -> Iterator[MariaDbWorld]:
    """Accounts with other plugins are dropped: MariaDB asks unknown users for the plugin of any account."""
    found = MariaDbWorld(aws, maria)
    yield found
    other = (
        "JSON_EXISTS(Priv, '$.auth_or') OR JSON_VALUE(Priv, '$.plugin') NOT IN ('', 'mysql_native_password')"
    )
    for name, host in found.run(f"SELECT User, Host FROM mysql.global_priv WHERE {other}"):
        found.run(f"DROP USER {found.written(name, host)}")


@pytest.fixture
def clear_world(aws: LocalAws, clear_maria: MariaDbServer) -> MariaDbWorld:
    return MariaDbWorld(aws, clear_maria)


@pytest.fixture
def stopped_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Ends every session like a killed process, before the first statement with a given beginning."""
    from rotators.engines.mysql.accounts import AccountSession  # noqa: PLC0415 - few tests need it

    run = AccountSession._run

    def stop(beginning: str) -> None:
        def until(session: AccountSession, statement: str) -> None:
            if statement.startswith(beginning):
                raise KeyboardInterrupt
            run(session, statement)

        monkeypatch.setattr(AccountSession, "_run", until if beginning else run)

    return stop
