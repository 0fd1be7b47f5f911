"""Target of the kit for rotators of Amazon Redshift: a PostgreSQL server with md5 passwords in its place."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from psycopg import sql

from rotators.local.servers.redshift import RedshiftStandIn
from rotators.testing._target import Value
from rotators.testing._targets.postgres import PostgresTarget


class RedshiftTarget(PostgresTarget):
    """Users of a PostgreSQL server with an md5 password, who are members of a group.

    Args:
        server: running server.
    """

    longest: ClassVar[int] = 63  # of PostgreSQL; Redshift permits 127
    # Redshift allows printable ASCII characters without quotation marks, \, / and @.
    hostile_passwords: ClassVar[Sequence[str]] = (
        "Per1cent%s%(x)s",
        "Semi1;colon--$$",
        "Pipe1|{brace}~",
    )

    def __init__(self, server: RedshiftStandIn) -> None:
        super().__init__(server)
        self._group = f"kit readers {self._run}"

    def close(self) -> None:
        """See Target.close. All users are in one group."""
        self._execute(sql.SQL("DROP GROUP IF EXISTS {}").format(sql.Identifier(self._group)))
        super().close()

    def remove(self, value: Mapping[str, Any]) -> None:
        """See Target.remove."""
        super().remove(value)
        mark = f"pair: {self._original(value)}"
        self._execute(sql.SQL("DROP GROUP IF EXISTS {}").format(sql.Identifier(mark)))

    def takes_password(self, password: str) -> bool:
        """See Target.takes_password."""
        used = set(password)
        classes = (string.ascii_uppercase, string.ascii_lowercase, string.digits)
        allowed = all("!" <= each <= "~" for each in used) and not used & set("'\"\\/@")
        return allowed and 8 <= len(password) <= 64 and all(used & set(each) for each in classes)  # noqa: PLR2004

    def _create(self, name: str, password: str) -> Value:
        made = super()._create(name, password)
        group = sql.Identifier(self._group)
        if not self._execute("SELECT 1 FROM pg_group WHERE groname = %s", [self._group]):
            self._execute(sql.SQL("CREATE GROUP {}").format(group))
        self._execute(sql.SQL("ALTER GROUP {} ADD USER {}").format(group, sql.Identifier(name)))
        return made

    def _password(self) -> str:
        return f"Pw1-{secrets.token_hex(12)}"


TARGET = RedshiftTarget
