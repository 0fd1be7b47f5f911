"""Actions after a login that failed for another reason than a wrong password (pure functions).

The password is correct, or the server has not checked it: no stage moves and no password is set. Each action
only removes the obstacle.
"""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    """Meaning of a reason, and the action.

    Attributes:
        meaning: text after "AWSCURRENT: ".
        action: action for an administrator of the server, or of the secret.
    """

    meaning: str
    action: str


REFUSALS: dict[str, Refusal] = {
    "expired": Refusal(
        "its password is right and has expired",
        "Let an administrator of the server lengthen its life (PostgreSQL: ALTER ROLE … VALID UNTIL; MySQL,"
        " MariaDB: ALTER USER … PASSWORD EXPIRE INTERVAL … DAY), and leave the secret as it is. If it was"
        " expired by hand on MySQL or MariaDB, a rotation by an admin (masterarn) sets a new one.",
    ),
    "must-change": Refusal(
        "its password is right, and the server permits this user nothing else than to change it",
        "Rotate, or let an administrator of the server clear the mark (OpenLDAP: pwdReset to FALSE).",
    ),
    "locked": Refusal(
        "its password is right, and an administrator has locked the account",
        "Find out why it was locked; then unlock it (MySQL, MariaDB: ALTER USER … ACCOUNT UNLOCK). Leave the"
        " secret as it is.",
    ),
    "blocked": Refusal(
        "the server refuses every login of this user, because too many before were rejected; that says"
        " nothing about the password",
        "Stop what logs in with a wrong password. Then wait until the server lets the user in again, or"
        " unblock it as an administrator (MySQL: ALTER USER … ACCOUNT UNLOCK; MariaDB: FLUSH PRIVILEGES;"
        " OpenLDAP: delete pwdAccountLockedTime). Leave the secret as it is.",
    ),
    "elsewhere": Refusal(
        "the server does not admit this user from this machine's address",
        "Try it from where the rotation function runs (--remote). If that is refused too, admit that address"
        " at the server. Leave the secret as it is.",
    ),
    "needs-tls": Refusal(
        "the server demands TLS of this user",
        'Take "ssl": false out of the secret, keep all other keys, and store it with PutSecretValue.',
    ),
    "needs-certificate": Refusal(
        "the server demands a client certificate of this user, and rotations have none",
        "Let an administrator of the server demand TLS alone (MySQL, MariaDB: REQUIRE SSL), or stop rotating"
        " this secret. Leave the secret as it is.",
    ),
    "no-login": Refusal(
        "the server does not let this user log in, whatever its password",
        "Find out who took the right to log in away; then let an administrator of the server give it back"
        " (PostgreSQL: ALTER ROLE … LOGIN). Leave the secret as it is.",
    ),
}
"""Refusals by the reason of TargetRefused. The states of a diagnosis use the same words."""
