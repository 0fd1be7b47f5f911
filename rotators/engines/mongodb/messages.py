"""Failed logins to MongoDB: the server's error codes, and pymongo's errors. This module needs no driver.

The code decides. Texts distinguish only the causes for which there is no answer of the server.

Source: MongoDB source, ``src/mongo/base/error_codes.yml``.
"""

from __future__ import annotations

from rotators.logins.causes import CERTIFICATES, NETWORK, Messages

NOT_PRIMARY = frozenset({91, 189, 10107, 11600, 11602, 13435, 13436})
"""Codes of a member that is no primary, or no longer: it stops, or an election goes on."""
UNAUTHORIZED, USER_NOT_FOUND, USER_EXISTS = 13, 11, 51003
TIMED_OUT, MECHANISM_UNAVAILABLE = 50, 334

_CODES = (
    *(("password", code) for code in (18, 8000)),
    *(("starting", code) for code in NOT_PRIMARY),
    ("timeout", TIMED_OUT),
    ("auth-method", MECHANISM_UNAVAILABLE),
    ("access-rule", UNAUTHORIZED),
)
_PATTERNS = (
    *((rf"^code={code}\b", reason) for reason, code in _CODES),
    *CERTIFICATES,
    *NETWORK,
    (r"\bSSL\b", "tls"),
    (r"connection closed|Connection reset", "closed"),
)


def _words(said: Exception | str) -> str:
    """The server's code, if the error has one, and the text; empty for errors of other packages."""
    if isinstance(said, str):
        return said
    if not any(kind.__module__.startswith("pymongo.") for kind in type(said).__mro__):
        return ""
    code = getattr(said, "code", None) or (getattr(said, "details", None) or {}).get("code")
    return f"code={code}" if isinstance(code, int) else str(said)


MESSAGES = Messages(_PATTERNS, words=_words)
