"""The template and the examples contain only what CloudFormation's reference allows in each section."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rotators.local.cloudformation.sam import translated
from tests.cloudformation_rules import findings, read

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = [ROOT / "template.yaml", *sorted((ROOT / "examples").glob("*/template.yaml"))]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.parent.name)
def test_a_template_as_written_follows_the_reference(path: Path) -> None:
    assert findings(read(path)) == []


def test_the_translated_template_follows_the_reference() -> None:
    assert findings(translated(ROOT / "template.yaml", "eu-west-1")) == []


ITEMS = {"Items": {"Type": "CommaDelimitedList"}}
TOPIC = {"Type": "AWS::SNS::Topic"}


def template(**sections: Any) -> dict[str, Any]:
    return {"Parameters": ITEMS, "Resources": {"Topic": TOPIC}, **sections}


def rules(assertion: Any) -> dict[str, Any]:
    return template(Rules={"Rule": {"Assertions": [{"Assert": assertion}]}})


def topic(**attributes: Any) -> dict[str, Any]:
    return template(Resources={"Topic": {**TOPIC, **attributes}})


def output(value: Any, **others: Any) -> dict[str, Any]:
    return template(Outputs={"One": {"Value": value, **others}})


def condition(value: Any) -> dict[str, Any]:
    return template(Conditions={"One": value})


JOINED = {"Fn::Join": ["", {"Ref": "Items"}]}
TRUE = {"Fn::Equals": ["a", "a"]}
# An invalid rule that template.yaml once contained and that no linter found.
OLD_RULE = {"Fn::Not": [{"Fn::Equals": [JOINED, ""]}]}


@pytest.mark.parametrize(
    "good",
    [
        template(),
        rules({"Fn::Not": [{"Fn::Contains": [{"Ref": "Items"}, ""]}]}),
        condition({"Fn::Not": [{"Fn::Equals": [JOINED, ""]}]}),
        output({"Fn::GetAtt": ["Topic", "TopicArn"]}),
        output({"Fn::Sub": ["${A}${Topic.TopicArn}${!B}${AWS::Region}", {"A": "a"}]}),
        topic(DeletionPolicy="RetainExceptOnCreate", UpdateReplacePolicy="Retain"),
    ],
)
def test_allowed_values_are_not_findings(good: dict[str, Any]) -> None:
    assert findings(good) == []


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (template(Output={}), "no such section"),
        (template(Resources={}), "at least one"),
        (template(Resources={"My-Topic": TOPIC}), "letters and digits"),
        (template(Description="ä" * 513), "1024 bytes"),
        (template(Parameters={f"P{n}": {"Type": "String"} for n in range(201)}), "more than 200"),
        (template(Parameters={"P": {"Type": "String", "Description": "x" * 4001}}), "4000 characters"),
        (template(Parameters={"P": {"Default": ""}}), "has no Type"),
        (template(Parameters={"P": {"Type": "String", "Pattern": ""}}), "has no attribute Pattern"),
        (
            template(Parameters={"P": {"Type": "String", "Default": {"Ref": "X"}}}),
            "not allowed in Parameters",
        ),
        (template(Mappings={"M": {"A": {"B": {"Ref": "AWS::Region"}}}}), "not allowed in Mappings"),
        (template(Metadata={"M": {"Ref": "Items"}}), "not allowed in Metadata"),
        (rules(OLD_RULE), "Fn::Join is not allowed in Rules"),
        (rules({"Fn::If": ["One", "a", "b"]}), "Fn::If is not allowed in Rules"),
        (rules({"Fn::Equals": [{"Fn::Sub": "a"}, "a"]}), "Fn::Sub is not allowed in Rules"),
        (rules({"Condition": "One"}), "Condition is not allowed in Rules"),
        (rules({"Fn::Equals": [{"Ref": "Topic"}, ""]}), "Ref names no parameter: Topic"),
        (template(Rules={"Rule": {"RuleCondition": TRUE}}), "has no Assertions"),
        (template(Rules={"Rule": {"Condition": "x", "Assertions": [{"Assert": TRUE}]}}), "no part of a rule"),
        (template(Rules={"Rule": {"Assertions": [{"AssertDescription": "x"}]}}), "an assertion has Assert"),
        (condition({"Fn::Equals": [{"Fn::GetAtt": ["Topic", "Arn"]}, ""]}), "not allowed in Conditions"),
        (condition({"Fn::And": [TRUE]}), "takes 2 to 10"),
        (condition({"Fn::Or": [TRUE] * 11}), "takes 2 to 10"),
        (condition({"Fn::Not": TRUE}), "a list of one condition"),
        (condition({"Condition": "Other"}), "names no condition: Other"),
        (output({"Fn::Transform": {"Name": "x"}}), "not allowed in Outputs"),
        (template(Outputs={"One": {}}), "has no Value"),
        (output("x", Description="x" * 1025), "longer than 1024 bytes"),
        (output("x", Description={"Ref": "Items"}), "must be a literal"),
        (output("x", Condition="Other"), "names no condition: Other"),
        (output({"Fn::Join": [{"Ref": "Items"}, []]}), "delimiter of Fn::Join"),
        (output({"Fn::Split": [{"Ref": "Items"}, "a"]}), "delimiter of Fn::Split"),
        (output({"Fn::Sub": [{"Ref": "Items"}, {}]}), "string of Fn::Sub"),
        (output({"Fn::Sub": "${Other}"}), "Fn::Sub names nothing: Other"),
        (output({"Fn::If": ["Other", "a", "b"]}), "Fn::If names no condition"),
        (output({"Ref": "Other"}), "Ref names neither"),
        (output({"Fn::GetAtt": ["Other", "Arn"]}), "Fn::GetAtt names no resource"),
        (topic(DependsOn="Other"), "DependsOn names no resource"),
        (topic(Condition="Other"), "names no condition: Other"),
        (topic(DeletionPolicy="Keep"), "DeletionPolicy cannot be Keep"),
        (topic(DeletionPolicy="Snapshot"), "has no snapshots"),
        (topic(UpdateReplacePolicy="RetainExceptOnCreate"), "UpdateReplacePolicy cannot be"),
    ],
)
def test_forbidden_values_are_findings(bad: dict[str, Any], told: str) -> None:
    assert any(told in each for each in findings(bad))


def test_each_finding_names_its_page() -> None:
    assert all("https://docs.aws.amazon.com/AWSCloudFormation/" in each for each in findings(rules(OLD_RULE)))
    assert findings(rules(OLD_RULE))
