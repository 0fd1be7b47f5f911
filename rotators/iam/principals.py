"""The principals of a statement in a resource's policy.

The call's context names the caller: ``aws:PrincipalArn`` and ``aws:PrincipalAccount``. A caller that
has only a token of an identity provider has ``aws:FederatedProvider`` instead, a service of AWS
``aws:PrincipalServiceName``.
Sources: IAM User Guide, reference_policies_elements_principal, reference_policies_elements_notprincipal,
access_policies_boundaries (NotPrincipal denies every principal with a permissions boundary).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import IntEnum

from rotators.iam.calls import ApiCall, Missing
from rotators.iam.conditions import Open
from rotators.iam.documents import Statement
from rotators.iam.errors import PolicyUnsupported

_ROOT = ":root"
_ACCOUNT_PART = 4
_SESSION = re.compile(r"arn:[a-z-]+:sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/(?P<session>.+)")
_ASSUMED = ":assumed-role/"
_EVERYBODY = "*"


class Match(IntEnum):
    """Relation of a statement's Principal to a caller."""

    NOBODY = 0
    ACCOUNT = 1
    """The caller's account."""
    CALLER = 2
    """The caller itself."""
    SESSION = 3
    """A session of the caller, which is a role."""
    EVERYBODY = 4
    """Every principal, by an asterisk."""


_WHOLE = (Match.ACCOUNT, Match.EVERYBODY)


def principals_of(statement: Statement) -> Iterator[tuple[str, str]]:
    """List the principals that a statement names.

    Args:
        statement: statement of a resource's policy.

    Yields:
        Kind and name; the kind ``AWS`` for ``"*"``.

    Raises:
        PolicyUnsupported: the element is none that AWS knows.
    """
    if {"Principal", "NotPrincipal"} <= statement.keys():
        raise PolicyUnsupported("a statement with Principal and NotPrincipal is not known")
    element = statement.get("Principal", statement.get("NotPrincipal"))
    if element == _EVERYBODY:
        yield "AWS", _EVERYBODY
    elif isinstance(element, Mapping) and element:
        for kind, names in element.items():
            for name in [names] if isinstance(names, str) else names:
                yield kind, str(name)
    else:
        raise PolicyUnsupported(f"the principal {element!r} of a statement is not known")


class Principals:
    """The principals of a statement, prepared for many calls.

    Args:
        statement: statement of a resource's policy.

    Raises:
        PolicyUnsupported: the element is none that AWS knows.
    """

    def __init__(self, statement: Statement) -> None:
        self._named = tuple(principals_of(statement))
        self._others = "NotPrincipal" in statement
        self._denies = statement.get("Effect") == "Deny"

    def match(self, call: ApiCall, *, bounded: bool = False) -> tuple[Match, Open]:
        """Compare the principals with the caller of a call.

        Args:
            call: the call; its context names the caller.
            bounded: True if the caller has a permissions boundary.

        Returns:
            The relation of the two, and the undecided conditions.

        Raises:
            PolicyUnsupported: the kind of a principal is not known.
        """
        found = [_match(kind, name, call) for kind, name in self._named]
        certain = max((match for match, undecided in found if not undecided), default=Match.NOBODY)
        hoped = max(found, default=(Match.NOBODY, ()))
        if not self._others:
            return hoped if hoped[0] > certain else (certain, ())
        undecided = tuple(f"not {each}" for _, words in found for each in words)
        if self._denies:
            account = any(match in _WHOLE and not words for match, words in found)
            return _denied(certain, undecided, account=account, bounded=bounded)
        if certain >= Match.CALLER:
            return Match.NOBODY, ()
        if certain is Match.ACCOUNT:
            undecided = (*undecided, "NotPrincipal does not mean all of the caller's account")
        return Match.EVERYBODY, undecided


def _denied(certain: Match, undecided: Open, *, account: bool, bounded: bool) -> tuple[Match, Open]:
    """NotPrincipal excludes a caller only if it names the caller and its account, or everybody."""
    if bounded or (certain < Match.CALLER and not undecided):
        return Match.CALLER, ()
    if certain >= Match.CALLER and account:
        return Match.NOBODY, ()
    return Match.CALLER, undecided or ("NotPrincipal does not name the caller's account",)


def _match(kind: str, name: str, call: ApiCall) -> tuple[Match, Open]:
    key = _KEYS.get(kind)
    if key is None:
        if call.known is None:
            raise PolicyUnsupported(f"principals of the kind {kind} are not known")
        return Match.CALLER, (f"the principal {kind} {name}",)
    if kind == "AWS" and name != _EVERYBODY:
        return _match_of_account(name, call)
    caller = call.values(key)
    if kind == "AWS":
        return Match.EVERYBODY, ()
    if isinstance(caller, Missing):
        return Match.NOBODY, ()
    return (Match.CALLER, ()) if name in (_EVERYBODY, *caller) else (Match.NOBODY, ())


_KEYS = {
    "AWS": "aws:PrincipalArn",
    "Federated": "aws:FederatedProvider",
    "Service": "aws:PrincipalServiceName",
}
"""The condition key that names the caller, by kind of principal."""


def _match_of_account(name: str, call: ApiCall) -> tuple[Match, Open]:
    caller, account = call.values("aws:PrincipalArn"), call.values("aws:PrincipalAccount")
    if isinstance(account, Missing):
        return Match.NOBODY, ()
    arn = "" if isinstance(caller, Missing) else caller[0]
    if name == arn:
        return Match.CALLER, ()
    if _ASSUMED in name and (session := _SESSION.fullmatch(name)):
        own = session["account"] == account[0] and arn.endswith(f"/{session['role']}") and ":role/" in arn
        return (Match.SESSION, (f"the session {session['session']}",)) if own else (Match.NOBODY, ())
    named = name.split(":")[_ACCOUNT_PART] if name.endswith(_ROOT) else name
    return (Match.ACCOUNT, ()) if named == account[0] else (Match.NOBODY, ())
