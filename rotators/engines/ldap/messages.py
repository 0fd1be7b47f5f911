"""Failed logins to directories, as ldap3 reports them to applications. This module needs no driver."""

from __future__ import annotations

from rotators.logins.causes import CERTIFICATES, NETWORK, Messages

DATA_CODES = {
    "525": "password",  # no such user; Samba answers 52e instead
    "52e": "password",
    "52f": "no-login",
    "530": "logon-hours",
    "531": "workstation",
    "532": "expired",
    "533": "locked",
    "534": "no-login",
    "701": "account-expired",
    "773": "must-change",
    "775": "blocked",
}
"""Key of CAUSES by the data code of Active Directory: a Windows error in hexadecimal (MS-ERREF, 2.2)."""

_PATTERNS = (
    *((rf"\bdata {code}\b", reason) for code, reason in DATA_CODES.items()),
    (r"[iI]nvalidCredentials", "password"),
    (
        r"confidentialityRequired|strongerAuthRequired|ConfidentialityRequired|StrongerAuthRequired",
        "access-rule",
    ),
    (r"[iI]nappropriateAuthentication", "auth-method"),
    (r"[uU]nwillingToPerform", "no-login"),
    (r"\bbusy\b|\bunavailable\b|LDAP(Busy|Unavailable)Result", "starting"),
    (r"does not match", "tls-host"),
    *CERTIFICATES,
    (r"StartTLS|startTLS", "tls-unsupported"),
    *NETWORK,
    (r"UNEXPECTED_EOF|session terminated|Connection reset", "closed"),
    (r"\bSSL\b|ssl wrapping", "tls"),
)


def _words(said: Exception | str) -> str:
    """The error's class and its text; empty for errors of other packages."""
    if isinstance(said, str):
        return said
    known = any(kind.__module__.startswith("ldap3.") for kind in type(said).__mro__)
    return f"{type(said).__name__}: {said}" if known else ""


MESSAGES = Messages(_PATTERNS, words=_words)
