"""MongoDB and Amazon DocumentDB: engines ``mongodb``, ``documentdb``, and ``mongo`` as in AWS's secrets.

Differences from other targets:

- A user belongs to the database that it authenticates at (``dbname``, default ``admin``). The same name in
  another database is another user.
- ``updateUser`` with a password changes nothing else, except that it creates credentials for all mechanisms
  unless it names the user's own. A list of roles replaces all roles, so roles are sent only if those of a
  clone differ from the original's.
- MongoDB lets a user change its own password only with the action ``changeOwnPassword``. Without it the
  server answers with error 13, and the secret has to name an admin (``masterarn``).
- The server hashes new passwords, so they cross the network as text, inside TLS unless ``"ssl": false``.
- Only the primary of a replica set changes users. A login at another member continues at the primary that
  this member names.
- A clone is recognised by its ``customData``, never by its name.
- The server answers with the same error to a wrong password, a missing user and an address that the user's
  ``authenticationRestrictions`` exclude.
- A changed password ends no session.

The driver's parser (``bson``) is used on a connection of our own: pymongo's client repeats what fails, and
watches the server from threads until its selection timeout ends.

Sources: MongoDB manual, createUser, updateUser, usersInfo, connectionStatus, hello; MongoDB source,
``user_management_commands.cpp``; MongoDB specifications, OP_MSG and authentication; Amazon DocumentDB
developer guide, role-based access control.
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

_STANDIN = Proof("a test gateway with documentdb 1.0 in PostgreSQL 18.6", "2026-11-26", substitute=True)


def rotator() -> EngineRotator:
    """Return the rotator of MongoDB and Amazon DocumentDB; the entry point."""
    return EngineRotator(MongoEngine(), "bson")


class MongoEngine(DriverEngine):
    """Limits and login of MongoDB and Amazon DocumentDB."""

    session = "rotators.engines.mongodb.session"
    names = frozenset({"mongodb", "mongo", "documentdb"})
    default_port = 27017
    target_defaults: ClassVar[dict[str, str]] = {"dbname": "admin"}
    members: ClassVar[dict[str, str]] = {
        "replicaSet": "Name of the replica set; a server of another one is refused."
    }
    longest_username = 63
    # Limits of Amazon DocumentDB, which are the narrower ones.
    credential = Password(PasswordRules(shortest=8, longest=100, forbidden='/"@'))
    strategies = (Single(), Alternating())
    proved_on: ClassVar[dict[str, Proof]] = {
        "mongodb": _STANDIN,
        "mongo": _STANDIN,
        "documentdb": _STANDIN,
    }
