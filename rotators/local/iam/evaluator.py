"""IAM's decision about one call, for what this project's policies use.

An explicit denial wins, then any permission, else the call is denied. What is not known here (an operator, an
element such as NotAction) is an error, never a permission. Sources: IAM User Guide,
reference_policies_evaluation-logic, reference_policies_elements_condition_operators,
reference_policies_elements_resource. Policies of resources and endpoints are in `resources.py`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from rotators.local.errors import LocalStackError

_KNOWN = {"Sid", "Effect", "Action", "Resource", "Condition"}
_ARN_PARTS = 6
_IF_EXISTS = "IfExists"
_ANY_VALUE = "ForAnyValue:"


@dataclass(frozen=True)
class ApiCall:
    """One call of AWS's API, as IAM sees it.

    Attributes:
        principal: Name of the caller: a function's name or another.
        action: ``service:Operation``.
        resource: ARN, or ``*`` for an operation without resources.
        context: Condition keys and their values; several values of one key as a tuple.
    """

    principal: str
    action: str
    resource: str
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """IAM's decision.

    Attributes:
        allowed: True if the call is allowed.
        sid: Sid of the statement that decided; None if no statement matches, which denies.
    """

    allowed: bool
    sid: str | None


def decide(statements: Iterable[Mapping[str, Any]], call: ApiCall) -> Decision:
    """Decide about a call by the caller's own policies.

    Args:
        statements: Statements of all policies of the caller, as in JSON.
        call: The call.

    Returns:
        The decision.

    Raises:
        LocalStackError: A statement has an element or operator that this evaluator does not support.
    """
    fitting = [statement for statement in statements if fits(statement, call)]
    for effect in ("Deny", "Allow"):
        for statement in fitting:
            if statement["Effect"] == effect:
                return Decision(effect == "Allow", statement.get("Sid", ""))
    return Decision(allowed=False, sid=None)


def fits(statement: Mapping[str, Any], call: ApiCall) -> bool:
    """Check whether action, resource and conditions of a statement match a call.

    Args:
        statement: The statement, as in JSON.
        call: The call.

    Returns:
        True if all match.

    Raises:
        LocalStackError: The statement has an element or operator that this evaluator does not support.
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
    compare = _OPERATORS.get(operator.removeprefix(_ANY_VALUE).removesuffix(_IF_EXISTS))
    if compare is None:
        raise unknown(f"the operator {operator}")
    if actual is None:
        return operator.endswith(_IF_EXISTS)
    return any(compare(pattern, value) for pattern in wanted for value in actual)


def matches(pattern: str, value: str) -> bool:
    """Return True if ``value`` matches ``pattern``, in which ``*`` is any text and ``?`` one character."""
    return _compiled(pattern).fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = (
        ".*" if character == "*" else "." if character == "?" else re.escape(character)
        for character in pattern
    )
    return re.compile("".join(parts), re.DOTALL)


def arn_matches(pattern: str, arn: str) -> bool:
    """Return True if ``arn`` matches ``pattern`` part by part: no wildcard spans the first five colons."""
    patterns, parts = pattern.split(":", _ARN_PARTS - 1), arn.split(":", _ARN_PARTS - 1)
    return len(patterns) == len(parts) and all(map(matches, patterns, parts))


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "ArnEquals": arn_matches,
    "ArnLike": arn_matches,
    "Bool": lambda pattern, value: pattern.lower() == value.lower(),
    "StringEquals": operator.eq,
    "StringLike": matches,
}


def _listed(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]


def unknown(what: str) -> LocalStackError:
    """Return the error about ``what``, an unsupported part of a policy; the caller raises it."""
    return LocalStackError(
        f"the local IAM does not know {what}",
        remedy="Add it to rotators/local/iam/evaluator.py, with its source.",
    )
