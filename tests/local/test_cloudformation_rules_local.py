"""Before it creates anything, the local CloudFormation refuses the same templates as AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rotators.local.aws import LocalAws
from rotators.local.cloudformation.parameters import refusal
from rotators.local.cloudformation.sam import translated

TOPIC = "arn:aws:sns:eu-west-1:111111111111:alarms"
ROOT = Path(__file__).resolve().parent.parent.parent


def stack(rules: dict[str, Any] | None = None, **parameters: dict[str, Any]) -> dict[str, Any]:
    """A template with these parameters and rules, and one topic."""
    return {
        "Parameters": parameters,
        "Rules": rules or {},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
    }


def listed(**settings: Any) -> dict[str, Any]:
    return {"Type": "CommaDelimitedList", **settings}


def text(**settings: Any) -> dict[str, Any]:
    return {"Type": "String", **settings}


def number(**settings: Any) -> dict[str, Any]:
    return {"Type": "Number", **settings}


def rule(assertion: Any, condition: Any = None) -> dict[str, Any]:
    made: dict[str, Any] = {"Assertions": [{"Assert": assertion, "AssertDescription": "Told."}]}
    return {"Rule": made if condition is None else {"RuleCondition": condition, **made}}


EMPTY = {"Fn::Contains": [{"Ref": "Items"}, ""]}


@pytest.mark.parametrize(
    ("definition", "good", "bad"),
    [
        (text(AllowedValues=["true", "false"]), "true", "yes"),
        (text(AllowedPattern="[a-z]*"), "", "A"),
        (text(AllowedPattern="[a-z]+"), "abc", "abc1"),
        (text(MinLength=2), "ab", "a"),
        (text(MaxLength=2), "ab", "abc"),
        (number(MinValue=0), "0", "-1"),
        (number(MaxValue=7), "7", "8"),
        (number(AllowedValues=[1, 3]), "3", "2"),
        (number(), "1.5", "many"),
        (listed(AllowedPattern="[a-z]+"), "a,b", "a,B"),
        (listed(AllowedPattern="[a-z]+"), "a , b", "a,"),
        (listed(AllowedPattern="[a-z]+"), "a", ""),
        (listed(AllowedValues=["a", "b"]), "a,b", "a,c"),
        ({"Type": "List<Number>", "MaxValue": 3}, "1,3", "1,4"),
    ],
)
def test_a_value_outside_its_constraint_is_refused(definition: dict[str, Any], good: str, bad: str) -> None:
    template = stack(Given=definition)
    assert refusal(template, {"Given": good}) is None
    assert str(refusal(template, {"Given": bad})).startswith("Parameter Given failed to satisfy constraint: ")


def test_the_refusal_has_the_constraint_s_description() -> None:
    template = stack(Given=text(AllowedPattern="[a-z]*", ConstraintDescription="must be lower case."))
    assert refusal(template, {"Given": "A"}) == (
        "Parameter Given failed to satisfy constraint: must be lower case."
    )


def test_a_missing_and_an_unknown_parameter_are_refused() -> None:
    assert refusal(stack(Given=text()), {}) == "Parameters: ['Given'] must have values"
    assert refusal(stack(), {"Other": "1"}) == "Parameters: ['Other'] do not exist in the template"


def test_a_default_must_meet_its_constraint() -> None:
    assert refusal(stack(Given=number(Default=9, MaxValue=7)), {}) is not None


def test_an_empty_list_holds_one_empty_string() -> None:
    template = stack(rule({"Fn::Not": [EMPTY]}), Items=listed(Default=""))
    assert refusal(template, {}) == "Rule Rule: Told."
    assert refusal(template, {"Items": "a,b"}) is None


def test_assertions_need_a_true_rule_condition() -> None:
    template = stack(rule({"Fn::Equals": [{"Ref": "Name"}, "x"]}, EMPTY), Items=listed(), Name=text())
    assert refusal(template, {"Items": "a", "Name": "y"}) is None
    assert refusal(template, {"Items": "", "Name": "y"}) == "Rule Rule: Told."


@pytest.mark.parametrize(
    ("holding", "failing"),
    [
        ({"Fn::And": [True, True]}, {"Fn::And": [True, False]}),
        ({"Fn::Or": [False, True]}, {"Fn::Or": [False, False]}),
        ({"Fn::Not": [False]}, {"Fn::Not": [True]}),
        ({"Fn::Equals": ["a", "a"]}, {"Fn::Equals": ["a", "b"]}),
        ({"Fn::Contains": [["a", "b"], "b"]}, {"Fn::Contains": [["a", "b"], "c"]}),
        ({"Fn::EachMemberEquals": [["a", "a"], "a"]}, {"Fn::EachMemberEquals": [["a", "b"], "a"]}),
        ({"Fn::EachMemberIn": [["a"], ["a", "b"]]}, {"Fn::EachMemberIn": [["a", "c"], ["a", "b"]]}),
    ],
)
def test_each_function_decides(holding: dict[str, Any], failing: dict[str, Any]) -> None:
    assert refusal(stack(rule(holding)), {}) is None
    assert refusal(stack(rule(failing)), {}) == "Rule Rule: Told."


@pytest.mark.parametrize("function", ["Fn::Join", "Fn::If", "Fn::Sub", "Condition"])
def test_other_functions_are_refused_in_rules(function: str) -> None:
    template = stack(rule({"Fn::Equals": [{function: ["", ["a"]]}, ""]}))
    assert "not supported in the Rules block" in str(refusal(template, {}))


def test_rule_functions_about_the_account_are_refused() -> None:
    template = stack(rule({"Fn::Contains": [{"Fn::RefAll": "AWS::EC2::VPC::Id"}, "vpc-1"]}))
    assert "the local AWS does not" in str(refusal(template, {}))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"SubnetIds": "subnet-1"}, "SubnetIds needs SecurityGroupIds."),
        ({"SubnetIds": "subnet-1", "SecurityGroupIds": "sg-1"}, None),
        ({"SecretAccountId": "1" * 12}, "Secrets of another account"),
        (
            {"AlarmEmail": "a@b.c", "AlarmTopicArn": TOPIC},
            "AlarmEmail is for",
        ),
        ({"NoRotationDays": "8"}, "NoRotationDays"),
        ({"RetrieveNamePrefixes": "app/,"}, "RetrieveNamePrefixes has an empty item"),
        ({"SubnetIds": "subnet-1,,subnet-2", "SecurityGroupIds": "sg-1"}, "SubnetIds has an empty item"),
        ({"RetrieveNamePrefixes": "app/,web/"}, None),
        ({"KmsKeyArns": f"arn:aws:kms:eu-west-1:{'1' * 12}:alias/x"}, "not of aliases"),
        ({}, None),
    ],
)
def test_the_template_s_own_rules_are_kept(given: dict[str, str], told: str | None) -> None:
    found = refusal(translated(ROOT / "template.yaml", "eu-west-1"), given)
    assert found is None if told is None else told in str(found)


@pytest.fixture
def formation(aws: LocalAws) -> Iterator[Any]:
    client = aws.client("cloudformation")
    yield client
    for name in ("small", "lists"):
        client.delete_stack(StackName=name)


SMALL = stack(
    rule({"Fn::Not": [EMPTY]}),
    Items=listed(Default="a"),
    Days=number(Default=1, MaxValue=7, ConstraintDescription="must be at most a week."),
)


def given(**values: str) -> list[dict[str, str]]:
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]


def test_a_refused_stack_leaves_nothing(formation: Any) -> None:
    body = json.dumps(SMALL)
    with pytest.raises(ClientError, match=r"must be at most a week\."):
        formation.create_stack(StackName="small", TemplateBody=body, Parameters=given(Days="8"))
    with pytest.raises(ClientError, match=r"Rule Rule: Told\."):
        formation.create_stack(StackName="small", TemplateBody=body, Parameters=given(Items=""))
    with pytest.raises(ClientError, match=r"Rule Rule: Told\."):
        formation.create_change_set(
            StackName="small", ChangeSetName="one", TemplateBody=body, Parameters=given(Items="")
        )
    assert "small" not in {each["StackName"] for each in formation.describe_stacks()["Stacks"]}


def test_a_refused_update_changes_nothing(formation: Any) -> None:
    body = json.dumps(SMALL)
    formation.create_stack(StackName="small", TemplateBody=body, Parameters=given(Days="2"))
    with pytest.raises(ClientError, match=r"must be at most a week\."):
        formation.update_stack(StackName="small", TemplateBody=body, Parameters=given(Days="8"))
    with pytest.raises(ClientError, match=r"Rule Rule: Told\."):
        formation.create_change_set(
            StackName="small",
            ChangeSetName="two",
            ChangeSetType="UPDATE",
            TemplateBody=body,
            Parameters=given(Items=""),
        )
    found = formation.describe_stacks(StackName="small")["Stacks"][0]["Parameters"]
    assert {"ParameterKey": "Days", "ParameterValue": "2"} in found


def test_the_default_of_a_list_is_a_list(formation: Any) -> None:
    joined = {"Fn::Join": ["-", {"Ref": "Items"}]}
    template = {
        **stack(Items=listed(Default="ab, cd")),
        "Outputs": {"Joined": {"Value": joined}},
    }
    formation.create_stack(StackName="lists", TemplateBody=json.dumps(template))
    found = formation.describe_stacks(StackName="lists")["Stacks"][0]["Outputs"]
    assert found[0]["OutputValue"] == "ab-cd"
