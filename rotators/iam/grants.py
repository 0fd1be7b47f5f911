"""Grants of KMS keys, as statements of the key's policy.

A grant permits its operations to its grantee; constraints compare the encryption context (KMS guide, grants;
API reference, GrantConstraints).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rotators.iam.documents import SOURCE, Statement

_CONTEXT = "kms:EncryptionContext:"


_WITHOUT_CONTEXT = ("CreateGrant", "DescribeKey", "RetireGrant")
"""Operations without an encryption context, to which constraints do not apply."""


def statements_of_grants(grants: Iterable[Mapping[str, Any]]) -> tuple[Statement, ...]:
    """Return statements that permit what grants permit.

    Args:
        grants: elements of ``Grants`` in an answer of ListGrants.
    """
    return tuple(statement for grant in grants for statement in _statements(grant))


def _statements(grant: Mapping[str, Any]) -> Iterator[Statement]:
    operations = set(grant["Operations"])
    conditions = _conditions(grant.get("Constraints") or {})
    for named, limits in (
        (operations - {*_WITHOUT_CONTEXT}, {"Condition": conditions} if conditions else {}),
        (operations & {*_WITHOUT_CONTEXT}, {}),
    ):
        if named:
            yield {
                SOURCE: f"grant {grant['GrantId']} of the key",
                "Effect": "Allow",
                "Principal": _principal(grant),
                "Action": [f"kms:{operation}" for operation in sorted(named)],
                "Resource": "*",
                **limits,
            }


def _conditions(constraints: Mapping[str, Any]) -> dict[str, Any]:
    equal = constraints.get("EncryptionContextEquals") or {}
    pairs = {**(constraints.get("EncryptionContextSubset") or {}), **equal}
    found: dict[str, Any] = {}
    if pairs:
        found["StringEquals"] = {f"{_CONTEXT}{key}": value for key, value in pairs.items()}
    if equal:  # and no other pair
        found["ForAllValues:StringEquals"] = {"kms:EncryptionContextKeys": list(equal)}
    if arn := constraints.get("SourceArn"):
        found["ArnLike"] = {"aws:SourceArn": arn}
    return found


def _principal(grant: Mapping[str, Any]) -> Mapping[str, str]:
    name = str(grant.get("GranteeServicePrincipal") or grant["GranteePrincipal"])
    return {"Service" if name.endswith(".amazonaws.com") else "AWS": name}
