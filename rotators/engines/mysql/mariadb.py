"""MariaDB: engine ``mariadb``.

How this target differs from MySQL (rotators/engines/mysql/):

- Only hashes are sent, also by a user that changes its own password (``SET PASSWORD = '*…'``). A server with
  ``strict_password_validation`` and a validation plugin takes no hashes: switch the former off, or allow
  clear text inside TLS in the secret (``"clear_text": true``); the server's general log shows it then.
- An account has one or more alternatives, and all of them stay: those with a password
  (``mysql_native_password``, ``ed25519``) get the new one, ``unix_socket`` and the like are written as they
  were. SET PASSWORD changes the first that has a password, and reports error 1699 afterwards if one without
  stands before it.
- ``ed25519`` needs PyNaCl (the extra ``rotators[ed25519]``). PyMySQL, which applications use, tries only the
  first of two such passwords, so ``dual`` is refused. ``parsec`` cannot log in at all.
- A password that has expired opens a session that may change it and nothing else.
- A clone is proven by a mark that only an administrator can set: a role without rights, named after the pair.
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
    from rotators.engines.mysql.mariadb_session import MariaDbSession


def rotator() -> EngineRotator:
    """The entry point: the rotator of MariaDB."""
    require_driver("pymysql")
    return EngineRotator(MariaDbEngine())


class MariaDbEngine:
    """MariaDB's limits and its login."""

    names = frozenset({"mariadb"})
    default_port = 3306
    # Every server has it and every user may connect to it.
    target_defaults: ClassVar[dict[str, str]] = {"dbname": "information_schema"}
    longest_username = 80
    credential = Password(PasswordRules(shortest=8, longest=128))
    strategies = (Single(), Alternating(), Dual())

    @contextmanager
    def login(self, secret: Secret, settings: Settings) -> Iterator[MariaDbSession]:
        """See Engine.login."""
        # The driver, when first needed.
        from rotators.engines.mysql.connection import connected  # noqa: PLC0415
        from rotators.engines.mysql.mariadb_session import MariaDbSession  # noqa: PLC0415

        with connected(secret, settings, self) as connection:
            yield MariaDbSession(connection, secret)
