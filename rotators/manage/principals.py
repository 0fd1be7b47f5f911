"""The users and roles of the account, with all policies that apply to their calls.

GetAccountAuthorizationDetails returns them in pages (IAM API reference). An attached policy that is not in
the response, or cannot be read, counts as one that may allow or deny everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.core.errors import AccessDenied
from rotators.iam.calls import Keys
from rotators.iam.documents import statements_of, unread
from rotators.iam.errors import PolicyUnsupported
from rotators.iam.rules import PreparedPolicy
from rotators.manage.calls import call
from rotators.manage.errors import AccessUnknown, PrincipalNotFound

_KINDS = ("User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy")
_PAGE = 1000  # largest number of a page
# SCPs do not apply to them (Organizations user guide, orgs_manage_policies_scps).
_SERVICE_LINKED = ":role/aws-service-role/"

_NO_SERVICE = ("aws:FederatedProvider", "aws:PrincipalServiceName")
_OF_THE_ACCOUNT = ("aws:PrincipalTag/", "aws:username", "aws:SourceAccount", "aws:SourceArn", *_NO_SERVICE)


@dataclass(frozen=True)
class Principal:
    """A principal whose access is decided.

    Attributes:
        name: ARN of a user or role; name of a service; ``account ID``; ``*`` for everybody.
        context: condition keys that identify it.
        known: prefixes of the condition keys about it that are absent if they are not in the context.
        identity: its own policies.
        boundary: its permissions boundary; None without one.
        organisation: SCPs, for each level of the organisation.
        session: the policies of its session; None without one.
    """

    name: str
    context: Mapping[str, str]
    known: tuple[str, ...]
    identity: PreparedPolicy = field(default_factory=PreparedPolicy)
    boundary: PreparedPolicy | None = None
    organisation: Sequence[PreparedPolicy] = ()
    session: PreparedPolicy | None = None

    @property
    def is_role(self) -> bool:
        """True for a role of an account."""
        return ":role/" in self.name

    @cached_property
    def keys(self) -> Keys:
        """The context, prepared for many calls."""
        return Keys(self.context)

    @cached_property
    def keys_for_kms(self) -> Keys:
        """The context of calls to KMS, which names the caller's account a second time."""
        account = self.context.get("aws:PrincipalAccount")
        return Keys({**self.context, **({"kms:CallerAccount": account} if account else {})})


@dataclass
class IamAccount:
    """Users and roles of an account.

    Attributes:
        id: id of the account.
        principals: users and roles, in the order of their ARNs.
        unread: policies that could not be read, in words.
    """

    id: str
    principals: list[Principal] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def find(self, name: str) -> Principal:
        """Find a user or role.

        Args:
            name: ``role/NAME``, ``user/NAME``, ARN, or ARN of a session of a role.

        Returns:
            The user or role.

        Raises:
            PrincipalNotFound: there is no such user or role.
        """
        kind, _, short = name.rpartition(":")[2].replace("assumed-role/", "role/").partition("/")
        if ":assumed-role/" in name:
            short = short.partition("/")[0]
        # The ARN of a session does not have the path of the role.
        by_name = not name.startswith("arn:") or f":sts::{self.id}:" in name
        for each in self.principals:
            if each.name == name or (by_name and _is_named(each.name, kind, short)):
                return each
        raise PrincipalNotFound(f"account {self.id} has no {name}")


def _is_named(arn: str, kind: str, short: str) -> bool:
    return f":{kind}/" in arn and arn.rpartition("/")[2] == short.rpartition("/")[2]


def caller_arn() -> str:
    """Return the ARN of the caller, as STS names it.

    Raises:
        StoreError: STS does not answer.
    """
    return str(call(clients.sts(), "GetCallerIdentity", "the caller", "Arn"))


def read_account(organisation: Sequence[PreparedPolicy] = ()) -> IamAccount:
    """Read the users and roles of the caller's account.

    Args:
        organisation: SCPs, for each level of the organisation.

    Returns:
        The account.

    Raises:
        AccessUnknown: the caller may not read them.
        StoreError: they could not be read.
    """
    account = IamAccount(caller_arn().split(":")[4])
    details = _Details(account, _authorization_details())
    account.principals = sorted(details.principals(organisation), key=lambda each: each.name)
    return account


def read_policies(path: str, kind: str) -> PreparedPolicy:
    """Read policies that IAM does not return, such as SCPs of one level of an organisation.

    Args:
        path: a file with a policy in JSON, or with a list of policies.
        kind: kind of the policies, for the answer: ``SCP`` or ``session policy``.

    Returns:
        The policies as one.

    Raises:
        PolicyUnsupported: the file contains no policies.
        OSError: the file cannot be read.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        policies = found if isinstance(found, list) else [found]
        return PreparedPolicy.joined(
            PreparedPolicy(statements_of(policy, f"{kind} {path}")) for policy in policies
        )
    except (ValueError, RecursionError):
        raise PolicyUnsupported(f"{path} is not a JSON file") from None
    except PolicyUnsupported as error:
        raise PolicyUnsupported(f"{path}: {error.cause}") from None


def _authorization_details() -> Mapping[str, Any]:
    pages = clients.iam_lister().get_paginator("get_account_authorization_details")
    asked = pages.paginate(Filter=list(_KINDS), PaginationConfig={"PageSize": _PAGE})
    try:
        with translated("GetAccountAuthorizationDetails", "the account"):
            found: Mapping[str, Any] = asked.build_full_result()
    except AccessDenied as error:
        if error.reason is not None:  # about the caller's credentials
            raise
        raise AccessUnknown(error.cause) from None
    return found


class _Details:
    """The joined pages of IAM's response about an account."""

    def __init__(self, account: IamAccount, answer: Mapping[str, Any]) -> None:
        self._account, self._answer = account, answer
        self._groups = {each["GroupName"]: each for each in answer.get("GroupDetailList", ())}
        self._policies: dict[str, PreparedPolicy] = {}
        for policy in answer.get("Policies", ()):
            name = f"policy {policy['PolicyName']}"
            versions = policy.get("PolicyVersionList", ())
            document = next((each["Document"] for each in versions if each["IsDefaultVersion"]), None)
            self._policies[policy["Arn"]] = self._policy(document, name)

    def principals(self, organisation: Sequence[PreparedPolicy]) -> Iterator[Principal]:
        """Yield the users and roles."""
        for user in self._answer.get("UserDetailList", ()):
            groups = map(self._of_group, user.get("GroupList", ()))
            context = {"aws:username": user["UserName"]}
            own = PreparedPolicy.joined([self._policies_of(user, "UserPolicyList"), *groups])
            yield self._principal(user, context, own, organisation)
        for role in self._answer.get("RoleDetailList", ()):
            own = self._policies_of(role, "RolePolicyList")
            levels = () if _SERVICE_LINKED in role["Arn"] else organisation
            yield self._principal(role, {}, own, levels)

    def _principal(
        self,
        details: Mapping[str, Any],
        context: Mapping[str, str],
        identity: PreparedPolicy,
        organisation: Sequence[PreparedPolicy],
    ) -> Principal:
        boundary = details.get("PermissionsBoundary")
        tags = {f"aws:PrincipalTag/{each['Key']}": each["Value"] for each in details.get("Tags", ())}
        return Principal(
            details["Arn"],
            {**context, **tags, **named_context(details["Arn"])},
            _OF_THE_ACCOUNT,
            identity,
            self._managed(boundary["PermissionsBoundaryArn"], "boundary") if boundary else None,
            organisation,
        )

    def _policies_of(self, details: Mapping[str, Any], inline: str, of: str = "") -> PreparedPolicy:
        found = [
            self._policy(each["PolicyDocument"], f"inline policy {each['PolicyName']}{of}")
            for each in details.get(inline, ())
        ]
        found += [self._managed(each["PolicyArn"]) for each in details.get("AttachedManagedPolicies", ())]
        return PreparedPolicy.joined(found)

    def _of_group(self, name: str) -> PreparedPolicy:
        group = self._groups.get(name)
        if group is None:
            return self._unread(f"group {name}")
        return self._policies_of(group, "GroupPolicyList", f" of group {name}")

    def _managed(self, arn: str, kind: str = "policy") -> PreparedPolicy:
        found = self._policies.get(arn)
        return self._unread(f"{kind} {arn}") if found is None else found

    def _policy(self, document: str | Mapping[str, Any] | None, name: str) -> PreparedPolicy:
        try:
            return PreparedPolicy(statements_of(document or "", name))
        except PolicyUnsupported:
            return self._unread(name)

    def _unread(self, name: str) -> PreparedPolicy:
        if name not in self._account.unread:
            self._account.unread.append(name)
        return PreparedPolicy(unread(name))


def named_context(arn: str) -> dict[str, str]:
    """Return the condition keys that name a user or role.

    Args:
        arn: its ARN.

    Returns:
        Values by condition key.
    """
    return {
        "aws:PrincipalArn": arn,
        "aws:PrincipalAccount": arn.split(":")[4],
        "aws:PrincipalIsAWSService": "false",
    }


def outsider(kind: str, name: str) -> Principal:
    """Return a principal that a resource's policy names, and whose own policies are in another account.

    Args:
        kind: kind in the policy, such as ``AWS`` or ``Service``.
        name: name in the policy.
    """
    if kind == "Service":
        context = {"aws:PrincipalServiceName": name, "aws:PrincipalIsAWSService": "true"}
        return Principal(name, context, ("aws:PrincipalTag/", "aws:username"))
    if kind == "AWS" and name.startswith("arn:") and not name.endswith(":root"):
        return Principal(
            name, named_context(name), _NO_SERVICE, PreparedPolicy(unread(f"the policies of {name}"))
        )
    if kind == "AWS" and name != "*":
        account = name.split(":")[4] if name.startswith("arn:") else name
        words = f"account {account}"
        context = {"aws:PrincipalAccount": account, "aws:PrincipalIsAWSService": "false"}
        return Principal(words, context, _NO_SERVICE, PreparedPolicy(unread(f"the policies of {words}")))
    label = name if kind == "AWS" else f"{kind} {name}"
    return Principal(label, {}, (), PreparedPolicy(unread("the policies of the caller")))
