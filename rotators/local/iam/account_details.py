"""GetAccountAuthorizationDetails in pages, with the names of policies, which moto leaves out.

Source: IAM API reference, GetAccountAuthorizationDetails, ManagedPolicyDetail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult

if TYPE_CHECKING:
    from moto.iam.models import ManagedPolicy
    from moto.iam.responses import IamResponse

_DEFAULT_ITEMS = 100


def get_account_authorization_details(response: IamResponse) -> ActionResult:
    """Answer with a page of the users, groups, roles and managed policies.

    Args:
        response: Moto's handler of the request: Filter, MaxItems, Marker.

    Returns:
        The answer.
    """
    params = response._get_params()  # noqa: SLF001 - what moto's own handlers use
    found = response.backend.get_account_authorization_details(params.get("Filter", []))
    details = {
        "UserDetailList": found["users"],
        "GroupDetailList": found["groups"],
        "RoleDetailList": found["roles"],
        "Policies": map(_policy, found["managed_policies"]),
    }
    items = [(name, each) for name, of_name in details.items() for each in of_name]
    start = int(params.get("Marker", 0))
    end = start + int(params.get("MaxItems", _DEFAULT_ITEMS))
    answer: dict[str, Any] = {name: [] for name in details}
    for name, item in items[start:end]:
        answer[name].append(item)
    more = {"Marker": str(end)} if end < len(items) else {}
    return ActionResult({**answer, "IsTruncated": bool(more), **more})


def _policy(policy: ManagedPolicy) -> dict[str, Any]:
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": policy.default_version_id,
        "AttachmentCount": policy.attachment_count,
        "IsAttachable": policy.is_attachable,
        "PolicyVersionList": [
            {"Document": each.document, "VersionId": each.version_id, "IsDefaultVersion": each.is_default}
            for each in policy.versions
        ],
    }
