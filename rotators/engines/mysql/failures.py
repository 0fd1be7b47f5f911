"""Failures of statements by MySQL's and MariaDB's error numbers. This module needs no driver."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rotators.core.errors import RotatorFailure, TargetRefused, TargetUnavailable
from rotators.logins.connecting import STATEMENT_SECONDS

EXPIRED = 1820
NO_PASSWORD_PLUGIN = 1699
"""SET PASSWORD reached an alternative without a password, possibly after it had changed another one."""

_OPTION = 1290
_CANNOT = 1396
_REFUSED_PASSWORD = frozenset({1819, 3638, 4229})
# The text of these errors repeats a part of the statement.
_TELLTALE = frozenset({1064, 1149})
_OF_READ_ONLY = re.compile(r"read[-_]only")


class _Meaning(NamedTuple):
    """Meaning of some error numbers: fields of the error to raise."""

    numbers: frozenset[int]
    kind: type[RotatorFailure]
    reason: str
    text: str
    remedy: str | None = None


_MEANINGS = (
    _Meaning(
        frozenset({_OPTION, 1792, 1836, 3989}),
        TargetRefused,
        "read-only",
        "the server is read-only",
        "Use the writer's endpoint as the secret's host, not a reader's.",
    ),
    _Meaning(
        frozenset({EXPIRED}),
        TargetRefused,
        "expired",
        "the password has expired, and the server allows nothing but its change",
        "Rotate with strategy single, which changes it; or set one as administrator.",
    ),
    _Meaning(
        frozenset({3892}),
        TargetRefused,
        "validation",
        "the server asks for the current password in addition to the new one",
        "Let an admin rotate (masterarn), or ALTER USER … PASSWORD REQUIRE CURRENT OPTIONAL.",
    ),
    _Meaning(
        frozenset({1226}),
        TargetUnavailable,
        "user-limit",
        "the user has used up one of its limits",
        "Wait until the hour is over, or raise the user's limit.",
    ),
    _Meaning(
        frozenset({1205, 1969, 3024}),
        TargetUnavailable,
        "slow",
        f"a statement did not end within {STATEMENT_SECONDS:.0f} seconds",
    ),
    _Meaning(
        frozenset({1044, 1141, 1142, 1143, 1227, 1370, 1410, 1698}),
        TargetRefused,
        "privilege",
        "a right is missing",
        "An admin needs CREATE USER, SELECT on mysql.*, and what it hands on WITH GRANT OPTION."
        " Dual without masterarn needs CREATE USER or, on MySQL, APPLICATION_PASSWORD_ADMIN.",
    ),
    _Meaning(
        frozenset({0, 1053, 1213, 1317, _CANNOT, 1927, 2006, 2013, 2014}),
        TargetUnavailable,
        "interrupted",
        "the connection or a concurrent change got in the way",
    ),
)


def number_of(error: Exception) -> int:
    """Return the server's error number.

    Args:
        error: error of the driver.

    Returns:
        Error number; 0 if the error has none.
    """
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def statement_failure(error: Exception, user: str) -> RotatorFailure:
    """Return the failure with the target's message, without the statement: it contains a hash.

    Args:
        error: error of the driver.
        user: user that is logged in.
    """
    code = number_of(error)
    text = "" if code in _TELLTALE or len(error.args) < 2 else f": {error.args[1]}"  # noqa: PLR2004 - number and text
    said = f"as {user!r}: error {code}{text}"
    meaning = next((each for each in _MEANINGS if code in each.numbers), None)
    if meaning is None or (code == _OPTION and not _OF_READ_ONLY.search(text)):
        return TargetRefused(f"the server refused a statement, {said}", reason="statement")
    return meaning.kind(f"{meaning.text}, {said}", reason=meaning.reason, remedy=meaning.remedy)


def refuses_hash(error: Exception) -> bool:
    """Return True if password validation refused a hash because it cannot check its password.

    Args:
        error: error of the driver.
    """
    return number_of(error) == _OPTION and "strict-password-validation" in str(error.args[1:])


def refuses_password(error: Exception) -> bool:
    """Return True if password validation refused a password.

    Args:
        error: error of the driver.
    """
    return number_of(error) in _REFUSED_PASSWORD


def says_nothing(error: Exception) -> bool:
    """Return True if the server could not alter a user and its error does not say why.

    Args:
        error: error of the driver.
    """
    return number_of(error) == _CANNOT


def no_hashes(plugins: Sequence[str]) -> TargetRefused:
    """Return the refusal of a server that accepts no hashes.

    Args:
        plugins: names of its active validation plugins.
    """
    return TargetRefused(
        "the server takes no password hash: strict_password_validation is on, with"
        f" {', '.join(plugins) or 'a validation plugin'}",
        reason="validation",
        remedy="Set strict_password_validation=OFF on the server. Or, if the server may have the password in"
        ' clear text, set "clear_text": true in the secret of the user that sets it (itself or the admin): it'
        " is then sent in clear text inside TLS, and the server's general log shows it if that is on.",
    )


def invalid_password(error: Exception, plugins: Sequence[str]) -> TargetRefused:
    """Return the refusal of a password that breaks the server's rules.

    Args:
        error: error of the driver; on some servers its text names the plugin.
        plugins: names of the server's active validation plugins.
    """
    named = re.search(r"\((\w+)\)$", str(error.args[-1]))
    name = named[1] if named else ", ".join(plugins)
    return TargetRefused(
        f"the server's password validation{f' ({name})' if name else ''} refused the new password, error"
        f" {number_of(error)}",
        reason="validation",
        remedy="Make the function's PASSWORD_LENGTH, EXCLUDE_… and REQUIRE_EACH_INCLUDED_TYPE meet the"
        " server's rules (`rotators check` compares them), or relax the rules of the plugin.",
    )
