"""Rules of the CloudFormation reference for the sections of a template.

cfn-lint and `sam validate` accept templates that CloudFormation itself refuses. Each function below checks
one rule; CHECKS names the page that states it. Templates use the full names of functions (`Fn::Join`, not
`!Join`), as `read` returns them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]  # it has no types

Template = dict[str, Any]
Check = Callable[[Template], Iterator[str]]

GUIDE = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"
REFERENCE = "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/"

_RULES = {
    "Ref",
    "Fn::And",
    "Fn::Contains",
    "Fn::EachMemberEquals",
    "Fn::EachMemberIn",
    "Fn::Equals",
    "Fn::Not",
    "Fn::Or",
    "Fn::RefAll",
    "Fn::ValueOf",
    "Fn::ValueOfAll",
}
# The page names only Ref, Fn::FindInMap and the condition functions. cfn-lint (E8003) also permits Fn::Join,
# Fn::Select and Fn::Split in Fn::Equals. Published templates use them to check whether a list is empty or has
# another item.
_CONDITIONS = {
    "Condition",
    "Ref",
    "Fn::And",
    "Fn::Equals",
    "Fn::FindInMap",
    "Fn::Join",
    "Fn::Not",
    "Fn::Or",
    "Fn::Select",
    "Fn::Split",
}
_OUTPUTS = {
    "Ref",
    "Fn::Base64",
    "Fn::Cidr",
    "Fn::FindInMap",
    "Fn::GetAZs",
    "Fn::GetAtt",
    "Fn::If",
    "Fn::ImportValue",
    "Fn::Join",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
}
_PSEUDO = {
    f"AWS::{name}"
    for name in (
        "AccountId",
        "NoValue",
        "NotificationARNs",
        "Partition",
        "Region",
        "StackId",
        "StackName",
        "URLSuffix",
    )
}
_DELETION = {"Delete", "Retain", "RetainExceptOnCreate", "Snapshot"}
_REPLACEMENT = {"Delete", "Retain", "Snapshot"}
_SECTIONS = {
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Globals",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
}
_SNAPSHOTS = {
    "AWS::DocDB::DBCluster",
    "AWS::EC2::Volume",
    "AWS::ElastiCache::CacheCluster",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::Neptune::DBCluster",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::Redshift::Cluster",
}


def read(path: Path) -> Template:
    """Read a template, with the full names of functions."""
    template: Template = yaml_parse(path.read_text(encoding="utf-8"))
    return template


def findings(template: Template) -> list[str]:
    """List everything in a template that the reference forbids.

    Args:
        template: a template as `read` returns it.

    Returns:
        One sentence for each violation, with the page; empty if there is none.
    """
    return [f"{fault} ({page})" for check, page in CHECKS for fault in check(template)]


def _calls(node: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Each intrinsic function below a node, with its place and its argument."""
    if isinstance(node, dict):
        for key, value in node.items():
            if (
                key == "Ref"
                or str(key).startswith("Fn::")
                or (key == "Condition" and isinstance(value, str) and len(node) == 1)
            ):
                yield path, key, value
            yield from _calls(value, f"{path}/{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _calls(value, f"{path}/{index}")


def _only(section: str, allowed: set[str]) -> Check:
    def check(template: Template) -> Iterator[str]:
        for path, function, _ in _calls(template.get(section, {}), section):
            if function not in allowed:
                yield f"{path}: {function} is not allowed in {section}"

    return check


def _sections(template: Template) -> Iterator[str]:
    yield from (f"{name}: there is no such section" for name in template if name not in _SECTIONS)
    if not template.get("Resources"):
        yield "Resources: at least one is required"


def _logical_ids(template: Template) -> Iterator[str]:
    for section in ("Parameters", "Rules", "Mappings", "Conditions", "Resources", "Outputs"):
        for name in template.get(section, {}):
            if not re.fullmatch("[A-Za-z0-9]{1,255}", name):
                yield f"{section}/{name}: a logical id has 1 to 255 letters and digits"


def _limits(template: Template) -> Iterator[str]:
    if len(template.get("Description", "").encode()) > 1024:
        yield "Description: longer than 1024 bytes"
    for section, most in (("Parameters", 200), ("Mappings", 200), ("Resources", 500), ("Outputs", 200)):
        if len(template.get(section, {})) > most:
            yield f"{section}: more than {most}"
    for name, parameter in template.get("Parameters", {}).items():
        if len(parameter.get("Description", "")) > 4000:
            yield f"Parameters/{name}: its description is longer than 4000 characters"


def _parameters(template: Template) -> Iterator[str]:
    known = {
        "AllowedPattern",
        "AllowedValues",
        "ConstraintDescription",
        "Default",
        "Description",
        "MaxLength",
        "MaxValue",
        "MinLength",
        "MinValue",
        "NoEcho",
        "Type",
    }
    for name, parameter in template.get("Parameters", {}).items():
        if "Type" not in parameter:
            yield f"Parameters/{name}: has no Type"
        yield from (f"Parameters/{name}: has no attribute {key}" for key in parameter if key not in known)


def _rule_parts(template: Template) -> Iterator[str]:
    for name, rule in template.get("Rules", {}).items():
        yield from (
            f"Rules/{name}: {key} is no part of a rule" for key in set(rule) - {"RuleCondition", "Assertions"}
        )
        if not rule.get("Assertions"):
            yield f"Rules/{name}: has no Assertions"
        for assertion in rule.get("Assertions", []):
            if "Assert" not in assertion or set(assertion) - {"Assert", "AssertDescription"}:
                yield f"Rules/{name}: an assertion has Assert and AssertDescription only"
    for path, _, target in _of(template.get("Rules", {}), "Ref"):
        if target not in template.get("Parameters", {}):
            yield f"Rules{path}: Ref names no parameter: {target}"


def _of(node: Any, *functions: str) -> Iterator[tuple[str, str, Any]]:
    return (call for call in _calls(node) if call[1] in functions)


def _operands(template: Template) -> Iterator[str]:
    nodes = {name: template.get(name, {}) for name in ("Conditions", "Rules")}
    for path, function, argument in _of(nodes, "Fn::And", "Fn::Or"):
        if not 2 <= len(argument) <= 10:
            yield f"{path}: {function} takes 2 to 10 conditions"
    for path, _, argument in _of(nodes, "Fn::Not"):
        if not isinstance(argument, list) or len(argument) != 1:
            yield f"{path}: Fn::Not takes a list of one condition"


def _literals(template: Template) -> Iterator[str]:
    for path, function, argument in _of(template, "Fn::Join", "Fn::Split"):
        if not (isinstance(argument, list) and len(argument) == 2 and isinstance(argument[0], str)):
            yield f"{path}: the delimiter of {function} must be a literal"
    for path, _, argument in _of(template, "Fn::Sub"):
        text = argument[0] if isinstance(argument, list) and argument else argument
        if not isinstance(text, str):
            yield f"{path}: the string of Fn::Sub must be a literal"


def _policies(template: Template) -> Iterator[str]:
    allowed = {"DeletionPolicy": _DELETION, "UpdateReplacePolicy": _REPLACEMENT}
    for name, resource in template.get("Resources", {}).items():
        for attribute, values in allowed.items():
            policy = resource.get(attribute, "Delete")
            if not isinstance(policy, str) or policy not in values:
                yield f"Resources/{name}: {attribute} cannot be {policy}"
            elif policy == "Snapshot" and resource["Type"] not in _SNAPSHOTS:
                yield f"Resources/{name}: {resource['Type']} has no snapshots"


def _targets(template: Template) -> Iterator[str]:
    resources, conditions = set(template.get("Resources", {})), set(template.get("Conditions", {}))
    everything = resources | set(template.get("Parameters", {})) | _PSEUDO
    visible = {name: template.get(name, {}) for name in ("Conditions", "Resources", "Outputs", "Globals")}
    for path, function, argument in _calls(visible):
        if function == "Ref" and argument not in everything:
            yield f"{path}: Ref names neither a parameter nor a resource: {argument}"
        if function == "Fn::GetAtt" and _owner(argument) not in resources:
            yield f"{path}: Fn::GetAtt names no resource: {argument}"
        if function == "Fn::Sub":
            yield from (f"{path}: Fn::Sub names nothing: {name}" for name in _named(argument) - everything)
        if function == "Fn::If" and argument[0] not in conditions:
            yield f"{path}: Fn::If names no condition: {argument[0]}"
        if function == "Condition" and path.startswith("/Conditions") and argument not in conditions:
            yield f"{path}: names no condition: {argument}"


def _attributes(template: Template) -> Iterator[str]:
    resources, conditions = set(template.get("Resources", {})), set(template.get("Conditions", {}))
    for section in ("Resources", "Outputs"):
        for name, item in template.get(section, {}).items():
            if "Condition" in item and item["Condition"] not in conditions:
                yield f"{section}/{name}: names no condition: {item['Condition']}"
    for name, resource in template.get("Resources", {}).items():
        needed = resource.get("DependsOn", [])
        for other in [needed] if isinstance(needed, str) else needed:
            if other not in resources:
                yield f"Resources/{name}: DependsOn names no resource: {other}"


def _owner(argument: Any) -> str:
    return str(argument[0] if isinstance(argument, list) else argument).partition(".")[0]


def _named(argument: Any) -> set[str]:
    """The parameters and resources in the string of Fn::Sub, without its own variables and `${!literal}`."""
    text, own = argument if isinstance(argument, list) else (argument, {})
    names = {name.partition(".")[0] for name in re.findall(r"\$\{([^!][^}]*)\}", str(text))}
    return names - set(own)


def _output_parts(template: Template) -> Iterator[str]:
    for name, output in template.get("Outputs", {}).items():
        if "Value" not in output:
            yield f"Outputs/{name}: has no Value"
        if len(str(output.get("Description", "")).encode()) > 1024:
            yield f"Outputs/{name}: its description is longer than 1024 bytes"
        if not isinstance(output.get("Description", ""), str):
            yield f"Outputs/{name}: its description must be a literal"


CHECKS: list[tuple[Check, str]] = [
    (_sections, f"{GUIDE}template-anatomy.html"),
    (_logical_ids, f"{GUIDE}resources-section-structure.html"),
    (_limits, f"{GUIDE}cloudformation-limits.html"),
    (_parameters, f"{GUIDE}parameters-section-structure.html"),
    (_only("Parameters", set()), f"{GUIDE}parameters-section-structure.html"),
    (_only("Mappings", set()), f"{GUIDE}mappings-section-structure.html"),
    (_only("Metadata", set()), f"{GUIDE}metadata-section-structure.html"),
    (_only("Rules", _RULES), f"{REFERENCE}intrinsic-function-reference-rules.html"),
    (_rule_parts, f"{GUIDE}rules-section-structure.html"),
    (_only("Conditions", _CONDITIONS), f"{GUIDE}conditions-section-structure.html"),
    (_operands, f"{REFERENCE}intrinsic-function-reference-conditions.html"),
    (_only("Outputs", _OUTPUTS), f"{GUIDE}outputs-section-structure.html"),
    (_output_parts, f"{GUIDE}outputs-section-structure.html"),
    (_literals, f"{REFERENCE}intrinsic-function-reference-join.html"),
    (_policies, f"{REFERENCE}aws-attribute-deletionpolicy.html"),
    (_targets, f"{REFERENCE}intrinsic-function-reference-ref.html"),
    (_attributes, f"{REFERENCE}aws-attribute-dependson.html"),
]
"""Each check with the page that states its rule."""
