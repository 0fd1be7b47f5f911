"""Errors of the evaluation of policies."""

from __future__ import annotations

from rotators.core.errors import InvalidInput


class PolicyUnsupported(InvalidInput):
    """A policy is no JSON document of statements, or has a part that the evaluator does not know."""

    code = "policy-unsupported"
    remedy = "Correct the policy; if AWS accepts it, the evaluator in rotators/iam lacks this part."
