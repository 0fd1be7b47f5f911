"""Amazon Redshift, provisioned and Serverless: engine ``redshift``.

Not run against Amazon Redshift. The md5 part ran on PostgreSQL 15; the rest follows the documentation.

Differences from PostgreSQL (rotators/engines/postgres/), whose login is used:

- Only hashes are sent: ``md5…``, or ``sha256|digest|salt`` if the secret's ``password_hash`` is ``sha256``.
  The server checks only the form of a hash, so the rules for passwords are enforced here.
- A user with a sha256 hash logs in with a digest (AuthenticationRequest 13), which no driver on libpq has.
- Five wrong passwords in a row lock a user. An admin's reset unlocks it, unless another admin locked it.
- A secret may name a cluster, workgroup or namespace without a host; the store looks up the address.
- A user has no comment, and no user acts as another one. The rights of a pair come from groups and roles
  only; own rights and own objects are refused. A group, which only a superuser changes, marks the clone.
- PostgreSQL 8.0 is the base: no pg_roles, no pg_shdepend, no SET LOCAL ROLE, no prepared statements kept by
  the driver.

Statements, and their pages in the Amazon Redshift Database Developer Guide:

====================================  =================================================================
ALTER USER … [LOGIN] PASSWORD         r_ALTER_USER
CREATE USER … PASSWORD                r_CREATE_USER
CREATE GROUP, ALTER GROUP … ADD USER  r_CREATE_GROUP, r_ALTER_GROUP (DROP USER too)
GRANT ROLE, REVOKE ROLE               r_GRANT, r_REVOKE
BEGIN, COMMIT, ROLLBACK               r_BEGIN, r_COMMIT, r_ROLLBACK
SET statement_timeout                 r_SET, r_statement_timeout
SHOW USER LOCKOUT                     r_SHOW_USER_LOCKOUT
SHOW max_failed_login_attempts        r_SHOW, max_failed_login_attempts
SELECT current_user, version()        r_CURRENT_USER, r_VERSION
SELECT … svv_user_grants and others   r_SVV_USER_GRANTS, r_SVV_ROLE_GRANTS, r_SVV_SYSTEM_PRIVILEGES,
                                      r_SVV_RELATION_PRIVILEGES, r_SVV_DEFAULT_PRIVILEGES
SELECT … pg_user, pg_group, pg_class  c_join_PG (System catalog tables), c_visibility-of-data
====================================  =================================================================

Other sources: aws/amazon-redshift-python-driver (the digest),
aws-samples/aws-secrets-manager-rotation-lambdas (ALTER USER in a transaction).
"""

from __future__ import annotations

from typing import ClassVar

from rotators.engines.redshift.passwords import HashedPassword
from rotators.strategies.alternating import Alternating
from rotators.strategies.engine import DriverEngine
from rotators.strategies.proof import Proof
from rotators.strategies.rotator import EngineRotator
from rotators.strategies.single import Single


def rotator() -> EngineRotator:
    """Return the rotator of Amazon Redshift (entry point)."""
    return EngineRotator(RedshiftEngine(), "psycopg")


class RedshiftEngine(DriverEngine):
    """Limits and login of Amazon Redshift."""

    session = "rotators.engines.redshift.session"
    names = frozenset({"redshift"})
    default_port = 5439
    target_defaults: ClassVar[dict[str, str]] = {"dbname": "dev"}
    members: ClassVar[dict[str, str]] = {
        "password_hash": "Form of new hashes: md5, sha256.",
    }
    form_members = ("password_hash",)
    longest_username = 127
    remedies: ClassVar[dict[str, str]] = {
        "password": "A password that has expired (VALID UNTIL) is rejected too.",
        "digest": "AWS's drivers (redshift_connector, JDBC, ODBC) can log in. Without password_hash in the"
        " secret, a rotation stores the password as md5 again.",
    }
    identifiers = ("clusterIdentifier", "dbClusterIdentifier", "workgroupName", "namespaceName")
    credential = HashedPassword()
    strategies = (Single(), Alternating())
    proved_on: ClassVar[dict[str, Proof]] = {
        "redshift": Proof("PostgreSQL 15.18", "2026-11-26", substitute=True)
    }
