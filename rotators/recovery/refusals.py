"""Actions after a login that failed for another reason than a wrong password (pure functions).

The password is correct, or the server has not checked it: no stage moves and no password is set. Each action
only removes the obstacle. The engine adds how its servers do that (``Advises`` in strategies/engine.py).
"""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    """Meaning of a reason, and the action.

    Attributes:
        meaning: text after "AWSCURRENT: ".
        action: action for an administrator of the server, or of the secret, on any engine.
    """

    meaning: str
    action: str


REFUSALS: dict[str, Refusal] = {
    "expired": Refusal(
        "its password is right and has expired",
        "Leave the secret as it is. Let an administrator of the server lengthen the password's life.",
    ),
    "must-change": Refusal(
        "its password is right, and the server permits this user nothing else than to change it",
        "Rotate, or let an administrator of the server clear the mark.",
    ),
    "locked": Refusal(
        "its password is right, and an administrator has locked the account",
        "Leave the secret as it is. Find out why the account was locked; then unlock it.",
    ),
    "blocked": Refusal(
        "the server refuses every login of this user, because too many before were rejected; that says"
        " nothing about the password",
        "Leave the secret as it is. Stop what logs in with a wrong password. Then wait until the server lets"
        " the user in again, or unblock it as an administrator.",
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
        "Leave the secret as it is. Let an administrator of the server demand TLS alone, or stop rotating"
        " this secret.",
    ),
    "no-login": Refusal(
        "the server does not let this user log in, whatever its password",
        "Leave the secret as it is. Find out who took the right to log in away; then let an administrator of"
        " the server give it back.",
    ),
}
"""Refusals by the reason of TargetRefused. The states of a diagnosis use the same words."""
