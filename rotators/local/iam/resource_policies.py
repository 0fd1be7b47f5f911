"""IAM's decision about one call with the policies of the resource and of a VPC endpoint.

The rules, and where the IAM User Guide states them (reference_policies_evaluation-logic and its pages
policy-eval-basics, policy-eval-denyallow and cross-account; reference_policies_elements_principal):

- An explicit denial in any of the policies wins.
- An endpoint's policy only filters: it must allow the call, and grants nothing (PrivateLink guide,
  vpc-endpoints-access).
- In the resource's own account, the caller's policies or a statement of the resource's policy for the caller
  itself is enough. From another account both are needed.
- A statement for a whole account leaves the decision to the policies of that account's callers.
- For KMS keys and for AssumeRole, the caller's policies count only if the resource's policy admits the caller
  or the caller's account (KMS guide, key-policies; IAM User Guide, id_roles_terms-and-concepts).

The caller is what the call's context says: ``aws:PrincipalArn`` and ``aws:PrincipalAccount``. A caller that
has only a token of an identity provider has ``aws:FederatedProvider`` instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from rotators.local.iam.evaluator import ApiCall, Decision, decide, fits, unknown

Statements = Sequence[Mapping[str, Any]]

_ROOT = ":root"
_ACCOUNT_PART = 4
_BY_RESOURCE_ALONE = ("kms:", "sts:AssumeRole")


class Match(Enum):
    """Relation of a statement's Principal to a caller."""

    NOBODY = "another"
    ACCOUNT = "the caller's account"
    CALLER = "the caller itself, or everybody"


def decide_with(
    identity: Iterable[Mapping[str, Any]],
    call: ApiCall,
    *,
    resource: Statements | None = None,
    endpoint: Statements | None = None,
) -> Decision:
    """Decide about a call by all policies that AWS evaluates.

    Args:
        identity: Statements of the caller's own policies.
        call: The call, with the caller in its context.
        resource: Statements of the resource's policy: of a secret, of a key, or a role's trust policy.
            None for a resource without one.
        endpoint: Statements of the VPC endpoint that the request passes; None without an endpoint.

    Returns:
        The decision. Its ``sid`` names the statement that decided; None if a permission is missing.

    Raises:
        LocalStackError: A statement has an element or operator that this evaluator does not support.
    """
    own = decide(identity, call)
    theirs = _fitting(resource or (), call)
    passed = _fitting(endpoint, call) if endpoint is not None else None
    denial = next((found for found in (*theirs, *(passed or ())) if found[0]["Effect"] == "Deny"), None)
    if own.sid is not None and not own.allowed:
        return own
    if denial:
        return Decision(allowed=False, sid=denial[0].get("Sid", ""))
    if passed is not None and not passed:
        return Decision(allowed=False, sid=None)
    return _granted(own, {match: statement.get("Sid", "") for statement, match in theirs}, call, resource)


def _granted(
    own: Decision, granting: Mapping[Match, str], call: ApiCall, resource: Statements | None
) -> Decision:
    nothing = Decision(allowed=False, sid=None)
    same_account = _owner(call) in ("", call.context.get("aws:PrincipalAccount"))
    if same_account and Match.CALLER in granting and not own.allowed:
        return Decision(allowed=True, sid=granting[Match.CALLER])
    needs_resource = not same_account or (resource is not None and call.action.startswith(_BY_RESOURCE_ALONE))
    if needs_resource and not granting:
        return nothing
    return own if own.allowed else nothing


def _fitting(statements: Statements, call: ApiCall) -> list[tuple[Mapping[str, Any], Match]]:
    found: list[tuple[Mapping[str, Any], Match]] = []
    for statement in statements:
        match = principal_matches(statement.get("Principal"), call)
        # A role's trust policy has no Resource: it is the role's own.
        bare = {"Resource": "*", **{key: value for key, value in statement.items() if key != "Principal"}}
        if match is not Match.NOBODY and fits(bare, call):
            found.append((statement, match))
    return found


def principal_matches(principal: Any, call: ApiCall) -> Match:
    """Compare a Principal with the caller of a call.

    Args:
        principal: The element: ``"*"``, or a mapping of kinds to one or many names.
        call: The call; its context names the caller.

    Returns:
        The relation of the two.

    Raises:
        LocalStackError: The kind of principal is not supported.
    """
    if principal == "*":
        return Match.CALLER
    if not isinstance(principal, Mapping) or not principal:
        raise unknown(f"the principal {principal!r}")
    matches = {
        _match(kind, name, call)
        for kind, names in principal.items()
        for name in ([names] if isinstance(names, str) else names)
    }
    return next((match for match in (Match.CALLER, Match.ACCOUNT) if match in matches), Match.NOBODY)


def _match(kind: str, name: str, call: ApiCall) -> Match:
    if kind == "Service":
        return Match.NOBODY  # our callers are roles
    if kind == "Federated":
        provider = call.context.get("aws:FederatedProvider")
        return Match.CALLER if provider and name in ("*", provider) else Match.NOBODY
    if kind != "AWS":
        raise unknown(f"principals of the kind {kind}")
    if name in ("*", call.context.get("aws:PrincipalArn")):
        return Match.CALLER
    account = name.split(":")[_ACCOUNT_PART] if name.endswith(_ROOT) else name
    return Match.ACCOUNT if account == call.context.get("aws:PrincipalAccount") else Match.NOBODY


def _owner(call: ApiCall) -> str:
    """The account of the resource; empty where the call has none."""
    parts = call.resource.split(":")
    return parts[_ACCOUNT_PART] if len(parts) > _ACCOUNT_PART else ""
