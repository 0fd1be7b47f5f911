"""Managed policies of moto's IAM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.iam.models import iam_backends

from rotators.iam.documents import statements_of

if TYPE_CHECKING:
    from rotators.iam.documents import Statements

_PARTITION = "aws"


def managed_statements(account: str, arn: str) -> Statements | None:
    """Return the statements of the default version of a managed policy; None if there is no such policy.

    Args:
        account: account in which it can be used.
        arn: ARN of the policy.
    """
    policy = iam_backends[account][_PARTITION].managed_policies.get(arn)
    if policy is None:
        return None
    return statements_of(next(each.document for each in policy.versions if each.is_default))
