"""Patterns of policies: wildcards, ARNs and variables.

Sources: IAM User Guide, reference_policies_elements_resource and reference_policies_variables.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from rotators.iam.calls import ApiCall, Missing

ARN_PARTS = 6
"""Parts of an ARN, between its first five colons."""

_VARIABLE = re.compile(r"\$\{(?P<key>[^},]+)(?:,\s*'(?P<default>[^']*)')?\}")
# A wildcard in the value of a variable is text. These characters represent it in a pattern.
_AS_TEXT = {"*": "\ue000", "?": "\ue001"}
_ITSELF = {"*", "?", "$"}
_TEXT = {mark: wildcard for wildcard, mark in _AS_TEXT.items()}


@lru_cache(maxsize=8192)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Return a function that matches texts with ``pattern``: ``*`` is any text and ``?`` one character.

    Args:
        pattern: resolved pattern.

    Returns:
        A function that returns True for a text that matches as a whole.
    """
    return _matcher(_expression(pattern, "."))


@lru_cache(maxsize=8192)
def arn_matcher(pattern: str) -> Callable[[str], bool]:
    """Return a function that matches ARNs with a pattern, part by part.

    No wildcard spans the first five colons.

    Args:
        pattern: ARN that may have wildcards.

    Returns:
        A function that returns True for an ARN that matches as a whole.

    Raises:
        ValueError: the pattern does not have the six parts of an ARN.
    """
    *parts, last = pattern.split(":", ARN_PARTS - 1)
    if len(parts) < ARN_PARTS - 1:
        raise ValueError(pattern)
    return _matcher(":".join([*(_expression(each, "[^:]") for each in parts), _expression(last, ".")]))


def _expression(pattern: str, character: str) -> str:
    """Return the regular expression of a pattern.

    An asterisk ends at the first place where the text before the next asterisk fits. To try other places, as
    ``.*`` does, finds no more matches, and takes hours for a pattern with ten asterisks.
    """
    first, *others = (_fixed(each, character) for each in re.split(r"\*+", pattern))
    if not others:
        return first
    *middle, last = others
    return f"{first}{''.join(f'(?>{character}*?{each})' for each in middle)}{character}*{last}"


def _fixed(text: str, character: str) -> str:
    """Return the expression of a text without asterisks."""
    return "".join(character if each == "?" else re.escape(_TEXT.get(each, each)) for each in text)


def _matcher(expression: str) -> Callable[[str], bool]:
    fullmatch = re.compile(expression, re.DOTALL).fullmatch
    return lambda value: fullmatch(value) is not None


def plain(pattern: str) -> str:
    """Return a resolved pattern as a text without wildcards.

    Args:
        pattern: resolved pattern.
    """
    return "".join(_TEXT.get(character, character) for character in pattern)


def is_resolvable(pattern: str) -> bool:
    """Return True if each ``${`` in ``pattern`` begins a variable.

    Args:
        pattern: text of a policy.
    """
    return "${" not in _VARIABLE.sub("", pattern)


def resolved(pattern: str, call: ApiCall) -> str | Missing:
    """Replace variables by their values.

    Args:
        pattern: text of a policy.
        call: the call whose context has the values.

    Returns:
        The pattern without variables, or the reason why one of them has no value.
    """
    if "${" not in pattern:
        return pattern
    missing: list[Missing] = []

    def value(found: re.Match[str]) -> str:
        key, default = found["key"].strip(), found["default"]
        if key in _ITSELF:
            return _AS_TEXT.get(key, key)
        values = call.values(key)
        if values is Missing.ABSENT and default is not None:
            return _literal(default)
        if isinstance(values, Missing) or len(values) != 1:
            # A key with several values is not a variable.
            missing.append(values if isinstance(values, Missing) else Missing.ABSENT)
            return ""
        return _literal(values[0])

    text = _VARIABLE.sub(value, pattern)
    if missing:
        return Missing.ABSENT if Missing.ABSENT in missing else Missing.UNDECIDED
    return text


def _literal(text: str) -> str:
    return "".join(_AS_TEXT.get(character, character) for character in text)
