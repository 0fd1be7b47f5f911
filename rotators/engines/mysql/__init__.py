"""MySQL and Aurora MySQL: engines ``mysql`` and ``aurora-mysql``.

Differences from other targets:

- An account is a user *and* a host pattern: ``'app'@'%'`` and ``'app'@'10.%'`` have separate passwords and
  rights. A rotation changes the account that a login's ``CURRENT_USER()`` names; a clone has the same host.
- An admin sends hashes only (``IDENTIFIED WITH caching_sha2_password AS 0x…``), in the format of the
  account's plugin: that one, ``sha256_password`` or ``mysql_native_password``. A user without CREATE USER
  can change its own password only in clear text, which needs TLS. The server writes ``<secret>`` instead of
  the password into its logs, unless it runs with ``--log-raw``.
- Account statements are not transactional. One statement creates a clone with a random password, which is
  discarded, and with its mark. The clone then gets all its rights, and its real password last. So a crash
  never leaves a login with fewer rights than the original.
- A clone is recognized by a mark that only an administrator can set: an attribute of the account (8.0.21).
- An account may have two passwords (8.0.14), which the strategy ``dual`` uses. Setting both takes two
  statements, so sessions that set them for the same account wait for each other (GET_LOCK).
- A new password does not end a block by FAILED_LOGIN_ATTEMPTS, so an admin also unlocks such an account,
  unless a person has locked it (``account_locked``).
- A login with an expired password opens a session that can only change the password.
- A login that violates REQUIRE SSL fails with the same error as a wrong password (1045).

Sources: MySQL 8.4 manual, ALTER USER, CREATE USER, GRANT, "Password Management".
"""

from __future__ import annotations

from typing import ClassVar

from rotators.core.passwords import PasswordRules
from rotators.strategies.alternating import Alternating
from rotators.strategies.credential import Password
from rotators.strategies.dual import Dual
from rotators.strategies.engine import DriverEngine
from rotators.strategies.proof import Proof
from rotators.strategies.rotator import EngineRotator
from rotators.strategies.single import Single


def rotator() -> EngineRotator:
    """Return the rotator of MySQL (entry point)."""
    return EngineRotator(MySqlEngine(), "pymysql")


class MySqlEngine(DriverEngine):
    """Limits and login of MySQL."""

    session = "rotators.engines.mysql.mysql_session"
    names = frozenset({"mysql", "aurora-mysql"})
    default_port = 3306
    # Every server has this database and every user may connect to it.
    target_defaults: ClassVar[dict[str, str]] = {"dbname": "information_schema"}
    longest_username = 32
    remedies: ClassVar[dict[str, str]] = {
        "auth-method": "Use the plugin caching_sha2_password.",
        "blocked": "Use ALTER USER … ACCOUNT UNLOCK.",
        "locked": "Use ALTER USER … ACCOUNT UNLOCK.",
        "expired": "Use ALTER USER … PASSWORD EXPIRE INTERVAL … DAY. If an administrator has expired the"
        " password, a rotation by an admin (masterarn) sets a new one.",
        "needs-certificate": "Use ALTER USER … REQUIRE SSL: it requires TLS, but no certificate.",
    }
    credential = Password(PasswordRules(shortest=8, longest=128))
    strategies = (Single(), Alternating(), Dual())
    proved_on: ClassVar[dict[str, Proof]] = {
        "mysql": Proof("MySQL 9.7.4", "2026-11-26"),
        "aurora-mysql": Proof("MySQL 9.7.4", "2026-11-26", substitute=True),
    }
