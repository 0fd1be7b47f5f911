"""Conditions of statements.

Sources: IAM User Guide, reference_policies_elements_condition_operators,
reference_policies_condition-single-vs-multi-valued-context-keys and reference_policies_variables. Without the
key, an operator that negates holds, and any other does not; ``…IfExists`` and ``ForAllValues`` hold then,
``ForAnyValue`` does not. For ``Null`` and the two set operators, an empty value counts as absent.

If the guide does not describe a case, the condition is undecided: an unknown operator, a value that the
operator cannot have, a variable that it does not support, a negated one without a value, several values
without a set operator, and ``ForAnyValue`` with ``…IfExists`` without the key.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import operator
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from rotators.iam.calls import ApiCall, Missing
from rotators.iam.errors import PolicyUnsupported
from rotators.iam.patterns import arn_matcher, is_resolvable, matcher, plain, resolved

Open = tuple[str, ...]
"""Conditions that only a real request can decide, in words; empty if there are none."""

Matcher = Callable[[str], bool]
"""Returns True if a value of the request matches."""

_Read = Callable[[str], Matcher]
"""Parses a value of the policy. Raises ValueError if the operator does not permit it."""

_IF_EXISTS = "IfExists"
_ANY, _ALL = "ForAnyValue:", "ForAllValues:"
_NULL = "Null"
_BOOLEANS = ("true", "false")


class Comparison:
    """One operator of a statement with one key, prepared for many calls.

    Args:
        name: the operator.
        key: the condition key.
        wanted: the value or values of the policy.
    """

    def __init__(self, name: str, key: str, wanted: Any) -> None:
        values = listed(wanted)
        self._key = key.lower()
        self._words = f"{name} {key} {', '.join(values)}"
        self._every, self._some = name.startswith(_ALL), name.startswith(_ANY)
        self._if_exists, self._negated = name.endswith(_IF_EXISTS), negates(name)
        self._null: list[str] | None = None
        self._constant: list[Matcher] = []
        self._variable: list[str] = []
        self._problem = self._read(name, values)

    def _read(self, name: str, values: list[str]) -> str | None:
        """Parse the values; return the undecided parts."""
        if name == _NULL:
            self._null = [each.lower() for each in values]
            unknown = set(self._null) - {*_BOOLEANS}
        elif not is_operator(name):
            return f"a condition has the operator {name}, which is not known"
        else:
            bare = _bare(name)
            self._reader = _OPERATORS[_NEGATIONS.get(bare, bare)]
            unknown = {each for each in values if not self._takes(each, bare)}
        return f"the condition {self._words} has a value that is not known" if unknown else None

    def _takes(self, value: str, bare: str) -> bool:
        if "${" in value:
            self._variable.append(value)
            return bare.startswith(_WITH_VARIABLES) and is_resolvable(value)
        try:
            self._constant.append(self._reader(value))
        except ValueError:
            return False
        return True

    def holds(self, call: ApiCall) -> Open | None:
        """Compare a call.

        Args:
            call: the call.

        Returns:
            The condition in words if it is undecided, nothing if it holds; None if it does not hold.

        Raises:
            PolicyUnsupported: the condition is not known, and the call is a real one.
        """
        if self._problem and call.known is None:
            raise PolicyUnsupported(self._problem)
        found = None if self._problem else self._compared(call)
        return (self._words,) if found is None else () if found else None

    def _compared(self, call: ApiCall) -> bool | None:
        """True, False, or None if it is undecided."""
        values = call.values(self._key)
        if values is Missing.UNDECIDED:
            return None
        if self._null is not None:
            return str(isinstance(values, Missing) or not any(values)).lower() in self._null
        if isinstance(values, Missing):
            return self._without_key()
        if self._every or self._some:
            values = tuple(each for each in values if each)
        matchers = self._matchers(call)
        if matchers is None or (len(values) > 1 and not (self._every or self._some)):
            return None
        found = [any(each(value) for each in matchers) != self._negated for value in values]
        return all(found) if self._every or (self._negated and not self._some) else any(found)

    def _without_key(self) -> bool | None:
        if self._some:
            return None if self._if_exists else False
        return self._every or self._negated or self._if_exists

    def _matchers(self, call: ApiCall) -> list[Matcher] | None:
        """Return the values of the policy; None if one is undecided."""
        if not self._variable:
            return self._constant
        texts = [resolved(each, call) for each in self._variable]
        if Missing.UNDECIDED in texts or (self._negated and Missing.ABSENT in texts):
            # A variable without a value matches nothing, or "might" invalidate the statement.
            return None
        try:
            found = [self._reader(each) for each in texts if not isinstance(each, Missing)]
        except ValueError:  # with the value of the variable, the operator does not permit the result
            return None
        return [*self._constant, *found]


def held(comparisons: Iterable[Comparison], call: ApiCall) -> Open | None:
    """Check the conditions of a statement.

    Args:
        comparisons: the conditions.
        call: the call.

    Returns:
        The conditions that are undecided; None if another one does not hold.

    Raises:
        PolicyUnsupported: a condition is not known, and the call is a real one.
    """
    undecided: Open = ()
    for comparison in comparisons:
        found = comparison.holds(call)
        if found is None:
            return None
        undecided += found
    return undecided


def is_operator(name: str) -> bool:
    """Return True if a condition can have the operator ``name``.

    Args:
        name: operator with its prefix and suffix, such as ``ForAnyValue:StringLike``.
    """
    bare = _bare(name)
    return name == _NULL or bare in _OPERATORS or bare in _NEGATIONS


def negates(name: str) -> bool:
    """Return True if the operator ``name`` holds for all values but those of the policy.

    Args:
        name: operator with its prefix and suffix.
    """
    return _bare(name) in _NEGATIONS


def _bare(name: str) -> str:
    set_operator = _ALL if name.startswith(_ALL) else _ANY
    return name.removeprefix(set_operator).removesuffix(_IF_EXISTS)


def listed(value: Any) -> list[str]:
    """Return an element that is one value or a list of values as a list of texts.

    Args:
        value: value of an element, as parsed from JSON.

    Returns:
        The texts; ``true`` and ``false`` for booleans.
    """
    values = value if isinstance(value, list | tuple) else [value]
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in values]


def _compared(
    read: Callable[[str], Any],
    compare: Callable[[Any, Any], bool],
    read_wanted: Callable[[str], Any] | None = None,
) -> _Read:
    """Return an operator that reads both values and compares that of the request with that of the policy."""

    def matcher_of(wanted: str) -> Matcher:
        limit = (read_wanted or read)(wanted)

        def fits(actual: str) -> bool:
            try:
                return compare(read(actual), limit)
            except ValueError:
                return False

        return fits

    return matcher_of


def _equal(change: Callable[[str], str]) -> _Read:
    """Return an operator that compares texts after a change."""

    def matcher_of(wanted: str) -> Matcher:
        text = change(plain(wanted))
        return lambda actual: change(actual) == text

    return matcher_of


def _moment(text: str) -> float:
    """Return a time in ISO 8601 or in seconds since 1970."""
    if text.replace(".", "", 1).isdigit():
        return float(text)
    found = dt.datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()


def _boolean(text: str) -> str:
    if text.lower() not in _BOOLEANS:
        raise ValueError(text)
    return text.lower()


_ORDERS = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
}

_OPERATORS: dict[str, _Read] = {
    "ArnEquals": arn_matcher,
    "ArnLike": arn_matcher,
    "BinaryEquals": _compared(base64.b64decode, operator.eq),
    "Bool": _compared(_boolean, operator.eq),
    **{f"Date{name}": _compared(_moment, compare) for name, compare in _ORDERS.items()},
    "IpAddress": _compared(
        ipaddress.ip_address,
        lambda address, network: address in network,
        partial(ipaddress.ip_network, strict=False),
    ),
    **{f"Numeric{name}": _compared(float, compare) for name, compare in _ORDERS.items()},
    "StringEquals": _equal(str),
    "StringEqualsIgnoreCase": _equal(str.lower),
    "StringLike": matcher,
}
"""Parsers of a value of the policy, by operator."""

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
"""The negated operator, by operator."""

_WITH_VARIABLES = ("String", "Arn")
"""Prefixes of the operators whose values can have variables."""
