"""Updates and change sets of stacks, which moto's CloudFormation carries out in part only.

moto updates a resource when its text names a changed parameter. Here a resource is made, changed or removed
when parameters and conditions make something else of it. A change set leaves the stack with its new template,
parameters and outputs, as an update does. The default of a list parameter is a list.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rotators.local.rules import with_defaults

if TYPE_CHECKING:
    from moto.cloudformation.parsing import ResourceMap

Difference = dict[str, list[str]]


def with_lists(original: Callable[[ResourceMap], None]) -> Callable[[ResourceMap], None]:
    """What reads the parameters of a stack. Lists are split and their items trimmed, defaults too.

    Args:
        original: moto's own, which splits given texts only.
    """

    def load_parameters(resources: ResourceMap) -> None:
        template = resources._template  # noqa: SLF001 - checked by tests/local/moto_names.py
        # A stack that waits for its first change set has parameters, but no template yet.
        given = resources.input_parameters
        resources.input_parameters = {**given, **with_defaults(template, given)}
        original(resources)

    return load_parameters


def difference(
    resources: ResourceMap, template: dict[str, Any], parameters: dict[str, Any] | None = None
) -> Difference:
    """What an update adds, modifies and removes, instead of moto's.

    Args:
        resources: of the stack as it is.
        template: the new one.
        parameters: the new values; None for those of the stack.

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
    """Carry a change set out, instead of moto's."""
    stack = change_set.stack
    stack.template = change_set.template
    stack._parse_template()  # noqa: SLF001 - the same
    stack.resource_map.update(stack.template_dict, change_set.parameters)
    stack.parameters = change_set.parameters
    stack.description = stack.template_dict.get("Description")
    stack.output_map = stack._create_output_map()  # noqa: SLF001 - the same


def _wanted(resources: ResourceMap, definitions: dict[str, Any]) -> dict[str, Any]:
    """The resources whose condition holds, with their parameters and conditions put in."""
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
