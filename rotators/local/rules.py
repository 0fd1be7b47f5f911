"""What CloudFormation refuses before it creates anything: constraints of parameters and the template's Rules.

moto checks neither. The functions are pure: they take a template and the parameters of a stack, and give the
reason why CloudFormation would refuse them.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-rules.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import Stack

Values = Mapping[str, "str | list[str]"]


def refusal(template: Mapping[str, Any], parameters: Mapping[str, Any]) -> str | None:
    """Tell why CloudFormation would refuse a stack of these parameters.

    Args:
        template: the parsed template, with intrinsic functions under their full names.
        parameters: the given parameters, name to value; the others have their defaults.

    Returns:
        One sentence with the constraint's or assertion's description, or None if nothing forbids the stack.
    """
    definitions = template.get("Parameters", {})
    if unknown := sorted(set(parameters) - set(definitions)):
        return f"Parameters: {unknown} do not exist in the template"
    texts = with_defaults(template, parameters)
    if missing := sorted(set(definitions) - set(texts)):
        return f"Parameters: {missing} must have values"
    values = {name: _value(definitions[name], text) for name, text in texts.items()}
    for name, value in values.items():
        if fault := _fault(definitions[name], value):
            description = definitions[name].get("ConstraintDescription")
            return f"Parameter {name} failed to satisfy constraint: {description or fault}"
    return _broken_rule(template, values)


def with_defaults(template: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, str]:
    """The text of every parameter that is given or has a default.

    Args:
        template: the parsed template.
        parameters: the given parameters, name to value; None asks for the default.

    Returns:
        Name to text. The items of a list have no spaces around them, as CloudFormation trims them.
    """
    texts = {}
    for name, definition in template.get("Parameters", {}).items():
        value = parameters.get(name)
        text = definition.get("Default") if value is None else value
        if text is not None:
            texts[name] = _joined(text) if _is_list(definition) else str(text)
    return texts


def _joined(items: Any) -> str:
    """A list's text; moto gives the previous value of a list as a list."""
    each = items if isinstance(items, list) else str(items).split(",")
    return ",".join(str(item).strip() for item in each)


def _is_list(definition: Mapping[str, Any]) -> bool:
    kind = definition.get("Type", "String")
    return bool(kind == "CommaDelimitedList" or kind.startswith("List<"))


def _value(definition: Mapping[str, Any], text: str) -> str | list[str]:
    """An empty list holds one empty string."""
    return text.split(",") if _is_list(definition) else text


def _fault(definition: Mapping[str, Any], value: str | list[str]) -> str | None:
    """The first constraint that the value, or an item of the list, does not meet."""
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
        return _referred(argument, values)
    if function in _NEEDS_ACCOUNT:
        raise _UnsupportedError(
            f"{function} asks for resources of an account, which the local AWS does not do"
        )
    if function not in _FUNCTIONS:
        raise _UnsupportedError(f"Following functions are not supported in the Rules block: [{function}]")
    return _FUNCTIONS[function](*_evaluated(argument, values))


def _referred(name: str, values: Values) -> str | list[str]:
    if name not in values:
        raise _UnsupportedError(f"Ref names no parameter: {name}")
    return values[name]


def _and(*conditions: Any) -> bool:
    return all(_holds(each, {}) for each in conditions)


def _or(*conditions: Any) -> bool:
    return any(_holds(each, {}) for each in conditions)


def _not(condition: Any) -> bool:
    return not _holds(condition, {})


def _equals(one: Any, other: Any) -> bool:
    return _texts(one) == _texts(other)


def _contains(items: Any, item: Any) -> bool:
    return str(item) in _texts(items)


def _each_member_equals(items: Any, item: Any) -> bool:
    return all(each == str(item) for each in _texts(items))


def _each_member_in(items: Any, allowed: Any) -> bool:
    return set(_texts(items)) <= set(_texts(allowed))


def _texts(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


_FUNCTIONS: dict[str, Callable[..., bool]] = {
    "Fn::And": _and,
    "Fn::Contains": _contains,
    "Fn::EachMemberEquals": _each_member_equals,
    "Fn::EachMemberIn": _each_member_in,
    "Fn::Equals": _equals,
    "Fn::Not": _not,
    "Fn::Or": _or,
}
_NEEDS_ACCOUNT = ("Fn::RefAll", "Fn::ValueOf", "Fn::ValueOfAll")


def with_constraints(original: Callable[..., Any]) -> Callable[..., Any]:
    """Moto's create_stack, update_stack or create_change_set, which refuses first what AWS refuses.

    Args:
        original: moto's own; takes `template` and `parameters` by name.

    Returns:
        The replacement; it raises a ValidationError with the reason before anything is created or changed.
    """

    def checked(backend: Any, **arguments: Any) -> Any:
        parameters = arguments["parameters"]
        if isinstance(parameters, list):
            stack = backend.get_stack(arguments["name"])
            parameters = backend._resolve_update_parameters(  # noqa: SLF001 - checked by tests/local/moto_names.py
                instance=stack, incoming_params=parameters
            )
        reason = refusal(Stack.parse_template(arguments["template"]), parameters)
        if reason:
            raise ValidationError(message=reason)
        return original(backend, **arguments)

    return checked
