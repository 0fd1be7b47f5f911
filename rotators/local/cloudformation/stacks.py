"""Updates and change sets of stacks, which moto's CloudFormation implements only in part.

moto updates a resource when its text names a changed parameter. Here a resource is created, changed or
deleted when its definition differs after parameters and conditions are applied. A change set also updates the
stack's template, parameters and outputs. The default of a list parameter is a list.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import Stack

from rotators.local.cloudformation.parameters import refusal, with_defaults

if TYPE_CHECKING:
    from moto.cloudformation.parsing import ResourceMap

Difference = dict[str, list[str]]


def with_lists(original: Callable[[ResourceMap], None], resources: ResourceMap) -> None:
    """Read a stack's parameters: lists are split and their items trimmed, also in defaults.

    Args:
        original: Moto's own, which splits given texts only.
        resources: Resources of the stack.
    """
    template = resources._template  # noqa: SLF001 - checked by tests/local/moto_names.py
    # A stack that waits for its first change set has parameters, but no template yet.
    given = resources.input_parameters
    resources.input_parameters = {**given, **with_defaults(template, given)}
    original(resources)


def without_gaps(original: Callable[[Any, Any], Any], resource_json: Any, resources_map: Any) -> Any:
    """Evaluate a template's functions.

    AWS::NoValue removes its item from a list; moto leaves None. In YAML's short form, `!GetAtt
    Cluster.Endpoint.Port` names the attribute `Endpoint.Port`; moto takes `Endpoint`.

    Args:
        original: Moto's own, which calls itself by name and so calls this function.
        resource_json: A part of the template.
        resources_map: Resources of the stack.

    Returns:
        The part with values.
    """
    if isinstance(resource_json, dict) and isinstance(named := resource_json.get("Fn::GetAtt"), list):
        resource_json = {"Fn::GetAtt": [named[0], ".".join(named[1:])]}
    resolved = original(resource_json, resources_map)
    if isinstance(resolved, list):
        return [item for item in resolved if item is not None]
    return resolved


def with_retention(original: Callable[[Any], None], resources: Any) -> None:
    """Delete a stack's resources: RetainExceptOnCreate keeps a resource, like Retain.

    Both keep the resource of a stack that was created (CFN/aws-attribute-deletionpolicy); moto supports
    Retain only.

    Args:
        original: Moto's own.
        resources: Resources of the stack.
    """
    for definition in resources._resource_json_map.values():  # noqa: SLF001 - the same
        if definition.get("DeletionPolicy") == "RetainExceptOnCreate":
            definition["DeletionPolicy"] = "Retain"
    original(resources)


def json_first(original: Callable[[str], Any], template: str) -> Any:
    """Parse a template. moto parses JSON as YAML, which takes seconds for a large template.

    Args:
        original: Moto's own.
        template: JSON or YAML.

    Returns:
        The template.
    """
    try:
        return json.loads(template)
    except ValueError:
        return original(template)


def difference(
    resources: ResourceMap, template: dict[str, Any], parameters: dict[str, Any] | None = None
) -> Difference:
    """Calculate the changes of an update; replaces moto's method.

    Args:
        resources: Resources of the stack before the update.
        template: The new template.
        parameters: The new values; None for those of the stack.

    Returns:
        Logical names under ``Add``, ``Modify`` and ``Remove``.
    """
    future = copy.copy(resources)
    future._template = template  # noqa: SLF001 - the same
    future.input_parameters = resources.input_parameters if parameters is None else parameters
    future.resolved_parameters = {}
    future._parsed_resources = dict(resources._parsed_resources)  # noqa: SLF001 - the same
    future.load_mapping()
    future.load_parameters()
    future.load_conditions()
    before = _wanted(resources, resources._resource_json_map)  # noqa: SLF001 - the same
    after = _wanted(future, template["Resources"])
    return {
        "Add": [name for name in after if name not in before],
        "Modify": [name for name in after if name in before and after[name] != before[name]],
        "Remove": [name for name in before if name not in after],
    }


def applied(change_set: Any) -> None:
    """Execute a change set; replaces moto's method.

    Args:
        change_set: Moto's record of it.
    """
    stack = change_set.stack
    stack.template = change_set.template
    stack._parse_template()  # noqa: SLF001 - the same
    stack.resource_map.update(stack.template_dict, change_set.parameters)
    stack.parameters = change_set.parameters
    stack.description = stack.template_dict.get("Description")
    stack.output_map = stack._create_output_map()  # noqa: SLF001 - the same


def _wanted(resources: ResourceMap, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the resources whose condition holds, with their parameters and conditions put in."""
    conditions = getattr(resources, "lazy_condition_map", {})
    return {
        name: _resolved(definition, resources.resolved_parameters, conditions)
        for name, definition in definitions.items()
        if "Condition" not in definition or conditions[definition["Condition"]]
    }


def _resolved(node: Any, parameters: dict[str, Any], conditions: Any) -> Any:
    if isinstance(node, list):
        return [_resolved(each, parameters, conditions) for each in node]
    if not isinstance(node, dict):
        return node
    if "Fn::If" in node:
        condition, then, otherwise = node["Fn::If"]
        return _resolved(then if conditions[condition] else otherwise, parameters, conditions)
    if node.keys() == {"Ref"} and node["Ref"] in parameters:
        return {"value": parameters[node["Ref"]]}
    found = {key: _resolved(each, parameters, conditions) for key, each in node.items()}
    if "Fn::Sub" in node:
        text = str(node["Fn::Sub"])
        found["values"] = {name: value for name, value in parameters.items() if f"${{{name}}}" in text}
    return found


def with_constraints(original: Callable[..., Any], backend: Any, **arguments: Any) -> Any:
    """Validate a stack's parameters, and then call moto's own function.

    Args:
        original: Moto's own create_stack, update_stack or create_change_set.
        backend: Moto's records of one account and Region.
        **arguments: Its arguments, with `template` and `parameters`.

    Returns:
        The result of moto's own function.

    Raises:
        ValidationError: The reason; nothing was created or changed.
    """
    parameters = arguments["parameters"]
    if isinstance(parameters, list):
        stack = backend.get_stack(arguments["name"])
        parameters = backend._resolve_update_parameters(  # noqa: SLF001 - checked by tests/local/moto_names.py
            instance=stack, incoming_params=parameters
        )
    if reason := refusal(Stack.parse_template(arguments["template"]), parameters):
        raise ValidationError(message=reason)
    return original(backend, **arguments)
