"""Resource policies: BlockPublicPolicy and ValidateResourcePolicy, for what is plainly public.

The real service proves with a solver; here a policy is public when a statement allows the principal ``*``
without any condition (UG:best-practices). Nothing subtler is found.
"""

from __future__ import annotations

import json
from typing import Any

from rotators.local.secretsmanager.refusals import refusal

_MAX_CHARACTERS = 20_480
PUBLIC = "The resource policy grants broad access to the secret: it allows the principal * unconditionally."


def check_policy(policy: str, *, block_public: bool) -> None:
    """Refuse what PutResourcePolicy refuses.

    Args:
        policy: JSON text.
        block_public: BlockPublicPolicy.

    Raises:
        SecretsManagerClientError: MalformedPolicyDocumentException or PublicPolicyException.
    """
    fault = _syntax_fault(policy)
    if fault:
        raise refusal("MalformedPolicyDocumentException", fault)
    if block_public and _is_public(policy):
        raise refusal("PublicPolicyException", PUBLIC)


def findings(policy: str) -> list[dict[str, str]]:
    """Return the faults that ValidateResourcePolicy finds in a policy.

    Args:
        policy: JSON text.

    Returns:
        ValidationErrors of the answer; empty when it passes.
    """
    fault = _syntax_fault(policy)
    if fault:
        return [{"CheckName": "POLICY_SYNTAX", "ErrorMessage": fault}]
    return [{"CheckName": "BLOCK_PUBLIC_POLICY", "ErrorMessage": PUBLIC}] if _is_public(policy) else []


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
    return next((fault for fault in map(_statement_fault, statements) if fault), None)


def _statement_fault(statement: Any) -> str | None:
    if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
        return "A statement lacks an Effect of Allow or Deny."
    if "Principal" not in statement and "NotPrincipal" not in statement:
        return "A statement lacks a Principal."
    if "Action" not in statement and "NotAction" not in statement:
        return "A statement lacks an Action."
    return None


def _is_public(policy: str) -> bool:
    return any(
        statement["Effect"] == "Allow"
        and not statement.get("Condition")
        and ("NotPrincipal" in statement or "*" in _principals(statement["Principal"]))
        for statement in _statements(json.loads(policy))
    )


def _statements(document: Any) -> list[Any]:
    found = document.get("Statement") if isinstance(document, dict) else None
    return found if isinstance(found, list) else [found] if found else []


def _principals(principal: Any) -> list[str]:
    if isinstance(principal, str):
        return [principal]
    aws = principal.get("AWS", []) if isinstance(principal, dict) else []
    return [aws] if isinstance(aws, str) else list(aws)
