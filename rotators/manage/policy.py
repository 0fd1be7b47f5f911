"""Checks the inventory against rules.

A policy is a TOML file with rules. A rule has an ``id``, a ``title``, a ``level``, conditions of the selector
(``select``), and requirements (``require``). The file is read completely before the first secret is listed.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from rotators.core.errors import AccessDenied, RequestRefused, SecretDeleted, SecretNotFound
from rotators.manage.errors import PolicyInvalid, SelectorInvalid
from rotators.manage.inventory import Entry, entries
from rotators.manage.requirements import REQUIREMENTS, Check
from rotators.manage.selector import Selector, duration

_Place = tuple[str | int, ...]
"""Place of a key in a file: the keys of the tables around it, the number of its rule, and the key itself."""

PRESETS = ("cis", "pci-dss", "security-hub")
"""Names of the policies that come with the package."""

LEVELS = ("error", "warning", "note")

_RULE_KEYS = ("id", "title", "level", "select", "require")
_HEADER = re.compile(r"""\s*\[\[\s*["']?rule["']?\s*\]\]""")
# Conditions that need values of secrets, or that name single secrets.
_NOT_IN_RULES = {"ids", "engines", "deleted", "everything"}
_ASKING = {"keys", "failed"}  # conditions that need calls of AWS, so that they are not evaluated here
_ANY_TIME = dt.datetime.min.replace(tzinfo=dt.UTC)
_SELECT_KEYS = tuple(each.name for each in fields(Selector) if each.name not in _NOT_IN_RULES)


@dataclass(frozen=True, eq=False)
class PolicyRule:
    """A rule of a policy.

    Attributes:
        id: short name, unique in the policy.
        title: the rule in words.
        level: one of LEVELS; only errors fail a check.
        selector: the secrets that the rule is about.
        requirements: names of requirements, and their values.
    """

    id: str
    title: str
    level: str
    selector: Selector
    requirements: Mapping[str, Any]


@dataclass(frozen=True)
class PolicyFinding:
    """A secret that breaks a rule, or that could not be checked.

    Attributes:
        rule: the rule.
        secret: the secret.
        message: reason why it breaks the rule.
        unknown: True if the caller may not read the facts that the rule needs.
    """

    rule: PolicyRule
    secret: Entry
    message: str
    unknown: bool = False


class SecretPolicy:
    """Rules that are checked together.

    Args:
        rules: the rules.

    Attributes:
        rules: the rules.
        checked: number of secrets; complete after an iteration over `findings`.
        applied: number of secrets that each rule is about, by its id; complete at the same time.
    """

    def __init__(self, rules: Sequence[PolicyRule]) -> None:
        self.rules = tuple(rules)
        self.checked = 0
        self.applied: Counter[str] = Counter()

    def findings(self, now: dt.datetime) -> Iterator[PolicyFinding]:
        """Check all secrets of the account and Region.

        Args:
            now: time that ages are counted from, with a zone.

        Yields:
            The findings, secret by secret.

        Raises:
            StoreError: the secrets, a key or the failed rotations could not be read; the check is incomplete.
        """
        self.checked = 0
        self.applied = Counter({rule.id: 0 for rule in self.rules})
        prepared = [(rule, rule.selector.check(now), _checks(rule, now)) for rule in self.rules]
        for entry in entries():
            self.checked += 1
            for rule, applies, checks in prepared:
                if applies(entry):
                    self.applied[rule.id] += 1
                    for check in checks:
                        yield from _finding(rule, entry, check)


def _checks(rule: PolicyRule, now: dt.datetime) -> list[Check]:
    return [REQUIREMENTS[name].check(value, now) for name, value in rule.requirements.items()]


def _finding(rule: PolicyRule, entry: Entry, check: Check) -> Iterator[PolicyFinding]:
    try:
        message = check(entry)
    except (AccessDenied, RequestRefused, SecretDeleted, SecretNotFound) as error:
        yield PolicyFinding(rule, entry, f"could not be checked [{error.full_code}]", unknown=True)
    else:
        if message:
            yield PolicyFinding(rule, entry, message)


def preset(name: str) -> SecretPolicy:
    """Return a policy that comes with the package.

    Args:
        name: one of PRESETS.
    """
    file = resources.files("rotators.manage").joinpath("policies", f"{name}.toml")
    return _Reader(f"{name}.toml", file.read_text(encoding="utf-8")).policy()


def read_policy(path: str) -> SecretPolicy:
    """Read a policy from a file.

    Args:
        path: path of the file.

    Returns:
        The rules.

    Raises:
        PolicyInvalid: the file breaks a rule of the format. Its cause names file, line, key and allowed keys.
        OSError: the file cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise PolicyInvalid(f"{path} is not UTF-8") from None
    return _Reader(path, text).policy()


class _Reader:
    """The rules in the text of one file."""

    def __init__(self, path: str, text: str) -> None:
        self._path, self._text = path, text

    def policy(self) -> SecretPolicy:
        try:
            tree = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            raise PolicyInvalid(f"{self._path}: {error}") from None
        self._known(tree, ("rule",), "in the file", ())
        tables = tree.get("rule")
        if not isinstance(tables, list) or not tables or not all(isinstance(each, dict) for each in tables):
            self._refuse(("rule",), "there is no [[rule]]")
        rules = [self._rule(table, ("rule", number)) for number, table in enumerate(tables)]
        for number, rule in enumerate(rules):
            if rule.id in {other.id for other in rules[:number]}:
                self._refuse(("rule", number, "id"), f"two rules have the id {rule.id!r}")
        return SecretPolicy(rules)

    def _rule(self, table: dict[str, Any], place: _Place) -> PolicyRule:
        self._known(table, _RULE_KEYS, "of a rule", place)
        identity = self._value(table, "id", str, place)
        if not identity:
            self._refuse((*place, "id"), "it is empty")
        level = self._value(table, "level", str, place, LEVELS[0])
        if level not in LEVELS:
            self._refuse((*place, "level"), f"{level!r} is not one of {', '.join(LEVELS)}")
        selector = self._selector(self._value(table, "select", dict, place, {}), (*place, "select"))
        required = self._value(table, "require", dict, place)
        self._known(required, tuple(REQUIREMENTS), "of require", (*place, "require"))
        if not required:
            self._refuse((*place, "require"), "it is empty")
        for name, value in required.items():
            self._requirement(name, value, (*place, "require", name))
        return PolicyRule(
            identity, self._value(table, "title", str, place, identity), level, selector, required
        )

    def _selector(self, table: dict[str, Any], place: _Place) -> Selector:
        self._known(table, _SELECT_KEYS, "of select", place)
        chosen: dict[str, Any] = {}
        for name, value in table.items():
            flag = getattr(Selector(), name) is None
            texts = isinstance(value, list) and all(isinstance(each, str) for each in value)
            if not (isinstance(value, bool) if flag else texts):
                self._refuse((*place, name), f"it must be {'true or false' if flag else 'a list of texts'}")
            chosen[name] = value if flag else tuple(value)
            if name not in _ASKING:
                self._readable((*place, name), partial(_condition, name, chosen[name]))
        return Selector(**chosen)

    def _requirement(self, name: str, value: Any, place: _Place) -> None:
        kind = REQUIREMENTS[name].kind
        if kind is bool and value is not True:
            self._refuse(place, "it can only be true; otherwise omit it")
        texts = not isinstance(value, list) or all(isinstance(each, str) for each in value)
        if not isinstance(value, kind) or not texts or value == []:
            self._refuse(place, f"it must be a {'list of texts' if kind is list else 'text'}")
        if REQUIREMENTS[name].prepare is duration:
            self._readable(place, partial(duration, str(value)))

    def _readable(self, place: _Place, read: Callable[[], object]) -> None:
        try:
            read()
        except SelectorInvalid as error:
            self._refuse(place, error.cause)

    def _value(self, table: dict[str, Any], key: str, kind: type, place: _Place, default: Any = None) -> Any:
        value = table.get(key, default)
        if value is None:
            self._refuse(place, f"the key {key} is missing")
        if not isinstance(value, kind):
            self._refuse((*place, key), f"it must be a {'table' if kind is dict else 'text'}")
        return value

    def _known(self, table: Mapping[str, Any], allowed: Sequence[str], where: str, place: _Place) -> None:
        for key in table:
            if key not in allowed:
                self._refuse((*place, key), f"there is no such key {where}; allowed are {', '.join(allowed)}")

    def _refuse(self, place: _Place, why: str) -> NoReturn:
        key = next(each for each in reversed(place) if isinstance(each, str))
        raise PolicyInvalid(f"{self._path}, line {self._line(place, key)}, {key}: {why}")

    def _line(self, place: _Place, key: str) -> int:
        """Return the line of a key; tomllib reports only the lines of syntax errors.

        The shortest beginning of the file that is valid and has the key ends with the key's statement.
        """
        lines = self._text.split("\n")
        # Not from the first line: each attempt parses the whole beginning.
        headers = [number for number, line in enumerate(lines) if _HEADER.match(line)]
        rule = place[1] if len(place) > 1 else None
        start = headers[rule] if isinstance(rule, int) and rule < len(headers) else 0
        for end in range(start + 1, len(lines) + 1):
            try:
                tree = tomllib.loads("\n".join(lines[:end]))
            except tomllib.TOMLDecodeError:
                continue
            if _has(tree, place):
                break
            start = end
        else:
            return 1
        statement = lines[start:end]
        own = (number for number, line in enumerate(statement) if re.search(rf"\b{re.escape(key)}\b", line))
        return start + next(own, 0) + 1


def _condition(name: str, value: Any) -> None:
    Selector(**{name: value}).check(_ANY_TIME)


def _has(tree: Any, place: _Place) -> bool:
    for key in place:
        try:
            tree = tree[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True
