"""Results of domain controllers as errors. This module needs no driver.

A login that fails has result 49 for all reasons, and a data code in its message. The message of a refused
change begins with such a code; ``52D`` means any of the rules for passwords, and Samba's text says which one.
"""

from __future__ import annotations

import re

from rotators.core.errors import (
    CredentialsRejected,
    RotatorFailure,
    SecretFormatError,
    TargetRefused,
    TargetUnavailable,
)
from rotators.engines.ldap.messages import DATA_CODES
from rotators.engines.ldap.refusals import DENIED, change_failure, login_failure
from rotators.logins.causes import failure

_DATA = re.compile(r"\bdata ([0-9a-f]+)\b")
_INVALID_CREDENTIALS = 49
_WRONG_OLD, _RULES = "00000056", "0000052D"


def data_code_failure(result: int, said: str, where: str) -> RotatorFailure | SecretFormatError:
    """Return the error for a login that was not successful.

    Args:
        result: result code.
        said: the server's message.
        where: host, port and user; shown in the message.
    """
    code = _DATA.search(said)
    doing = f"Unable to log into the directory at {where}"
    if code and (reason := DATA_CODES.get(code[1])):
        return failure(reason, doing)
    if code and result == _INVALID_CREDENTIALS:
        return TargetUnavailable(f"{doing}: data code {code[1]}", reason="unknown")
    return login_failure(result, None, where)


def password_failure(result: int, said: str, user: str) -> RotatorFailure:
    """Return the error for a change of a password that was refused.

    Args:
        result: result code.
        said: the server's message.
        user: whose password was to be changed.
    """
    if said.startswith(_WRONG_OLD):
        return CredentialsRejected(
            f"the password of {user!r} that logged in is its previous one, which the server still accepts",
            reason="previous-password",
        )
    if said.upper().startswith(_RULES):
        return _against_rules(said)
    if result == DENIED:
        return TargetRefused(
            f"the logged-in user may not reset the password of {user!r}",
            reason="admin-rights",
            remedy="Delegate Reset password on the user, and write on lockoutTime, to the admin.",
        )
    return change_failure(result, None, said, user)


def too_young() -> TargetRefused:
    """Return the error for a password that has not the minimum age yet."""
    return TargetRefused(
        "the password is too young to be changed (minimum password age)",
        reason="too-young",
        remedy="Let an admin (masterarn) reset the password, rotate less often, or give the user a minimum"
        " age of 0 with a fine-grained password policy.",
    )


def _against_rules(said: str) -> TargetRefused:
    if "too young" in said:
        return too_young()
    if "already used" in said:
        return TargetRefused(
            "the password is in the history of the user's passwords",
            reason="history",
            remedy="Run `rotators repair SECRET`, which removes the pending version, then rotate: a new"
            " password is generated.",
        )
    return TargetRefused(
        "the domain's rules for passwords refuse the password (length, complexity or history)",
        reason="quality",
        remedy="Generate passwords that pass (PASSWORD_LENGTH and the other settings of the function).",
    )
