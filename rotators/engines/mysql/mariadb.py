"""MariaDB: engine ``mariadb``.

Differences from MySQL (rotators/engines/mysql/):

- Only hashes are sent, also by a user that changes its own password (``SET PASSWORD = '*…'``). A server with
  ``strict_password_validation`` and a validation plugin accepts no hashes: turn the former off, or allow
  clear text inside TLS in the secret (``"clear_text": true``); the server's general log then shows it.
- An account has one or more authentication alternatives, and a rotation keeps all of them: those with a
  password (``mysql_native_password``, ``ed25519``) get the new one, ``unix_socket`` and the like are kept
  unchanged. SET PASSWORD changes the first alternative that has a password, and then reports error 1699 if an
  alternative without one precedes it.
- ``ed25519`` needs PyNaCl (the extra ``rotators[ed25519]``). PyMySQL, which applications use, tries only the
  first of two such passwords, so ``dual`` is refused. ``parsec`` cannot log in at all.
- A login with an expired password opens a session that can only change the password.
- A clone is recognized by a mark that only an administrator can set: a role without rights, named after the
  pair. GRANT of that role also creates the account, with an invalid hash or a random password that is
  discarded, so there is never an account without its mark.
- Two passwords are two alternatives of one account: ``IDENTIFIED VIA … OR …``. Setting them needs CREATE
  USER, so ``dual`` needs an admin, unless the user has that right.
- SET PASSWORD changes the first alternative only. After a change from ``dual`` to ``single``, an admin has to
  set the password once (ALTER USER); otherwise the older password stays valid.
- A role has no host, and an account has at most one default role.

Sources: MariaDB knowledge base, ALTER USER, GRANT, SET PASSWORD, Roles.
"""

from __future__ import annotations

from typing import ClassVar

from rotators.engines.mysql import MySqlEngine
from rotators.strategies.proof import Proof
from rotators.strategies.rotator import EngineRotator


def rotator() -> EngineRotator:
    """Return the rotator of MariaDB (entry point)."""
    return EngineRotator(MariaDbEngine(), "pymysql")


class MariaDbEngine(MySqlEngine):
    """Limits and login of MariaDB, where they differ from MySQL's."""

    session = "rotators.engines.mysql.mariadb_session"
    names = frozenset({"mariadb"})
    longest_username = 80
    remedies: ClassVar[dict[str, str]] = {
        **MySqlEngine.remedies,
        "auth-method": "Use the plugin mysql_native_password or ed25519.",
        "blocked": "Use FLUSH PRIVILEGES.",
    }
    proved_on: ClassVar[dict[str, Proof]] = {"mariadb": Proof("MariaDB 10.11.19", "2026-11-26")}
