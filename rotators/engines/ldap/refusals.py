"""Results of OpenLDAP as errors. This module needs no driver.

ppolicy reports its reasons in a control of the response (draft-behera-ldap-password-policy, section 6.2), and
the same result code covers several of them.
"""

from __future__ import annotations

from collections.abc import Callable

from rotators.core.errors import RotatorFailure, SecretFormatError, TargetRefused, TargetUnavailable
from rotators.logins.causes import failure

EXPIRED, LOCKED, MUST_CHANGE = 0, 1, 2
"""Codes of ppolicy in the response to a login."""

SUCCESS, REFERRAL, NO_ENTRY, DENIED = 0, 10, 32, 50
"""Result codes (RFC 4511, appendix A)."""

_LOGIN = {
    8: "access-rule",
    13: "access-rule",
    48: "auth-method",
    49: "password",
    51: "starting",
    52: "starting",
    53: "no-login",
}

_BY_POLICY: dict[int, Callable[[], TargetRefused]] = {
    3: lambda: TargetRefused(
        "the password policy does not permit users to change their passwords",
        reason="no-self-change",
        remedy="Set pwdAllowUserChange in the policy, or let an admin (masterarn) change the password.",
    ),
    4: lambda: TargetRefused(
        "the password policy demands the old password in the change (pwdSafeModify)",
        reason="safe-modify",
        remedy="Use strategy single without an admin, or give the admin the right manage on userPassword.",
    ),
    5: lambda: TargetRefused(
        "the password policy refuses the password, or refuses hashes because it cannot check them",
        reason="quality",
        remedy="Use strategy single, give the admin the right manage on userPassword, or generate passwords"
        " that pass (PASSWORD_LENGTH and the other settings of the function).",
    ),
    7: lambda: TargetRefused(
        "the password is too young to be changed (pwdMinAge)",
        reason="too-young",
        remedy="Rotate less often than pwdMinAge, or give the admin the right manage on userPassword.",
    ),
    8: lambda: TargetRefused(
        "the password is in the history of the user's passwords (pwdInHistory)",
        reason="history",
        remedy="Run `rotators repair SECRET`, which removes the pending version, then rotate: a new password"
        " is generated.",
    ),
}
_BY_POLICY |= dict.fromkeys((6, 9), _BY_POLICY[5])


def login_failure(result: int, policy: int | None, where: str) -> RotatorFailure | SecretFormatError:
    """Return the error for a login that was not successful.

    Args:
        result: result code.
        policy: code of ppolicy; None if it sent none.
        where: host, port and user; shown in the message.
    """
    doing = f"Unable to log into the directory at {where}"
    if result == 34:  # noqa: PLR2004 - invalidDNSyntax
        return SecretFormatError("key 'username' of the secret is not a DN that the server knows")
    if result == 49 and policy in {EXPIRED, LOCKED}:  # noqa: PLR2004 - invalidCredentials
        return failure("expired" if policy == EXPIRED else "blocked", doing)
    if result == REFERRAL:
        return referral(doing)
    if reason := _LOGIN.get(result):
        return failure(reason, doing)
    return TargetUnavailable(f"{doing}: result {result}", reason="unknown")


def change_failure(result: int, policy: int | None, text: str, user: str) -> RotatorFailure:
    """Return the error for a change that was refused.

    Args:
        result: result code.
        policy: code of ppolicy; None if it sent none.
        text: the server's message.
        user: whose password was to be changed.
    """
    if policy in _BY_POLICY:
        return _BY_POLICY[policy]()
    if "only allows one password value" in text:
        return TargetRefused(
            "the password policy (ppolicy) allows one password value for each user",
            reason="one-password",
            remedy='Use "strategy": "single" in the secret.',
        )
    if result == REFERRAL or "shadow context" in text:
        return referral(f"Unable to change {user!r}")
    if result == 20:  # noqa: PLR2004 - attributeOrValueExists
        # ppolicy dates the history in seconds, so the second change within one fails.
        return TargetUnavailable("the password was changed a moment ago", reason="changed-meanwhile")
    return _refused(result, user)


def _refused(result: int, user: str) -> TargetRefused:
    if result == DENIED:
        return TargetRefused(
            f"the logged-in user may not change the password of {user!r}",
            reason="admin-rights",
            remedy="Give users the right =xw on their own userPassword; give the admin the right manage on"
            " userPassword, and write on pwdReset if the server has ppolicy.",
        )
    if result == NO_ENTRY:
        return TargetRefused(
            f"there is no entry {user!r}",
            reason="no-user",
            remedy="Correct the username of the secret, or create the entry.",
        )
    return TargetRefused(f"the server refused the change with result {result}", reason="statement")


def referral(doing: str) -> TargetRefused:
    """Return the error for a server that makes no changes itself.

    Args:
        doing: action that failed; shown in the message.
    """
    return TargetRefused(
        f"{doing}: the server is a replica, or the entry is on another server (referral)",
        reason="read-only",
        remedy="Name the server that accepts changes (the provider) as the host. Referrals are not followed.",
    )
