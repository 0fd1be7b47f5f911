"""Decides who can read, write and rotate secrets, from IAM's decisions about the necessary calls.

The evaluator is the one of the local AWS (`rotators.iam`). Facts of a real request (its source address, time
and endpoint) are unknown here. An answer that depends on them is conditional, and names the condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from rotators.iam.calls import ApiCall
from rotators.iam.documents import SOURCE, Statement
from rotators.iam.evaluator import Decision, decide_with
from rotators.manage.guards import Guarded
from rotators.manage.principals import Principal

CAPABILITIES = {
    "read": ("GetSecretValue",),
    "write": ("PutSecretValue", "UpdateSecret"),
    "rotate": ("RotateSecret",),
}
"""Abilities of a principal, each with the operations of which one is enough."""

SESSION_POLICIES = "session policies"
"""Policies that only the caller of AssumeRole knows; considered if they are given."""

NOT_CONSIDERED = (
    "resource control policies",
    "policies of VPC endpoints",
    SESSION_POLICIES,
    "session tags",
    "the policy of the rotation function",
    "the root user",
)
"""Parts of AWS's decisions that are not considered."""


_WITHOUT_KEY = ("RotateSecret",)
"""Operations that do not use the secret's key."""

_PERHAPS = "kms:DescribeKey"
"""The call that the User Guide does not list for every write (UG:security-encryption)."""


class AccessAnswer(StrEnum):
    """The answer about one ability of a principal; the most permissive first."""

    YES = "yes"
    CONDITIONAL = "conditional"
    NO = "no"


@dataclass(frozen=True)
class AccessVerdict:
    """The answer about a principal, a secret and a capability.

    Attributes:
        answer: yes, no or conditional.
        why: the statement that decides, or what is missing.
        conditions: conditions that only a real request can decide; empty unless the answer is conditional.
    """

    answer: AccessAnswer
    why: str
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Access:
    """The abilities of a principal with a secret.

    Attributes:
        principal: the principal.
        verdicts: the answer for each capability.
    """

    principal: Principal
    verdicts: Mapping[str, AccessVerdict]

    @property
    def any(self) -> bool:
        """True if at least one capability is certain or possible."""
        return any(each.answer is not AccessAnswer.NO for each in self.verdicts.values())


def access_to(guarded: Guarded, principal: Principal) -> Access:
    """Decide what a principal can do with a secret.

    Args:
        guarded: the secret.
        principal: the principal.

    Returns:
        The answer for each capability, with its reason.
    """
    verdicts = {
        name: min((_verdict(guarded, principal, each) for each in operations), key=_rank)
        for name, operations in CAPABILITIES.items()
    }
    return Access(principal, verdicts)


def reads(guarded: Guarded, principal: Principal) -> bool:
    """Return True if a principal can read a secret, or can under conditions.

    Args:
        guarded: the secret.
        principal: the principal.
    """
    return _verdict(guarded, principal, "GetSecretValue").answer is not AccessAnswer.NO


def key_use(guarded: Guarded, principal: Principal, actions: Iterable[str]) -> AccessVerdict:
    """Decide whether Secrets Manager may use the key of a secret for a principal.

    Args:
        guarded: the secret, with the key.
        principal: the principal.
        actions: actions of KMS, such as ``kms:Encrypt``; all are needed.

    Returns:
        The answer.
    """
    calls = guarded.key_uses(principal, actions)
    return _verdict_about(guarded, principal, calls, guarded.key.undecided)


def _verdict(guarded: Guarded, principal: Principal, operation: str) -> AccessVerdict:
    uses_key = operation not in _WITHOUT_KEY
    if uses_key and guarded.key.is_of_aws and _is_of_another_account(guarded, principal):
        return AccessVerdict(
            AccessAnswer.NO, "the key aws/secretsmanager can be used only by its own account"
        )
    calls = guarded.calls(principal, operation)
    return _verdict_about(guarded, principal, calls, guarded.key.undecided if uses_key else ())


def _verdict_about(
    guarded: Guarded, principal: Principal, calls: Iterable[ApiCall], undecided: Iterable[str]
) -> AccessVerdict:
    """Return the answer about calls that are all needed; ``undecided`` are conditions in addition."""
    found: list[str] = []
    statement = None
    for call in calls:
        decision = _decision(guarded, principal, call)
        statement = statement or decision.statement  # that of the operation itself
        if decision.allowed or decision.conditions:
            found += decision.conditions
        elif call.action == _PERHAPS:
            found.append(f"AWS does not ask for {_PERHAPS}")
        else:
            return AccessVerdict(AccessAnswer.NO, _refusal(call, decision))
    conditions = tuple(dict.fromkeys([*found, *undecided]))
    return AccessVerdict(
        AccessAnswer.CONDITIONAL if conditions else AccessAnswer.YES, _where(statement), conditions
    )


def _is_of_another_account(guarded: Guarded, principal: Principal) -> bool:
    return principal.context.get("aws:PrincipalAccount", guarded.account) != guarded.account


def _decision(guarded: Guarded, principal: Principal, call: ApiCall) -> Decision:
    policies = {"kms": guarded.key.policy, "secretsmanager": guarded.policy}
    return decide_with(
        principal.identity,
        call,
        resource=policies.get(call.action.partition(":")[0]),
        boundary=principal.boundary,
        session=principal.session,
        organisation=principal.organisation,
    )


_RANKS = tuple(AccessAnswer)


def _rank(verdict: AccessVerdict) -> int:
    return _RANKS.index(verdict.answer)


def _refusal(call: ApiCall, decision: Decision) -> str:
    if decision.statement is not None:
        return f"{call.action} is denied by {_where(decision.statement)}"
    return f"{call.action} is not allowed by {decision.missing}"


def _where(statement: Statement | None) -> str:
    if statement is None:
        return ""
    sid = statement.get("Sid")
    return f"{statement.get(SOURCE, 'a policy')}{f', {sid}' if sid else ''}"
