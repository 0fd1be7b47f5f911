"""PostgreSQL and Aurora PostgreSQL: engines ``postgres`` and ``aurora-postgresql``.

Differences from other targets:

- Passwords are stored as SCRAM verifiers. Only the verifier is sent (``ALTER ROLE … PASSWORD
  'SCRAM-SHA-256$…'``), unless the secret asks for clear text: the server's log, its statistics and its error
  messages never hold a password, whatever they are set to record.
- Changes of roles are transactional: a clone is made with its rights, settings and password in one commit.
- ``ALTER ROLE clone SET role = original`` makes the clone act as the original from its login on, so the
  original owns the objects that the clone creates.
- One user has one password: the strategies are ``single`` and ``alternating``.
- libpq computes a SCRAM proof for any number of iterations, and does not report the SQLSTATE of a failed
  login. So the login is made here (engines/postgres/login.py), and libpq takes over the connection. The
  English text of a failure determines its cause; the SQLSTATE is used if the text is unknown. An unknown
  cause counts as *unavailable*, never as *rejected*: it must not make a rotation try the next password.
- Every setting is LOCAL to its transaction: behind a pooler, another client uses the server connection next.

The operations of a session are in engines/postgres/session.py; docs/reference/postgres.md is for users.

Sources: PostgreSQL manual, ALTER ROLE, Appendix A (SQLSTATE).
"""

from __future__ import annotations

from typing import ClassVar

from rotators.core.passwords import PasswordRules
from rotators.strategies.alternating import Alternating
from rotators.strategies.credential import Password
from rotators.strategies.engine import DriverEngine
from rotators.strategies.proof import Proof
from rotators.strategies.rotator import EngineRotator
from rotators.strategies.single import Single


def rotator() -> EngineRotator:
    """Return the rotator of PostgreSQL (entry point)."""
    return EngineRotator(PostgresEngine(), "psycopg")


class PostgresEngine(DriverEngine):
    """Limits and login of PostgreSQL."""

    session = "rotators.engines.postgres.session"
    names = frozenset({"postgres", "aurora-postgresql"})
    default_port = 5432
    target_defaults: ClassVar[dict[str, str]] = {"dbname": "postgres"}
    longest_username = 63
    remedies: ClassVar[dict[str, str]] = {
        "password": "A password that has expired (VALID UNTIL) is rejected too.",
        "access-rule": "The rules are in pg_hba.conf.",
        "auth-method": "Use the method scram-sha-256 in pg_hba.conf.",
        "blocked": "If the module credcheck has banned the user, call pg_banned_role_reset.",
        "expired": "Use ALTER ROLE … VALID UNTIL. A new password alone would expire at the same time.",
        "scram-iterations": "From PostgreSQL 16 on, the setting scram_iterations determines the number.",
        "needs-certificate": "The variables PGSSLCERT and PGSSLKEY can name a certificate and its key.",
        "pooler": "PgBouncer has the password in its user list, or reads it from the server with auth_query.",
        "no-login": "Use ALTER ROLE … LOGIN.",
    }
    credential = Password(PasswordRules(shortest=8, longest=128))
    strategies = (Single(), Alternating())
    proved_on: ClassVar[dict[str, Proof]] = {
        "postgres": Proof("PostgreSQL 15.18", "2026-11-26"),
        "aurora-postgresql": Proof("PostgreSQL 15.18", "2026-11-26", substitute=True),
    }
