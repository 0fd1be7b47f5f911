"""OpenLDAP: engine ``ldap``.

Differences from other targets:

- ``username`` is a DN, such as ``uid=app,ou=people,dc=example,dc=org``. One DN has many spellings.
- ``userPassword`` has any number of values, each of which logs in, and one MODIFY replaces all of them. So
  ``dual`` needs no second user. Values are hashed here: a server stores clear text as it is.
- With the overlay ppolicy a user has one password only. Then only ``single`` is possible.
- With ``single``, the user changes its own password with the password modify operation (RFC 3062), which the
  server hashes itself. An admin writes a hash with MODIFY, together with ``pwdReset: FALSE``: with
  ``pwdMustChange``, the user could otherwise log in and do nothing.
- A session may log in without being allowed to do anything, so a test also reads the user's own entry.
- The server answers with the same error to a wrong password, a missing user and an unknown suffix. Only
  ppolicy's response control tells that an account is locked or a password has expired.
- Referrals are not followed.
- A changed password ends no session.

Sources: RFC 3062, RFC 4511, RFC 4514, draft-behera-ldap-password-policy, slapo-ppolicy(5), OpenLDAP 2.5.
"""

from __future__ import annotations

from typing import ClassVar

from rotators.core.passwords import PasswordRules
from rotators.strategies.credential import Password
from rotators.strategies.dual import Dual
from rotators.strategies.engine import DriverEngine
from rotators.strategies.proof import Proof
from rotators.strategies.rotator import EngineRotator
from rotators.strategies.single import Single


def rotator() -> EngineRotator:
    """Return the rotator of OpenLDAP; the entry point."""
    return EngineRotator(LdapEngine(), "ldap3")


class LdapEngine(DriverEngine):
    """Limits and login of OpenLDAP."""

    session = "rotators.engines.ldap.session"
    names = frozenset({"ldap"})
    default_port = 636
    target_defaults: ClassVar[dict[str, str]] = {}
    members: ClassVar[dict[str, str]] = {
        "password_hash": "Scheme of new hashes: ssha, argon2, pbkdf2-sha256, pbkdf2-sha512."
    }
    form_members = ("password_hash",)
    longest_username = 255
    remedies: ClassVar[dict[str, str]] = {
        "blocked": "Delete the user's pwdAccountLockedTime.",
        "expired": "A rotation by an admin (masterarn) sets a new password.",
        "must-change": "To clear the mark, set pwdReset to FALSE.",
    }
    credential = Password(PasswordRules(shortest=8, longest=128))
    strategies = (Dual(), Single())
    proved_on: ClassVar[dict[str, Proof]] = {"ldap": Proof("OpenLDAP 2.5.13", "2026-11-26")}
