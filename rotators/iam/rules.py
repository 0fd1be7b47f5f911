"""The statements of a policy, prepared once for the decisions about many calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from rotators.iam.calls import ApiCall, Missing
from rotators.iam.conditions import Comparison, Matcher, Open, held, listed
from rotators.iam.documents import CHECKS, SOURCE, UNREAD, Statement
from rotators.iam.errors import PolicyUnsupported
from rotators.iam.patterns import ARN_PARTS, arn_matcher, is_resolvable, matcher, resolved
from rotators.iam.principals import Match, Principals

ELEMENTS = frozenset(("Sid", "Effect", *CHECKS))
"""Elements that a statement can have (reference_policies_elements)."""

_PAIRS = ("Action", "Resource")
"""Elements of which a statement can have either the element or its negation, like Principal."""

_EVERYTHING = "*"


class PreparedStatement:
    """A statement, prepared for many calls.

    Args:
        statement: the statement, as in JSON.

    Attributes:
        statement: the statement.
        denies: True if its effect is Deny.
    """

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.denies = statement["Effect"] == "Deny"
        self._unread: Open = (statement[UNREAD],) if UNREAD in statement else ()
        self._unknown: Open = tuple(_unknown_elements(statement))
        self._resources = _Resources(statement)
        self._conditions = self._comparisons()
        self._actions = tuple(
            matcher(each.lower()) for each in listed(statement.get("Action", statement.get("NotAction", ())))
        )

    def _comparisons(self) -> tuple[Comparison, ...]:
        conditions = self.statement.get("Condition") or {}
        try:
            return tuple(
                Comparison(name, key, wanted)
                for name, keys in conditions.items()
                for key, wanted in keys.items()
            )
        except AttributeError:
            self._unknown += ("the element Condition",)
            return ()

    def is_about(self, action: str) -> bool:
        """Return True if the statement matches the action ``action``, or if that is undecided.

        Args:
            action: action such as ``kms:Decrypt``, in any case.
        """
        if "Action" not in self.statement and "NotAction" not in self.statement:
            return True
        lowered = action.lower()
        return any(each(lowered) for each in self._actions) == ("Action" in self.statement)

    def fits(self, call: ApiCall, *, of_resource: bool) -> Open | None:
        """Check whether resource and conditions match a call that the statement is about.

        Args:
            call: the call.
            of_resource: True if the statement is of a resource's policy.

        Returns:
            The undecided conditions; None if they do not match.

        Raises:
            PolicyUnsupported: the statement has a part that is not known, and the call is a real one.
        """
        unknown = self._unknown if of_resource else self._unknown_in_identity
        if unknown and call.known is None:
            raise PolicyUnsupported(f"a statement has {', '.join(unknown)}, which is not known")
        resources = self._resources.fit(call)
        if resources is None:
            return None
        conditions = held(self._conditions, call)
        return None if conditions is None else (*self._unread, *unknown, *resources, *conditions)

    def match(self, call: ApiCall, *, bounded: bool) -> tuple[Match, Open]:
        """Compare the statement's principals with the caller; see `Principals.match`.

        Args:
            call: the call.
            bounded: True if the caller has a permissions boundary.

        Returns:
            The relation of the two, and the undecided conditions.

        Raises:
            PolicyUnsupported: the principals are not known, and the call is a real one.
        """
        try:
            return self._principals.match(call, bounded=bounded)
        except PolicyUnsupported as error:
            if call.known is None:
                raise
            return Match.CALLER, (error.cause,)

    @cached_property
    def _principals(self) -> Principals:
        return Principals(self.statement)

    @cached_property
    def _unknown_in_identity(self) -> Open:
        """Return the unknown elements, and those that only policies of resources can have or omit."""
        if self._unread:
            return self._unknown
        named = [name for name in ("Principal", "NotPrincipal") if name in self.statement]
        missing = () if {"Resource", "NotResource"} & self.statement.keys() else ("no Resource",)
        return (*self._unknown, *(f"the element {name}" for name in named), *missing)


def _unknown_elements(statement: Statement) -> Iterator[str]:
    for name in sorted(statement.keys() - ELEMENTS - {SOURCE, UNREAD}):
        yield f"the element {name}"
    for name in _PAIRS:
        if name in statement and f"Not{name}" in statement:
            yield f"the elements {name} and Not{name}"
    if not {"Action", "NotAction"} & statement.keys():
        yield "no Action"


class _Resources:
    """Resource or NotResource of a statement.

    A role's trust policy has neither, because it applies to the role.
    """

    def __init__(self, statement: Statement) -> None:
        self._name = "NotResource" if "NotResource" in statement else "Resource"
        self._constant: list[Matcher] = []
        self._variable: list[str] = []
        self._unknown: list[str] = []
        patterns = listed(statement.get(self._name, _EVERYTHING))
        self._every = _EVERYTHING in patterns
        for pattern in patterns:
            if pattern != _EVERYTHING:
                self._add(pattern)

    def _add(self, pattern: str) -> None:
        """Variables are allowed only after the fifth colon (reference_policies_variables)."""
        *parts, _ = pattern.split(":", ARN_PARTS - 1)
        if "${" in ":".join(parts) or len(parts) < ARN_PARTS - 1 or not is_resolvable(pattern):
            self._unknown.append(f"{self._name} {pattern}")
        elif "${" in pattern:
            self._variable.append(pattern)
        else:
            self._constant.append(arn_matcher(pattern))

    def fit(self, call: ApiCall) -> Open | None:
        """Return the undecided conditions; None if the call's resource does not match."""
        if self._unknown and call.known is None:
            raise PolicyUnsupported(f"a statement has {', '.join(self._unknown)}, which is not known")
        positive = self._name == "Resource"
        if self._every:
            return () if positive else None
        for matches in self._constant:  # any() would take twice as long
            if matches(call.resource):
                return () if positive else None
        if not self._variable and not self._unknown:
            return None if positive else ()
        undecided = [*self._unknown]
        for pattern in self._variable:
            text = resolved(pattern, call)
            if text is Missing.UNDECIDED:
                undecided.append(f"{self._name} {pattern}")
            elif isinstance(text, str) and arn_matcher(text)(call.resource):
                return () if positive else None
        return None if positive and not undecided else tuple(undecided)


class PreparedPolicy:
    """The statements of one or more policies, prepared for many calls.

    Args:
        statements: the statements, as in JSON.
    """

    def __init__(self, statements: Iterable[Statement] = ()) -> None:
        self._rules = tuple(PreparedStatement(each) for each in statements)
        self._about: dict[str, tuple[PreparedStatement, ...]] = {}

    @classmethod
    def of(cls, statements: Iterable[Statement]) -> PreparedPolicy:
        """Return the policy of statements; a policy is returned unchanged.

        Args:
            statements: the statements, or a policy.
        """
        return statements if isinstance(statements, cls) else cls(statements)

    @classmethod
    def joined(cls, policies: Iterable[PreparedPolicy]) -> PreparedPolicy:
        """Return one policy with the statements of several.

        Args:
            policies: the policies.
        """
        made = cls()
        made._rules = tuple(rule for each in policies for rule in each._rules)  # noqa: SLF001 - of this class
        return made

    def __iter__(self) -> Iterator[Statement]:
        return (rule.statement for rule in self._rules)

    def about(self, action: str) -> tuple[PreparedStatement, ...]:
        """Return the statements that match an action.

        Results are kept, because the same actions are evaluated again.

        Args:
            action: such as ``kms:Decrypt``.

        Returns:
            The statements in the order of the policies.
        """
        found = self._about.get(action)
        if found is None:
            found = self._about[action] = tuple(rule for rule in self._rules if rule.is_about(action))
        return found
