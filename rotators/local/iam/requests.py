"""A signed request to the local AWS, and the calls in the name of its caller.

Every call names its caller, and counts as sent over TLS, although the local endpoint on loopback has no TLS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rotators.iam.calls import ApiCall, Context

if TYPE_CHECKING:
    from rotators.iam.documents import Statements

KEY_PREFIX = "local-"
"""Prefix of the access keys of functions, and of other callers with a name."""


@dataclass(frozen=True)
class SignedRequest:
    """A signed request.

    Attributes:
        principal: name of its signer.
        account, region: the caller's account, and the Region of the request.
        service: name of the service in the signature.
        operation: operation of the API.
        params: the body.
        role: ARN of the role that the caller acts as; empty for a developer.
        tags: tags of the role.
        session_policy: statements of the policy of the caller's session; None without one.
    """

    principal: str
    account: str
    region: str
    service: str
    operation: str
    params: Mapping[str, Any]
    role: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    session_policy: Statements | None = None

    def call(self, action: str, resource: str, context: Context | None = None) -> ApiCall:
        """Return a call of the caller with the global condition keys (reference_policies_condition-keys).

        Args:
            action: such as ``kms:Decrypt``.
            resource: ARN.
            context: condition keys of this call, in addition to those of every call.
        """
        told = {
            "aws:PrincipalArn": self.role,
            "aws:PrincipalAccount": self.account,
            "aws:PrincipalIsAWSService": "false",
            "aws:SecureTransport": "true",
            "aws:RequestedRegion": self.region,
            **{f"aws:PrincipalTag/{key}": value for key, value in self.tags.items()},
        }
        if action.startswith("kms:"):
            told["kms:CallerAccount"] = self.account
        return ApiCall(self.principal, action, resource, {**told, **(context or {})})
