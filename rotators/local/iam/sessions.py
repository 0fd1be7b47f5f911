"""Managed session policies of roles, which moto ignores.

Source: STS API reference, AssumeRole, PolicyArns: up to ten managed policies of the role's account. The
session has the permissions that both the role's policies and the session policies allow. The error for a
policy that does not exist is not documented; here it is a ValidationError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moto.sts.exceptions import STSValidationError

from rotators.iam.calls import account_of
from rotators.iam.documents import statements_of
from rotators.local.iam.managed_policies import managed_statements

if TYPE_CHECKING:
    from moto.core.responses import ActionResult
    from moto.sts.responses import TokenResponse

    from rotators.iam.documents import Statements

_MOST_POLICIES = 10


def with_managed_policies(
    assume: Callable[[TokenResponse], ActionResult], response: TokenResponse
) -> ActionResult:
    """Assume a role, and keep the managed policies of the session.

    Args:
        assume: moto's handler of AssumeRole or of one of its kinds.
        response: Moto's handler of the request.

    Returns:
        The answer.

    Raises:
        STSValidationError: There are more than ten policies, or one does not exist.
    """
    params = response._get_params()  # noqa: SLF001 - what moto's own handlers use
    arns = [each["arn"] for each in params.get("PolicyArns", ())]
    if len(arns) > _MOST_POLICIES:
        raise STSValidationError(
            "1 validation error detected: Value at 'policyArns' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_MOST_POLICIES}"
        )
    account = account_of(params["RoleArn"])
    for arn in arns:
        if managed_statements(account, arn) is None:
            raise STSValidationError(f"Policy {arn} does not exist in the account of the role.")
    answer = assume(response)
    session: Any = answer.result["Credentials"]  # type: ignore[index] # moto's record of it
    session.policy_arns = arns
    return answer


def session_statements(session: Any) -> Statements | None:
    """Return the statements of all policies of a session, of the inline one and the managed ones.

    Args:
        session: moto's record of an assumed role.

    Returns:
        The statements, without those of a policy that was deleted since then; None for a session without
        policies.
    """
    arns = getattr(session, "policy_arns", ())
    if not session.policy and not arns:
        return None
    account = account_of(session.role_arn)
    managed = [managed_statements(account, arn) or () for arn in arns]
    inline = statements_of(session.policy) if session.policy else ()
    return (*inline, *(each for statements in managed for each in statements))
