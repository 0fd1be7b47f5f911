"""Conditions of statements.

Source: IAM User Guide, reference_policies_elements_condition_operators: without the key, an operator that
negates holds, and any other does not; ``…IfExists`` and ``ForAllValues`` hold then, ``ForAnyValue`` does not.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import ipaddress
import operator
from collections.abc import Callable, Mapping
from typing import Any

from rotators.iam.calls import ApiCall, Missing
from rotators.iam.errors import PolicyUnsupported
from rotators.iam.patterns import arn_matches, matches, plain, resolved

Open = tuple[str, ...]
"""Conditions that only a real request decides, in words; empty if there are none."""

_Compare = Callable[[str, str], bool]
_IF_EXISTS = "IfExists"
_ANY, _ALL = "ForAnyValue:", "ForAllValues:"


def held(conditions: Mapping[str, Any], call: ApiCall) -> Open | None:
    """Check the conditions of a statement.

    Args:
        conditions: the element ``Condition``.
        call: the call.

    Returns:
        The conditions that are undecided; None if another one does not hold.

    Raises:
        PolicyUnsupported: an operator is not known, and the call is a real one.
    """
    undecided: list[str] = []
    for name, keys in conditions.items():
        for key, wanted in keys.items():
            values = listed(wanted)
            holds = _holds(name, key, values, call)
            if holds is False:
                return None
            if holds is None:
                undecided.append(f"{name} {key} {', '.join(values)}")
    return tuple(undecided)


def is_operator(name: str) -> bool:
    """Return True if a condition can have the operator ``name``."""
    bare = _bare(name)
    return bare == "Null" or bare in _OPERATORS or bare in _NEGATIONS


def negates(name: str) -> bool:
    """Return True if the operator ``name`` holds for all values but those of the policy."""
    return _bare(name) in _NEGATIONS


def _bare(name: str) -> str:
    return name.removeprefix(_ALL).removeprefix(_ANY).removesuffix(_IF_EXISTS)


def listed(value: Any) -> list[str]:
    """Return an element that is one value or a list of values as a list of texts."""
    values = value if isinstance(value, list | tuple) else [value]
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in values]


def _holds(name: str, key: str, wanted: list[str], call: ApiCall) -> bool | None:
    """True, False, or None if it is undecided."""
    every, some = name.startswith(_ALL), name.startswith(_ANY)
    bare, negated = _bare(name), negates(name)
    compare = _OPERATORS.get(_NEGATIONS.get(bare, bare))
    values = call.values(key)
    if bare == "Null":
        return None if values is Missing.UNDECIDED else (values is Missing.ABSENT) == (wanted == ["true"])
    if compare is None:
        if call.known is None:
            raise PolicyUnsupported(f"a condition has the operator {name}, which is not known")
        return None
    if isinstance(values, Missing):
        absent = every or (not some and (negated or name.endswith(_IF_EXISTS)))
        return None if values is Missing.UNDECIDED else absent
    patterns = [resolved(each, call) for each in wanted]
    if Missing.UNDECIDED in patterns or (negated and Missing.ABSENT in patterns and call.known is not None):
        # What AWS does with a variable without a value is not certain: it "might" invalidate the statement.
        return None
    texts = [each for each in patterns if not isinstance(each, Missing)]
    found = [any(compare(pattern, value) for pattern in texts) != negated for value in values]
    return all(found) if every or (negated and not some) else any(found)


def _number(compare: Callable[[float, float], bool]) -> _Compare:
    def check(wanted: str, actual: str) -> bool:
        try:
            return compare(float(actual), float(wanted))
        except ValueError:
            return False

    return check


def _date(compare: Callable[[float, float], bool]) -> _Compare:
    def check(wanted: str, actual: str) -> bool:
        try:
            return compare(_moment(actual), _moment(wanted))
        except ValueError:
            return False

    return check


def _moment(text: str) -> float:
    """A time in ISO 8601 or in seconds since 1970."""
    if text.replace(".", "", 1).isdigit():
        return float(text)
    found = dt.datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()


def _in_network(wanted: str, actual: str) -> bool:
    try:
        return ipaddress.ip_address(actual) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


def _same_bytes(wanted: str, actual: str) -> bool:
    try:
        return base64.b64decode(wanted) == base64.b64decode(actual)
    except binascii.Error:
        return False


_OPERATORS: dict[str, _Compare] = {
    "ArnEquals": arn_matches,
    "ArnLike": arn_matches,
    "BinaryEquals": _same_bytes,
    "Bool": lambda wanted, actual: wanted.lower() == actual.lower(),
    "DateEquals": _date(operator.eq),
    "DateGreaterThan": _date(operator.gt),
    "DateGreaterThanEquals": _date(operator.ge),
    "DateLessThan": _date(operator.lt),
    "DateLessThanEquals": _date(operator.le),
    "IpAddress": _in_network,
    "NumericEquals": _number(operator.eq),
    "NumericGreaterThan": _number(operator.gt),
    "NumericGreaterThanEquals": _number(operator.ge),
    "NumericLessThan": _number(operator.lt),
    "NumericLessThanEquals": _number(operator.le),
    "StringEquals": lambda wanted, actual: plain(wanted) == actual,
    "StringEqualsIgnoreCase": lambda wanted, actual: plain(wanted).lower() == actual.lower(),
    "StringLike": matches,
}
"""Operators to the comparison of a value of the policy with one of the request."""

_NEGATIONS = {
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
}
"""Operators to the operator that they negate."""
