"""A real MariaDB beside the local AWS, recording all it can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from rotators.engines.mysql.hashes import native_password
from tests.world import World, new_password, remembered, unique

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.local.aws import LocalAws
    from rotators.local.servers.mariadb import MariaDbServer


class MariaDbWorld(World):
    """The world with MariaDB in the place of PostgreSQL."""

    def __init__(self, aws: LocalAws, maria: MariaDbServer) -> None:
        super().__init__(aws, maria)  # type: ignore[arg-type] # what of it is PostgreSQL's is overridden here
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
        """Create an account with a hash; gives its secret's value. ``{}`` in a grant is the account."""
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
        """Change a password behind the secret's back."""
        self.run(f"ALTER USER {self.written(name, host)} {self.identified(remembered(password))}")

    def identified(self, password: str) -> str:
        """The clause that sets a hash."""
        return f"IDENTIFIED VIA mysql_native_password USING '{native_password(password)}'"

    def written(self, name: str, host: str = "%") -> str:
        """An account as SQL writes it."""
        return "@".join("'" + part.replace("\\", "\\\\").replace("'", "\\'") + "'" for part in (name, host))

    def run(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser."""
        return self.maria.execute(statement, *params)

    def open(self, value: dict[str, Any]) -> pymysql.Connection[Any]:
        """A plain connection with a value, past all of our code."""
        tls: dict[str, Any] = (
            {"ssl_ca": self.maria.ca, "ssl_verify_identity": True}
            if self.maria.ca
            else {"ssl_disabled": True}
        )
        return pymysql.connect(
            host=value["host"],
            port=value["port"],
            user=value["username"],
            password=value["password"].encode(),
            charset="utf8mb4",
            autocommit=True,
            **tls,
        )

    def ask(self, value: dict[str, Any], statement: str) -> list[tuple[Any, ...]]:
        """Run a statement with a value's login."""
        with self.open(value) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def logs_in(self, value: dict[str, Any]) -> bool:
        try:
            self.open(value).close()
        except pymysql.OperationalError as error:
            if error.args[0] == 1045:
                return False
            raise
        return True

    def logins(self) -> int:
        return self.maria.general_log().count(" Connect\t")

    def exists(self, name: str) -> bool:
        return bool(self.run("SELECT 1 FROM mysql.user WHERE User = %s", name))

    def grants(self, name: str, host: str = "%") -> set[str]:
        """What SHOW GRANTS says, with the account and the mark of clones left out, and no hash."""
        rows = self.run(f"SHOW GRANTS FOR {self.written(name, host)}")
        lines = {row[0].replace(f"`{name}`@`{host}`", "{}") for row in rows}
        return {line.split(" IDENTIFIED")[0] for line in lines if "rotators_clone_" not in line}


@pytest.fixture
def world(aws: LocalAws, maria: MariaDbServer) -> MariaDbWorld:
    return MariaDbWorld(aws, maria)


@pytest.fixture
def clear_world(aws: LocalAws, clear_maria: MariaDbServer) -> MariaDbWorld:
    return MariaDbWorld(aws, clear_maria)


@pytest.fixture
def stopped_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes every session end like a killed process before the first statement that begins so."""
    from rotators.engines.mysql.accounts import AccountSession  # noqa: PLC0415 - only those who stop

    run = AccountSession._run

    def stop(beginning: str) -> None:
        def until(session: AccountSession, statement: str) -> None:
            if statement.startswith(beginning):
                raise KeyboardInterrupt
            run(session, statement)

        monkeypatch.setattr(AccountSession, "_run", until if beginning else run)

    return stop
