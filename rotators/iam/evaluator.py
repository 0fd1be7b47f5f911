"""IAM's decision about one call, by all policies that apply to it.

The rules, and where the IAM User Guide states them (reference_policies_evaluation-logic and its pages
policy-eval-basics, policy-eval-denyallow and cross-account):

- An explicit denial in any of the policies wins.
- Policies of the organisation (SCPs), permissions boundaries and an endpoint's policy only filter: they must
  allow the call, and grant nothing (access_policies_boundaries; PrivateLink guide, vpc-endpoints-access).
- In the resource's own account, the caller's policies or a statement of the resource's policy for the caller
  itself is enough. From another account both are needed.
- A boundary and a session policy limit what the caller's policies grant, and what a resource's policy grants
  to a role; what it grants to a user or to a session of a role is not limited (access_policies_boundaries,
  access_policies). The guide does not say whether they limit what is granted to everybody. For a real request
  they do here.
- A statement for a whole account leaves the decision to the policies of that account's callers.
- For KMS keys and for AssumeRole, the caller's policies count only if the resource's policy admits the caller
  or the caller's account (KMS guide, key-policies; IAM User Guide, id_roles_terms-and-concepts).

A decision may depend on conditions that only a real request decides (``ApiCall.known``). It names them then.
An unknown operator or element is an error, or such a condition; it is never a permission.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rotators.iam.calls import ApiCall, Missing
from rotators.iam.conditions import Open
from rotators.iam.documents import Statement
from rotators.iam.principals import Match
from rotators.iam.rules import PreparedPolicy, PreparedStatement

_ACCOUNT_PART = 4
_BY_RESOURCE_ALONE = ("kms:", "sts:AssumeRole")


@dataclass(frozen=True)
class Decision:
    """IAM's decision.

    Attributes:
        allowed: True if the call is allowed, independent of the details of a real request.
        statement: Statement that decided; None if a permission is missing, which denies.
        conditions: Conditions that only a real request decides; the call is allowed if they all hold.
            Empty if the decision is certain.
        missing: Policies that lack a permission, in words; empty unless that denies.
    """

    allowed: bool
    statement: Statement | None = None
    conditions: Open = ()
    missing: str = ""

    @property
    def sid(self) -> str | None:
        """Sid of the statement that decided; None if no statement did."""
        return None if self.statement is None else str(self.statement.get("Sid", ""))


_UNGRANTED = Decision(allowed=False, missing="the caller's policies")


@dataclass(frozen=True)
class _Fitting:
    """A statement that fits a call, if its undecided conditions hold."""

    statement: Statement
    conditions: Open = ()
    match: Match = Match.CALLER


class _Layer:
    """The statements of one kind of policy that fit a call."""

    def __init__(self, fitting: Iterable[_Fitting] = ()) -> None:
        self.denials: list[_Fitting] = []
        self._allowances: list[_Fitting] = []
        for each in fitting:
            (self.denials if each.statement["Effect"] == "Deny" else self._allowances).append(each)

    def grant(self, *matches: Match) -> _Fitting | None:
        """Return the grant of statements that match the caller in one of these ways (by default in any)."""
        if not self._allowances:
            return None
        return _either(*(each for each in self._allowances if not matches or each.match in matches))


_NOTHING = _Layer()


def _either(*grants: _Fitting | None) -> _Fitting | None:
    """Combine grants of which one is enough.

    A certain one comes first; otherwise any of the conditions may decide.
    """
    found = [grant for grant in grants if grant is not None]
    certain = next((grant for grant in found if not grant.conditions), None)
    if certain or not found:
        return certain
    conditions = dict.fromkeys(each for one in found for each in one.conditions)
    return _Fitting(found[0].statement, tuple(conditions))


def _both(first: _Fitting | None, *others: _Fitting | None) -> _Fitting | None:
    """Combine grants that are all needed. The first missing one decides."""
    if first is None or any(other is None for other in others):
        return None
    conditions = [*first.conditions, *(each for other in others if other for each in other.conditions)]
    return _Fitting(first.statement, tuple(dict.fromkeys(conditions)))


def decide(statements: Iterable[Statement], call: ApiCall) -> Decision:
    """Decide about a call by the caller's own policies alone.

    Args:
        statements: Statements of all policies of the caller, as in JSON.
        call: The call.

    Returns:
        The decision.

    Raises:
        PolicyUnsupported: A statement has a part that the evaluator does not know.
    """
    own = _own(statements, call)
    return _decision(own.grant(), own.denials, "the caller's policies")


def decide_with(  # noqa: PLR0913 - one for each kind of policy
    identity: Iterable[Statement],
    call: ApiCall,
    *,
    resource: Iterable[Statement] | None = None,
    endpoint: Iterable[Statement] | None = None,
    boundary: Iterable[Statement] | None = None,
    session: Iterable[Statement] | None = None,
    organisation: Sequence[Iterable[Statement]] = (),
) -> Decision:
    """Decide about a call by all policies that AWS evaluates.

    Args:
        identity: Statements of the caller's own policies.
        call: The call, with the caller in its context.
        resource: Statements of the resource's policy: of a secret, of a key, or a role's trust policy.
            None for a resource without one.
        endpoint: Statements of the VPC endpoint that the request passes; None without an endpoint.
        boundary: Statements of the caller's permissions boundary; None without one.
        session: Statements of the session policy; None without one.
        organisation: Statements of the SCPs, for each level of the organisation.

    Returns:
        The decision.

    Raises:
        PolicyUnsupported: A statement has a part that the evaluator does not know.
    """
    own = _own(identity, call)
    if own is _NOTHING and not organisation and resource is endpoint is boundary is session is None:
        return _UNGRANTED  # the result for most pairs of a matrix
    theirs = _theirs(resource, call, bounded=boundary is not None)
    limits = {"the permissions boundary": boundary, "the session policy": session}
    bounds = {name: _own(each, call) for name, each in limits.items() if each is not None}
    filters = {
        **{f"level {number} of the SCPs": _own(each, call) for number, each in enumerate(organisation, 1)},
        **({"the endpoint's policy": _theirs(endpoint, call)} if endpoint is not None else {}),
    }
    denials = [each for layer in (own, theirs, *filters.values(), *bounds.values()) for each in layer.denials]
    granted, missing = _granted(own, theirs, bounds, call, by_policy=resource is not None)
    for name, layer in filters.items():
        missing = missing if layer.grant() is not None else name
        granted = _both(granted, layer.grant())
    return _decision(granted, denials, missing)


_Bounds = Mapping[str, _Layer]
"""Return the limits of the caller's policies, and of a resource's policy for roles."""


def _granted(
    own: _Layer, theirs: _Layer, bounds: _Bounds, call: ApiCall, *, by_policy: bool
) -> tuple[_Fitting | None, str]:
    """Return the grant of the caller's and the resource's policies, and the missing permissions."""
    mine, admitted = own.grant(), theirs.grant()
    by_resource_alone = by_policy and call.action.startswith(_BY_RESOURCE_ALONE)
    limits = (name for name, layer in bounds.items() if layer.grant() is None)
    missing = "the caller's policies" if mine is None else next(limits, "")
    if mine is None and admitted is None and not by_resource_alone:
        return None, missing
    mine = _limited(mine, bounds)
    if not _policy_is_enough(call):
        return _both(mine, admitted), missing if mine is None else "the resource's policy"
    reached = None if admitted is None else _reached(theirs, bounds, call)
    if by_resource_alone:
        needed = "the resource's policy" if admitted is None else missing
        return _either(_both(mine, admitted), reached), needed
    return _either(mine, reached), missing


def _limited(grant: _Fitting | None, bounds: _Bounds) -> _Fitting | None:
    return _both(grant, *(layer.grant() for layer in bounds.values())) if bounds else grant


def _reached(theirs: _Layer, bounds: _Bounds, call: ApiCall) -> _Fitting | None:
    """Return the grant of the resource's policy to the caller itself."""
    reached = theirs.grant(Match.CALLER, Match.SESSION, Match.EVERYBODY)
    if not bounds or _is_user(call):
        return reached
    perhaps = _perhaps_unlimited(theirs, bounds, call)
    return _either(_limited(reached, bounds), theirs.grant(Match.SESSION), perhaps)


def _perhaps_unlimited(theirs: _Layer, bounds: _Bounds, call: ApiCall) -> _Fitting | None:
    """Return the grant to everybody, if the bounds do not limit it; None for a real request."""
    grant = theirs.grant(Match.EVERYBODY)
    if grant is None or call.known is None:
        return None
    words = f"the Principal * is not limited by {' and '.join(bounds)}"
    return _Fitting(grant.statement, (*grant.conditions, words))


def _decision(granted: _Fitting | None, denials: Sequence[_Fitting], missing: str) -> Decision:
    certain = next((each for each in denials if not each.conditions), None)
    if certain is not None:
        return Decision(allowed=False, statement=certain.statement)
    if granted is None:
        return Decision(allowed=False, missing=missing)
    conditions = list(granted.conditions)
    for denial in denials:
        words = " and ".join(denial.conditions)
        if words not in conditions:  # a policy that could not be read may allow and deny
            conditions.append(f"unless {words}")
    return Decision(not conditions, granted.statement, tuple(dict.fromkeys(conditions)))


def _own(statements: Iterable[Statement], call: ApiCall) -> _Layer:
    fitting = [
        _Fitting(rule.statement, conditions)
        for rule in PreparedPolicy.of(statements).about(call.action)
        if (conditions := rule.fits(call, of_resource=False)) is not None
    ]
    return _Layer(fitting) if fitting else _NOTHING


def _theirs(statements: Iterable[Statement] | None, call: ApiCall, *, bounded: bool = False) -> _Layer:
    rules = () if statements is None else PreparedPolicy.of(statements).about(call.action)
    return _Layer(_matching(rules, call, bounded=bounded)) if rules else _NOTHING


def _matching(rules: Iterable[PreparedStatement], call: ApiCall, *, bounded: bool) -> Iterator[_Fitting]:
    for rule in rules:
        match, undecided = rule.match(call, bounded=bounded)
        if match is Match.NOBODY:
            continue
        conditions = rule.fits(call, of_resource=True)
        if conditions is not None:
            yield _Fitting(rule.statement, (*undecided, *conditions), match)


def _is_user(call: ApiCall) -> bool:
    arn = call.values("aws:PrincipalArn")
    return not isinstance(arn, Missing) and ":user/" in arn[0]


def _policy_is_enough(call: ApiCall) -> bool:
    """Return True if the resource's policy alone can admit the caller: one of its account, or a service."""
    if not isinstance(call.values("aws:PrincipalServiceName"), Missing):
        return True
    parts = call.resource.split(":")
    if len(parts) <= _ACCOUNT_PART or not parts[_ACCOUNT_PART]:
        return True
    return call.values("aws:PrincipalAccount") == (parts[_ACCOUNT_PART],)
