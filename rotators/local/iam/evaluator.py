"""IAM's decision about one call, for what this project's policies use.

An explicit denial wins, then any permission, else the call is denied. What is not known here (an operator, an
element such as NotAction) is an error, never a permission. Sources: IAM User Guide,
reference_policies_evaluation-logic, reference_policies_elements_condition_operators,
reference_policies_elements_resource. Policies of resources and endpoints are in `resources.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rotators.core.errors import LocalStackError

_KNOWN = {"Sid", "Effect", "Action", "Resource", "Condition"}
_ARN_PARTS = 6
_IF_EXISTS = "IfExists"


@dataclass(frozen=True)
class Call:
    """One call of AWS's API, as IAM sees it.

    Attributes:
        principal: who calls: a function's name, or another name of a caller.
        action: ``service:Operation``.
        resource: an ARN, or ``*`` where the operation knows none.
        context: condition keys and their values; several values of one key as a tuple.
    """

    principal: str
    action: str
    resource: str
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What IAM decides.

    Attributes:
        allowed: whether the call may go on.
        sid: the statement that decided; None when none fits, which denies.
    """

    allowed: bool
    sid: str | None


def decide(statements: Iterable[Mapping[str, Any]], call: Call) -> Decision:
    """Decide about a call.

    Args:
        statements: of all policies of the caller, as JSON has them.
        call: the call.

    Returns:
        The decision.

    Raises:
        LocalStackError: a statement uses what this evaluator does not know.
    """
    fitting = [statement for statement in statements if fits(statement, call)]
    for effect in ("Deny", "Allow"):
        for statement in fitting:
            if statement["Effect"] == effect:
                return Decision(effect == "Allow", statement.get("Sid", ""))
    return Decision(allowed=False, sid=None)


def fits(statement: Mapping[str, Any], call: Call) -> bool:
    """Whether action, resource and conditions of a statement fit a call.

    Raises:
        LocalStackError: the statement uses what this evaluator does not know.
    """
    if unknown_elements := statement.keys() - _KNOWN:
        raise unknown(f"the element {', '.join(sorted(unknown_elements))}")
    return (
        any(matches(action.lower(), call.action.lower()) for action in _listed(statement["Action"]))
        and any(_resource_fits(resource, call.resource) for resource in _listed(statement["Resource"]))
        and _conditions_hold(statement.get("Condition") or {}, call.context)
    )


def _resource_fits(pattern: str, resource: str) -> bool:
    return pattern == "*" or arn_matches(pattern, resource)


def _conditions_hold(conditions: Mapping[str, Any], context: Mapping[str, Any]) -> bool:
    """All operators and keys must hold; of several values of one key, any."""
    # Names of keys are not case-sensitive (reference_policies_elements_condition).
    known = {key.lower(): _listed(value) for key, value in context.items()}
    return all(
        _condition_holds(operator, _listed(wanted), known.get(key.lower()))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _condition_holds(operator: str, wanted: list[str], actual: list[str] | None) -> bool:
    compare = _OPERATORS.get(operator.removesuffix(_IF_EXISTS))
    if compare is None:
        raise unknown(f"the operator {operator}")
    if actual is None:
        return operator.endswith(_IF_EXISTS)
    return any(compare(pattern, value) for pattern in wanted for value in actual)


def matches(pattern: str, value: str) -> bool:
    """Whether a text fits a pattern: ``*`` stands for any characters, ``?`` for one, all else for itself."""
    parts = (
        ".*" if character == "*" else "." if character == "?" else re.escape(character)
        for character in pattern
    )
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def arn_matches(pattern: str, arn: str) -> bool:
    """Whether an ARN fits a pattern, part by part: no wildcard reaches over a colon of the first five."""
    patterns, parts = pattern.split(":", _ARN_PARTS - 1), arn.split(":", _ARN_PARTS - 1)
    return len(patterns) == len(parts) and all(map(matches, patterns, parts))


def _equal(pattern: str, value: str) -> bool:
    return pattern == value


def _same_truth(pattern: str, value: str) -> bool:
    return pattern.lower() == value.lower()


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "ArnEquals": arn_matches,
    "ArnLike": arn_matches,
    "Bool": _same_truth,
    "StringEquals": _equal,
    "StringLike": matches,
}


def _listed(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]


def unknown(what: str) -> LocalStackError:
    """The error for a part of a policy that is not known here, for the caller to raise."""
    return LocalStackError(
        f"the local IAM does not know {what}",
        remedy="Teach it to rotators/local/iam/evaluator.py, with its source.",
    )
