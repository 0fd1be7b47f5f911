"""Policy documents: the statements in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rotators.iam.errors import PolicyUnsupported

Statement = Mapping[str, Any]
Statements = Sequence[Statement]

UNREAD = "rotators:unread"
"""Element of the statements of `unread`. AWS stores no policy with an unknown element."""

SOURCE = "rotators:source"
"""Element that names the policy of a statement, such as ``inline policy read``."""

_WITH_VARIABLES = "2012-10-17"
_VERSIONS = (_WITH_VARIABLES, "2008-10-17", None)


def statements_of(document: str | Mapping[str, Any], source: str | None = None) -> tuple[Statement, ...]:
    """Return the statements of a policy.

    Args:
        document: the policy, as JSON text or as it was parsed.
        source: the policy in words, which its statements get as `SOURCE`.

    Returns:
        Its statements. In those of a version without variables, ``${`` stands for itself
        (reference_policies_elements_version).

    Raises:
        PolicyUnsupported: it is not a policy.
    """
    try:
        parsed = json.loads(document) if isinstance(document, str) else document
        found = parsed["Statement"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise PolicyUnsupported("a policy is not a JSON object with statements") from None
    statements = found if isinstance(found, list) else [found]
    for each in statements:
        _check(each)
    version = parsed.get("Version")
    if version not in _VERSIONS:
        raise PolicyUnsupported(f"the version {version} of a policy is not known")
    if version != _WITH_VARIABLES:
        statements = [_without_variables(each) for each in statements]
    return tuple({**each, SOURCE: source} if source else each for each in statements)


def unread(what: str) -> tuple[Statement, ...]:
    """Return statements that replace a policy that could not be read: it may allow or deny everything.

    Args:
        what: the policy in words.

    Returns:
        A permission and a denial of everything, both marked as undecided.
    """
    everything = {"Principal": "*", "Action": "*", "Resource": "*", UNREAD: what, SOURCE: what}
    return {"Effect": "Allow", **everything}, {"Effect": "Deny", **everything}


def _check(statement: Any) -> None:
    """Refuse elements that no statement can have, because they would match nothing, even in a denial."""
    if not isinstance(statement, dict) or statement.get("Effect") not in _EFFECTS:
        raise PolicyUnsupported("a statement of a policy has no Effect of Allow or Deny")
    for name, element in statement.items():
        if name in CHECKS and not CHECKS[name](element):
            raise PolicyUnsupported(f"the element {name} of a statement is not one that AWS knows")


def _are_texts(element: Any) -> bool:
    texts = element if isinstance(element, list) else [element]
    return bool(texts) and all(isinstance(each, str) for each in texts)


def _is_condition(element: Any) -> bool:
    if not isinstance(element, dict) or not all(isinstance(keys, dict) for keys in element.values()):
        return False
    given = [value for keys in element.values() for value in keys.values()]
    values = [each for value in given for each in (value if isinstance(value, list) else [value])]
    return all(isinstance(each, str | int | float) for each in values)  # a bool is an int


def _is_principal(element: Any) -> bool:
    return element == "*" or (isinstance(element, dict) and all(map(_are_texts, element.values())))


_EFFECTS = ("Allow", "Deny")
CHECKS = {
    **dict.fromkeys(("Action", "NotAction", "Resource", "NotResource"), _are_texts),
    **dict.fromkeys(("Principal", "NotPrincipal"), _is_principal),
    "Condition": _is_condition,
}
"""The check of the value, by element, except for Sid and Effect."""


def _without_variables(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("${", "${$}{")
    if isinstance(value, list):
        return [_without_variables(each) for each in value]
    if isinstance(value, dict):
        return {key: _without_variables(each) for key, each in value.items()}
    return value
