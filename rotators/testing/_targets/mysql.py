"""Target of the kit for rotators of MySQL: a private server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rotators.testing._targets.mariadb import MariaDbTarget


class MySqlTarget(MariaDbTarget):
    """Users of a MySQL server, which hides clear text in its logs itself."""

    longest: ClassVar[int] = 32
    commits: ClassVar[str] = "ALTER USER"

    @property
    def _default_role(self) -> str:
        return f"ALTER USER %s@%s DEFAULT ROLE {self._role}"

    def _more(self, name: str, host: str) -> list[Any]:
        """Return attributes, whether it has two passwords, and default roles, which SHOW GRANTS omits."""
        return [
            *self._execute(
                "SELECT User_attributes -> '$.metadata',"
                " JSON_CONTAINS_PATH(User_attributes, 'one', '$.additional_password')"
                " FROM mysql.user WHERE User = %s AND Host = %s",
                name,
                host,
            ),
            *self._execute(
                "SELECT DEFAULT_ROLE_USER FROM mysql.default_roles WHERE USER = %s AND HOST = %s ORDER BY 1",
                name,
                host,
            ),
        ]

    def _all_roles(self) -> set[str]:
        # A role is an account whose name starts with no user's name; only the kit's own role is read.
        rows = self._execute("SELECT User FROM mysql.user WHERE User = %s", self._role)
        return {str(row[0]) for row in rows}

    def _made_roles(self, value: Mapping[str, Any]) -> list[str]:
        """Return no roles: rotations create only accounts here, which are found by name."""
        del value
        return []


TARGET = MySqlTarget
