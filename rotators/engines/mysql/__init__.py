"""MySQL and Aurora MySQL: engines ``mysql`` and ``aurora-mysql``.

How this target differs from others:

- An account is a user *and* a host pattern: ``'app'@'%'`` and ``'app'@'10.%'`` have their own passwords and
  rights. The account that a login's ``CURRENT_USER()`` names is the one that changes; a clone has its host.
- An admin sends hashes only (``IDENTIFIED WITH caching_sha2_password AS 0x…``), for the plugin that the
  account has: that one, ``sha256_password`` or ``mysql_native_password``. A user without CREATE USER may
  change its own password in clear text alone: that needs TLS. The server writes ``<secret>`` in its place
  into its logs, unless it runs with ``--log-raw``.
- There are no transactions around accounts: a clone is made with a password that nobody has and with its mark
  in one statement, is given all rights, and only then a password. So no crash leaves a login with less.
- A clone is proven by a mark that only an administrator can set: an attribute of the account (8.0.21).
- An account may have two passwords (8.0.14): the strategy ``dual``. To set both takes two statements, so
  sessions that set those of one account wait for each other (GET_LOCK).
- A block by FAILED_LOGIN_ATTEMPTS outlives a new password, so an admin unlocks such an account with it,
  unless a person has locked it (``account_locked``).
- A password that has expired opens a session that may change it and nothing else.
- REQUIRE SSL is refused like a wrong password (error 1045); the server does not tell them apart.

Sources: MySQL 8.4 manual, ALTER USER, CREATE USER, GRANT, "Password Management".
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from rotators.core.passwords import PasswordRules
from rotators.strategies.alternating import Alternating
from rotators.strategies.credential import Password
from rotators.strategies.dual import Dual
from rotators.strategies.rotator import EngineRotator, require_driver
from rotators.strategies.single import Single

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.engines.mysql.mysql_session import MySqlSession


def rotator() -> EngineRotator:
    """The entry point: the rotator of MySQL."""
    require_driver("pymysql")
    return EngineRotator(MySqlEngine())


class MySqlEngine:
    """MySQL's limits and its login."""

    names = frozenset({"mysql", "aurora-mysql"})
    default_port = 3306
    # Every server has it and every user may connect to it.
    target_defaults: ClassVar[dict[str, str]] = {"dbname": "information_schema"}
    longest_username = 32
    credential = Password(PasswordRules(shortest=8, longest=128))
    strategies = (Single(), Alternating(), Dual())

    @contextmanager
    def login(self, secret: Secret, settings: Settings) -> Iterator[MySqlSession]:
        """See Engine.login."""
        # The driver, when first needed.
        from rotators.engines.mysql.connection import connected  # noqa: PLC0415
        from rotators.engines.mysql.mysql_session import MySqlSession  # noqa: PLC0415

        with connected(secret, settings, self) as connection:
            yield MySqlSession(connection, secret)
