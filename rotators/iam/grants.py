"""Grants of KMS keys, as statements of the key's policy.

A grant permits its operations to its grantee; constraints compare the encryption context (KMS guide, grants;
API reference, GrantConstraints).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rotators.iam.documents import SOURCE, UNREAD, Statement

_CONTEXT = "kms:EncryptionContext:"

_WITHOUT_CONTEXT = ("CreateGrant", "DescribeKey", "RetireGrant")
"""Operations without an encryption context, to which those constraints do not apply."""

_WITHOUT_CONSTRAINTS = "RetireGrant"
_CONSTRAINTS = {"EncryptionContextEquals", "EncryptionContextSubset", "SourceArn"}


def statements_of_grants(grants: Iterable[Mapping[str, Any]]) -> tuple[Statement, ...]:
    """Return statements that permit what grants permit.

    Args:
        grants: elements of ``Grants`` in an answer of ListGrants.

    Returns:
        Statements of a key's policy: one for each operation of a grant.
    """
    return tuple(statement for grant in grants for statement in _statements(grant))


def _statements(grant: Mapping[str, Any]) -> Iterator[Statement]:
    what, constraints = f"grant {grant['GrantId']} of the key", grant.get("Constraints") or {}
    unknown = sorted(constraints.keys() - _CONSTRAINTS)
    for operation in sorted(set(grant["Operations"])):
        yield {
            SOURCE: what,
            "Effect": "Allow",
            "Principal": _principal(grant),
            "Action": f"kms:{operation}",
            "Resource": "*",
            "Condition": _conditions(operation, constraints),
            **({UNREAD: f"the constraint {unknown[0]} of the {what}"} if unknown else {}),
        }


def _conditions(operation: str, constraints: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    source = constraints.get("SourceArn")
    if source and operation != _WITHOUT_CONSTRAINTS:
        found["ArnLike"] = {"aws:SourceArn": source}
    equal = constraints.get("EncryptionContextEquals") or {}
    pairs = {**(constraints.get("EncryptionContextSubset") or {}), **equal}
    if operation in _WITHOUT_CONTEXT or not pairs:
        return found
    found["StringEquals"] = {f"{_CONTEXT}{key}": value for key, value in pairs.items()}
    if equal:  # and no other pair; keys are not case-sensitive in a grant, values are
        found["ForAllValues:StringEqualsIgnoreCase"] = {"kms:EncryptionContextKeys": list(equal)}
    return found


def _principal(grant: Mapping[str, Any]) -> Mapping[str, str]:
    name = str(grant.get("GranteeServicePrincipal") or grant["GranteePrincipal"])
    return {"Service" if name.endswith(".amazonaws.com") else "AWS": name}
