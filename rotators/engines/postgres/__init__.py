"""PostgreSQL and Aurora PostgreSQL: engines ``postgres`` and ``aurora-postgresql``.

How this target differs from others:

- Passwords are stored as SCRAM verifiers. Only the verifier is sent (``ALTER ROLE … PASSWORD
  'SCRAM-SHA-256$…'``), unless the secret asks for clear text: the server's log, its statistics and its error
  messages never hold a password, whatever they are set to record.
- Changes of roles are transactional: a clone is made with its rights, settings and password in one commit.
- ``ALTER ROLE clone SET role = original`` makes the clone act as the original from its login on, so that
  what it creates belongs to the original.
- One user has one password: the strategies are ``single`` and ``alternating``.
- libpq computes a SCRAM proof for any number of iterations, and tells no SQLSTATE of a failed login. So the
  login is made here (engines/postgres/login.py), and libpq takes the connection over. The cause of a failure
  is told by the text, in English, and else by the SQLSTATE. What nobody knows counts as *unavailable*, never
  as *rejected*: it must not make a walk try the next password.
- Every setting is LOCAL to its transaction: behind a pooler, the server connection is somebody else's next.

What is done in a login stands in engines/postgres/session.py; docs/reference/postgres.md is for users.

Sources: PostgreSQL manual, ALTER ROLE, Appendix A (SQLSTATE).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rotators.core.passwords import PasswordRules
from rotators.strategies.alternating import Alternating
from rotators.strategies.credential import Password
from rotators.strategies.rotator import EngineRotator, require_driver
from rotators.strategies.single import Single

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.engines.postgres.session import PostgresSession


def rotator() -> EngineRotator:
    """The entry point: the rotator of PostgreSQL."""
    require_driver("psycopg")
    return EngineRotator(PostgresEngine())


class PostgresEngine:
    """PostgreSQL's limits and its login."""

    names = frozenset({"postgres", "aurora-postgresql"})
    default_port = 5432
    target_defaults: ClassVar[dict[str, str]] = {"dbname": "postgres"}
    longest_username = 63
    credential = Password(PasswordRules(shortest=8, longest=128))
    strategies = (Single(), Alternating())

    def login(self, secret: Secret, settings: Settings) -> AbstractContextManager[PostgresSession]:
        """See Engine.login."""
        from rotators.engines.postgres.session import logged_in  # noqa: PLC0415 - the driver, when first needed

        return logged_in(secret, settings, self)
