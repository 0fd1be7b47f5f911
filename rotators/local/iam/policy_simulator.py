"""IAM's policy simulator for roles, which moto lacks (API:SimulatePrincipalPolicy)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.core.responses import ActionResult

from rotators.iam.calls import ApiCall
from rotators.iam.documents import Statement, statements_of
from rotators.iam.evaluator import decide
from rotators.local.iam.managed_policies import managed_statements

if TYPE_CHECKING:
    from moto.iam.models import IAMBackend
    from moto.iam.responses import IamResponse


def simulate_principal_policy(response: IamResponse) -> ActionResult:
    """Answer with the decision of a role's own policies about each action on each resource.

    Args:
        response: Moto's handler of the request: PolicySourceArn (a role), ActionNames, ResourceArns,
            ContextEntries.

    Returns:
        The answer.
    """
    params = response._get_params()  # noqa: SLF001 - what moto's own handlers use
    statements = role_statements(response.backend, str(params["PolicySourceArn"]).rpartition("/")[2])
    context = {
        entry["ContextKeyName"]: tuple(entry["ContextKeyValues"])
        for entry in params.get("ContextEntries", [])
    }
    results = []
    for action in params["ActionNames"]:
        for resource in params.get("ResourceArns", ["*"]):
            decision = decide(statements, ApiCall("simulated", action, resource, context))
            denied = "implicitDeny" if decision.sid is None else "explicitDeny"
            words = "allowed" if decision.allowed else denied
            results.append({"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": words})
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})


def role_statements(backend: IAMBackend, role: str) -> list[Statement]:
    """Return the statements of all policies of a role, its own and those attached to it.

    Args:
        backend: Moto's IAM of the account.
        role: Name of the role.
    """
    names, (attached, _) = backend.list_role_policies(role), backend.list_attached_role_policies(role)
    own = [statements_of(backend.get_role_policy(role, name)[1]) for name in names]
    managed = [managed_statements(backend.account_id, policy.arn) or () for policy in attached]
    return [statement for statements in (*own, *managed) for statement in statements]
