"""Resource policies: BlockPublicPolicy and ValidateResourcePolicy.

ValidateResourcePolicy checks the syntax, that no wide range of principals gets access, and that the caller is
not locked out (API:ValidateResourcePolicy). The real service proves the second with a solver. Here a policy
is public if a statement allows everybody, and no condition limits the callers to fixed values, by the keys
that the S3 guide lists (access-control-block-public-access, "The meaning of public"). The caller is locked
out if the policy denies it PutResourcePolicy, so that it could not correct the policy (an assumption; the
guide does not define it). The names of the checks are not AWS's.
"""

from __future__ import annotations

import json
from typing import Any

from rotators.iam.calls import ApiCall
from rotators.iam.conditions import is_operator, listed, negates
from rotators.iam.documents import statements_of
from rotators.iam.evaluator import decide_with
from rotators.iam.rules import ELEMENTS
from rotators.local.secretsmanager.refusals import refusal

_MAX_CHARACTERS = 20_480
_VERSIONS = ("2012-10-17", "2008-10-17")
_KINDS = {"AWS", "Service", "Federated", "CanonicalUser"}
_LIMITING = {
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
}
"""Condition keys that limit the callers, in lower case."""

PUBLIC = "The resource policy grants broad access to the secret: it allows the principal * unconditionally."
LOCKED_OUT = (
    "The resource policy locks out its author: it denies the caller secretsmanager:PutResourcePolicy."
)


def check_policy(policy: str, *, block_public: bool) -> None:
    """Refuse what PutResourcePolicy refuses.

    Args:
        policy: JSON text.
        block_public: BlockPublicPolicy.

    Raises:
        SecretsManagerClientError: MalformedPolicyDocumentException or PublicPolicyException.
    """
    if fault := _syntax_fault(policy):
        raise refusal("MalformedPolicyDocumentException", fault)
    if block_public and _is_public(policy):
        raise refusal("PublicPolicyException", PUBLIC)


def findings(policy: str, secret: str, caller: str) -> list[dict[str, str]]:
    """Return the faults that ValidateResourcePolicy finds in a policy.

    Args:
        policy: JSON text.
        secret: ARN of the secret; an asterisk if the request names none.
        caller: ARN of the caller's role or user.

    Returns:
        ValidationErrors of the answer; empty when it passes.
    """
    if fault := _syntax_fault(policy):
        return [{"CheckName": "POLICY_SYNTAX", "ErrorMessage": fault}]
    found = []
    if _is_public(policy):
        found.append({"CheckName": "BLOCK_PUBLIC_POLICY", "ErrorMessage": PUBLIC})
    if _locks_out(policy, secret, caller):
        found.append({"CheckName": "POLICY_LOCKOUT", "ErrorMessage": LOCKED_OUT})
    return found


def _locks_out(policy: str, secret: str, caller: str) -> bool:
    context = {
        "aws:PrincipalArn": caller,
        "aws:PrincipalAccount": caller.split(":")[4],
        "aws:PrincipalIsAWSService": "false",
        "aws:SecureTransport": "true",
    }
    call = ApiCall(caller, "secretsmanager:PutResourcePolicy", secret, context)
    # The caller's own policies allow the call, otherwise it would have been refused before. Permissions lock
    # nobody out.
    denials = [each for each in statements_of(policy) if each["Effect"] == "Deny"]
    return not decide_with(
        [{"Effect": "Allow", "Action": "*", "Resource": "*"}], call, resource=denials
    ).allowed


def _syntax_fault(policy: str) -> str | None:
    if len(policy) > _MAX_CHARACTERS:
        return f"The policy is longer than {_MAX_CHARACTERS} characters."
    try:
        document = json.loads(policy)
    except ValueError:
        return "The policy is not JSON."
    statements = _statements(document)
    if not statements:
        return "The policy has no Statement."
    if document.get("Version", _VERSIONS[0]) not in _VERSIONS:
        return "The policy has an unknown Version."
    return next((fault for fault in map(_statement_fault, statements) if fault), None)


def _statement_fault(statement: Any) -> str | None:
    """Return the first fault of a statement by the rules of reference_policies_grammar."""
    if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
        return "A statement lacks an Effect of Allow or Deny."
    if unknown := sorted(statement.keys() - ELEMENTS):
        return f"A statement has the unknown element {unknown[0]}."
    for name in ("Principal", "Action", "Resource"):
        if (name in statement) == (f"Not{name}" in statement):
            return f"A statement must have one of {name} and Not{name}."
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    if principal != "*" and not (isinstance(principal, dict) and principal and principal.keys() <= _KINDS):
        return "A statement has an invalid principal."
    actions = listed(statement.get("Action", statement.get("NotAction")))
    if not all(action == "*" or ":" in action for action in actions):
        return "An action must be * or of the form service:Operation."
    return _condition_fault(statement.get("Condition", {}))


def _condition_fault(conditions: Any) -> str | None:
    if not isinstance(conditions, dict) or not all(isinstance(keys, dict) for keys in conditions.values()):
        return "A Condition is not an object of operators."
    unknown = [name for name in conditions if not is_operator(name)]
    return f"A Condition has the unknown operator {unknown[0]}." if unknown else None


def _is_public(policy: str) -> bool:
    return any(
        statement["Effect"] == "Allow"
        and ("NotPrincipal" in statement or "*" in _principals(statement["Principal"]))
        and not _is_limited(statement.get("Condition", {}))
        for statement in _statements(json.loads(policy))
    )


def _is_limited(conditions: dict[str, dict[str, Any]]) -> bool:
    return any(
        key.lower() in _LIMITING
        and not negates(name)
        and not name.startswith("ForAllValues:")
        and not name.endswith("IfExists")
        and name != "Null"
        and all(_is_fixed(value) for value in listed(values))
        for name, keys in conditions.items()
        for key, values in keys.items()
    )


def _is_fixed(value: str) -> bool:
    """Return False for values that any caller can have."""
    return value not in {"*", "0.0.0.0/0", "::/0"} and not value.startswith("arn:*:*:*:*")


def _statements(document: Any) -> list[Any]:
    found = document.get("Statement") if isinstance(document, dict) else None
    return found if isinstance(found, list) else [found] if found else []


def _principals(principal: Any) -> list[str]:
    return listed(principal.get("AWS", []) if isinstance(principal, dict) else principal)
