"""Active Directory: engine ``activedirectory``.

Differences from other directories (rotators/engines/ldap/, whose connection it uses):

- ``username`` is a user principal name (``app@example.org``), or a name without domain beside ``domain``.
- A user has one password, ``unicodePwd``, which can be written but not read. It is sent in clear text, so
  every connection uses TLS: a server may take it without.
- A user changes its password by deleting the old value and adding the new one in one MODIFY. The domain's
  minimum age and history apply. An admin's REPLACE is subject to neither. It does not unlock a locked user,
  so ``lockoutTime`` is written with it.
- With ``directory_id``, AWS Directory Service sets the password (ds:ResetUserPassword). The function's role
  is the admin then. See directories.py.
- A rejected login has a data code (refusals.py). Some codes come only with the right password.
- The previous password may log in for another hour. It is not a second password: no server promises it, and
  the one before is dead. The new password alone decides. A user cannot change its password with the previous
  one (00000056, which counts as a wrong password). A rotation then goes on with the next stored value.
- A changed password ends no session.

Sources: MS-ADTS 3.1.1.3.1.5, MS-ERREF; Directory Service API reference, ResetUserPassword;
aws-samples/aws-secrets-manager-rotation-lambdas, SecretsManagerActiveDirectoryRotationSingleUser; Samba 4.17.
"""

from __future__ import annotations

from typing import ClassVar

from rotators.core.passwords import PasswordRules
from rotators.engines.activedirectory.strategy import OverTls
from rotators.strategies.credential import Password
from rotators.strategies.engine import DriverEngine
from rotators.strategies.proof import Proof
from rotators.strategies.rotator import EngineRotator


def rotator() -> EngineRotator:
    """Return the rotator of Active Directory; the entry point."""
    return EngineRotator(ActiveDirectoryEngine(), "ldap3")


class ActiveDirectoryEngine(DriverEngine):
    """Limits and login of Active Directory."""

    session = "rotators.engines.activedirectory.session"
    names = frozenset({"activedirectory"})
    default_port = 636
    target_defaults: ClassVar[dict[str, str]] = {"domain": "none", "directory_id": "none"}
    longest_username = 255
    remedies: ClassVar[dict[str, str]] = {
        "blocked": "Use Unlock-ADAccount.",
        "locked": "Use Enable-ADAccount.",
        "account-expired": "The attribute accountExpires contains the time.",
        "workstation": "Add the domain controllers to the workstations that the user may log into.",
        "expired": "A rotation by an admin (masterarn) sets a new password.",
        "must-change": "To clear the mark, set pwdLastSet to -1.",
    }
    # The server's default is one hour. The change may come long after its version was stored.
    previous_hours = 24
    # 127: Directory Service, ResetUserPassword.
    credential = Password(PasswordRules(shortest=8, longest=127))
    strategies = (OverTls(),)
    proved_on: ClassVar[dict[str, Proof]] = {
        "activedirectory": Proof("Samba 4.17.12", "2026-11-26", substitute=True)
    }
