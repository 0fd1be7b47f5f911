"""Validation of a stack's parameters: their constraints and the template's Rules.

CloudFormation validates before it creates anything; moto does not. The functions are pure: they take a
template and the parameters of a stack, and return the reason for which CloudFormation would refuse them.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-rules.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Values = Mapping[str, "str | list[str]"]


def refusal(template: Mapping[str, Any], parameters: Mapping[str, Any]) -> str | None:
    """Find the reason for which CloudFormation would refuse a stack.

    Args:
        template: The parsed template, with intrinsic functions under their full names.
        parameters: The given parameters, name to value; the others have their defaults.

    Returns:
        One sentence with the description of the constraint or assertion; None if the stack is valid.
    """
    definitions = template.get("Parameters", {})
    if unknown := sorted(set(parameters) - set(definitions)):
        return f"Parameters: {unknown} do not exist in the template"
    texts = with_defaults(template, parameters)
    if missing := sorted(set(definitions) - set(texts)):
        return f"Parameters: {missing} must have values"
    # An empty list contains one empty string.
    values = {name: text.split(",") if _is_list(definitions[name]) else text for name, text in texts.items()}
    for name, value in values.items():
        if fault := _fault(definitions[name], value):
            description = definitions[name].get("ConstraintDescription")
            return f"Parameter {name} failed to satisfy constraint: {description or fault}"
    return _broken_rule(template, values)


def with_defaults(template: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of every parameter that is given or has a default.

    Args:
        template: The parsed template.
        parameters: The given parameters, name to value; None stands for the default.

    Returns:
        Name to text. The items of a list have no spaces around them, because CloudFormation trims them.
    """
    texts = {}
    for name, definition in template.get("Parameters", {}).items():
        value = parameters.get(name)
        text = definition.get("Default") if value is None else value
        if text is not None:
            texts[name] = _joined(text) if _is_list(definition) else str(text)
    return texts


def _joined(items: Any) -> str:
    """Return a list's text; moto returns the previous value of a list as a list."""
    each = items if isinstance(items, list) else str(items).split(",")
    return ",".join(str(item).strip() for item in each)


def _is_list(definition: Mapping[str, Any]) -> bool:
    kind = definition.get("Type", "String")
    return bool(kind == "CommaDelimitedList" or kind.startswith("List<"))


def _fault(definition: Mapping[str, Any], value: str | list[str]) -> str | None:
    """Return the first constraint that the value, or an item of the list, does not meet."""
    items = value if isinstance(value, list) else [value]
    checks = (_allowed_values, _allowed_pattern, _length, _number)
    return next((fault for item in items for check in checks if (fault := check(definition, item))), None)


def _allowed_values(definition: Mapping[str, Any], item: str) -> str | None:
    allowed = [str(each) for each in definition.get("AllowedValues", [item])]
    return None if item in allowed else f"the value must be one of {allowed}"


def _allowed_pattern(definition: Mapping[str, Any], item: str) -> str | None:
    pattern = definition.get("AllowedPattern", "")
    return (
        f"the value must match the pattern {pattern}" if pattern and not re.fullmatch(pattern, item) else None
    )


def _length(definition: Mapping[str, Any], item: str) -> str | None:
    if len(item) < int(definition.get("MinLength", 0)):
        return f"the value must have at least {definition['MinLength']} characters"
    if len(item) > int(definition.get("MaxLength", len(item))):
        return f"the value must have at most {definition['MaxLength']} characters"
    return None


def _number(definition: Mapping[str, Any], item: str) -> str | None:
    if definition.get("Type") not in ("Number", "List<Number>"):
        return None
    try:
        number = float(item)
    except ValueError:
        return "the value must be a number"
    if number < float(definition.get("MinValue", number)):
        return f"the value must be at least {definition['MinValue']}"
    if number > float(definition.get("MaxValue", number)):
        return f"the value must be at most {definition['MaxValue']}"
    return None


def _broken_rule(template: Mapping[str, Any], values: Values) -> str | None:
    for name, rule in template.get("Rules", {}).items():
        try:
            if not _holds(rule.get("RuleCondition", True), values):
                continue
            broken = [each for each in rule["Assertions"] if not _holds(each["Assert"], values)]
        except _UnsupportedError as error:
            return f"Template validation error: rule {name}: {error}"
        if broken:
            return f"Rule {name}: {broken[0].get('AssertDescription', 'an assertion does not hold')}"
    return None


class _UnsupportedError(Exception):
    """An expression that a rule must not contain, or that cannot be evaluated here."""


def _holds(expression: Any, values: Values) -> bool:
    return str(_evaluated(expression, values)).lower() == "true"


def _evaluated(expression: Any, values: Values) -> Any:
    if isinstance(expression, list):
        return [_evaluated(each, values) for each in expression]
    if not isinstance(expression, dict):
        return expression
    ((function, argument),) = expression.items()
    if function == "Ref":
        if argument not in values:
            raise _UnsupportedError(f"Ref names no parameter: {argument}")
        return values[argument]
    if function in _NEEDS_ACCOUNT:
        raise _UnsupportedError(
            f"{function} asks for resources of an account, which the local AWS does not do"
        )
    if function not in _FUNCTIONS:
        raise _UnsupportedError(f"Following functions are not supported in the Rules block: [{function}]")
    return _FUNCTIONS[function](*_evaluated(argument, values))


def _texts(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


_FUNCTIONS: dict[str, Callable[..., bool]] = {
    "Fn::And": lambda *conditions: all(_holds(each, {}) for each in conditions),
    "Fn::Contains": lambda items, item: str(item) in _texts(items),
    "Fn::EachMemberEquals": lambda items, item: all(each == str(item) for each in _texts(items)),
    "Fn::EachMemberIn": lambda items, allowed: set(_texts(items)) <= set(_texts(allowed)),
    "Fn::Equals": lambda one, other: _texts(one) == _texts(other),
    "Fn::Not": lambda condition: not _holds(condition, {}),
    "Fn::Or": lambda *conditions: any(_holds(each, {}) for each in conditions),
}
_NEEDS_ACCOUNT = ("Fn::RefAll", "Fn::ValueOf", "Fn::ValueOfAll")
