"""The template, read as YAML with CloudFormation's tags."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]  # here by way of the AWS CLI; its stubs are not

from rotators.core.errors import InvalidEvent
from rotators.handlers.telemetry import observed

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent

FUNCTIONS = {
    "RotateFunction": "rotate",
    "StoreFunction": "store",
    "RetrieveFunction": "retrieve",
    "OperateFunction": "operate",
    "NotifyFunction": "notify",
    "ReceiptFunction": "receipt",
    "WidgetFunction": "widget",
}

EVERY_RESOURCE = {
    "LetLambdaJoinVpc": "Lambda creates the interfaces, which have no ARN before (LG:configuration-vpc)",
    "KeepCodeFromInterfaces": "a denial of the same",
    "FindRedshift": "these actions of Redshift know no resource",
    "SeeWhatFailed": "CloudTrail's look-up knows no resource",
    "FindGaps": "ListSecrets knows no resource",
    "DescribeDirectories": "DescribeDirectories knows no resource; ResetUserPassword names the directories",
    "ListEverything": "ListSecrets and CloudTrail's look-up know no resource",
    "LookUpAliases": "ListAliases knows no resource",
    "ReadPolicies": "GetAccountAuthorizationDetails knows no resource",
    "KeepAccessTags": "a denial",
    "ReadManyAtOnce": "BatchGetSecretValue knows no resource; GetSecretValue decides on each secret",
}
"""The statements that may use the resource `*`, with the reason."""

EVERY_NAME = {
    "DecryptWithTaggedKeys": "the tag of the key decides, not its id",
    "EncryptWithTaggedKeys": "the same",
    "DescribeTaggedKeys": "the same",
    "LookAtKeys": "which keys secrets have is not known to the template; nothing is encrypted or decrypted",
    "DecryptToReplicate": "the encryption context names the secrets; which keys they have is unknown here",
    "UseKeys": "the same",
    "LookUpKeys": "as LookAtKeys",
    "ReadKeyPolicies": "the same",
    "NeverDirectly": "a denial, for every version and alias of the function",
    "DescribeAnySecret": "notify gets the failures of every secret; viewers list every secret anyway",
    "ListVersionsOfOwnSecrets": "the secret's rotation function decides, not its name",
    "EncryptMessageForGivenTopic": "the topic decides by its encryption context; its key is unknown here",
    "FindDatabasesOfAdmins": "the database's identifier stands in a tag of the admin's secret, unknown here",
    "ReadTaggedAdmins": "the tag decides, not the name",
    "ReadTaggedSecrets": "the tag decides, not the name",
    "RotateTaggedSecrets": "the tag decides, not the name",
    "LookAndMendTagged": "the tag decides, not the name",
    "TryTaggedAdmins": "the tag decides, not the name",
}
"""The statements whose resources may end in `:*` or `/*`, with the reason."""

READ_BY_POWERTOOLS = {"POWERTOOLS_LOG_LEVEL"}


class Loader(yaml.SafeLoader):  # type: ignore[misc]  # untyped, as above
    """Reads `!Sub x` as {"Sub": "x"}, and so on."""


def tagged(loader: Any, suffix: str, node: Any) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    return {suffix: loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", tagged)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(encoding="utf-8"), Loader)  # noqa: S506 - a SafeLoader
    return loaded


@pytest.fixture(scope="module")
def resources(template: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"]
    return found


def of_type(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def statements(resources: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The statements of a role or a managed policy, for all conditions."""
    properties = resources[name]["Properties"]
    return [
        statement
        for policy in properties.get("Policies", [properties])
        for found in policy["PolicyDocument"]["Statement"]
        for statement in (found["If"][1:] if "If" in found else [found])
        if "Sid" in statement
    ]


def every_statement(resources: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for kind in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
        for name in of_type(resources, kind):
            yield from statements(resources, name)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def actions(statement: dict[str, Any]) -> list[str]:
    """The actions of a statement, for all conditions."""
    found = statement["Action"]
    if isinstance(found, dict):
        _, first, second = found["If"]
        found = list(dict.fromkeys([*first, *second]))
    return [str(action) for action in as_list(found)]


def text_of_resource(resource: Any) -> str:
    if isinstance(resource, dict) and "Split" in resource:
        resource = resource["Split"][1]
    text = resource["Sub"] if isinstance(resource, dict) and "Sub" in resource else resource
    return str(text[0] if isinstance(text, list) else text)


def test_it_has_the_functions(resources: dict[str, Any]) -> None:
    assert set(of_type(resources, "AWS::Serverless::Function")) == set(FUNCTIONS)


@pytest.mark.parametrize(("name", "module"), FUNCTIONS.items())
def test_handlers_exist(resources: dict[str, Any], name: str, module: str) -> None:
    assert resources[name]["Properties"]["Handler"] == f"functions.{module}.handler"
    tree = ast.parse((ROOT / "functions" / f"{module}.py").read_text(encoding="utf-8"))
    (imported,) = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert (imported.module, imported.names[0].name) == (f"rotators.handlers.{module}", "handler")


def test_the_runtime_matches_the_artifact(template: dict[str, Any]) -> None:
    common = template["Globals"]["Function"]
    assert common["Runtime"] == "python3.13"
    assert common["Architectures"] == [{"Ref": "Architecture"}]
    assert template["Parameters"]["Architecture"]["Default"] == "arm64"
    finder = (ROOT / "artifact" / "pythons.py").read_text(encoding="utf-8")
    assert re.search(r'^VERSION = "3\.13"$', finder, re.MULTILINE)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_makefile_builds_each_function(resources: dict[str, Any], name: str) -> None:
    assert resources[name]["Metadata"]["BuildMethod"] == "makefile"
    assert f"build-{name}" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_functions_have_time_to_answer(template: dict[str, Any], resources: dict[str, Any]) -> None:
    assert template["Globals"]["Function"]["Timeout"] >= 30
    assert resources["RotateFunction"]["Properties"]["Timeout"] == {"Ref": "RotateTimeout"}
    timeout = template["Parameters"]["RotateTimeout"]
    assert (timeout["Default"], timeout["MaxValue"]) == (60, 900)


def test_secrets_manager_may_invoke_the_rotate_function(resources: dict[str, Any]) -> None:
    assert resources["RotatePermission"]["Properties"] == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": {"GetAtt": "RotateFunction.Arn"},
        "Principal": "secretsmanager.amazonaws.com",
        "SourceAccount": {"If": ["InOtherAccount", {"Ref": "SecretAccountId"}, {"Ref": "AWS::AccountId"}]},
    }


def test_only_statements_with_a_reason_reach_every_resource(resources: dict[str, Any]) -> None:
    found = {
        statement["Sid"]
        for statement in every_statement(resources)
        if any(text_of_resource(resource) == "*" for resource in as_list(statement["Resource"]))
    }
    assert found == set(EVERY_RESOURCE)


def test_only_statements_with_a_reason_reach_every_name(resources: dict[str, Any]) -> None:
    found = {
        statement["Sid"]
        for statement in every_statement(resources)
        if any(text_of_resource(each).endswith((":*", ":key/*")) for each in as_list(statement["Resource"]))
    }
    assert found == set(EVERY_NAME)


def test_no_action_is_a_pattern(resources: dict[str, Any]) -> None:
    assert not [
        action for statement in every_statement(resources) for action in actions(statement) if "*" in action
    ]


def test_the_rotate_function_changes_only_its_secrets(resources: dict[str, Any]) -> None:
    touching = {
        statement["Sid"]: statement
        for statement in statements(resources, "RotateRole")
        if any(action.startswith("secretsmanager:") for action in actions(statement))
        and statement["Sid"] not in ("ReadAdmins", "ReadTaggedAdmins")
    }
    assert set(touching) == {"RotateOwnSecrets", "RotateTaggedSecrets"}
    fixed = resources["RotateFunction"]["Properties"]["FunctionName"]["Sub"]
    for own in touching.values():
        name = own["Condition"]["ArnEquals"]["secretsmanager:resource/AllowRotationLambdaArn"]["Sub"]
        assert name.endswith(f":function:{fixed}")
        assert set(actions(own)) == {
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetSecretValue",
            "secretsmanager:ListSecretVersionIds",
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecretVersionStage",
        }


def test_secrets_are_limited_to_prefixes_and_account(resources: dict[str, Any]) -> None:
    for statement in every_statement(resources):
        for resource in map(text_of_resource, as_list(statement["Resource"])):
            if ":secret:" in resource and statement["Sid"] not in EVERY_NAME:
                assert resource.endswith(":secret:${Prefixes}*")
                # The second and later prefixes have a wildcard for the account.
                assert "aws:ResourceAccount" in statement["Condition"]["StringEqualsIfExists"]


def test_a_tag_decides_where_the_name_does_not(resources: dict[str, Any]) -> None:
    of_secrets, of_keys = set(), set()
    for item in every_statement(resources):
        if "Tagged" not in item["Sid"]:
            continue
        tags = {key for key in item["Condition"]["StringEquals"] if "ResourceTag" in key}
        if actions(item)[0].startswith("kms:"):
            of_keys.add(item["Sid"])
            assert tags == {"aws:ResourceTag/rotators-stack"}
        else:
            of_secrets.add(item["Sid"])
            (tag,) = tags
            assert tag.startswith("secretsmanager:ResourceTag/rotators-")
    assert of_secrets | of_keys == {sid for sid in EVERY_NAME if "Tagged" in sid}


def test_no_secret_is_created_under_another_key(resources: dict[str, Any]) -> None:
    (creating,) = [
        item for item in statements(resources, "StoreRole") if "secretsmanager:CreateSecret" in actions(item)
    ]
    condition, required, _ = creating["Condition"]["ArnEquals"]["If"]
    assert condition == "HasKey"
    assert list(required) == ["secretsmanager:KmsKeyArn"]


def test_the_key_outlives_the_stack(resources: dict[str, Any]) -> None:
    key = resources["SecretsKey"]
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert key["Properties"]["EnableKeyRotation"] is True


def test_failed_rotations_are_reported(resources: dict[str, Any]) -> None:
    rule = resources["FailedRotations"]["Properties"]
    assert rule["EventPattern"] == {
        "source": ["aws.secretsmanager"],
        "detail-type": ["AWS Service Event via CloudTrail"],
        "detail": {"eventName": ["RotationFailed", "RotationAbandoned", "TestRotationFailed"]},
    }
    topic = {"If": ["CreatesTopic", {"Ref": "AlarmTopic"}, {"Ref": "AlarmTopicArn"}]}
    assert [target["Arn"] for target in rule["Targets"]] == [{"GetAtt": "NotifyFunction.Arn"}]
    for alarm in of_type(resources, "AWS::CloudWatch::Alarm").values():
        assert alarm["Properties"]["AlarmActions"] == [topic]


def test_alarms_and_dashboard_use_emitted_metrics(
    resources: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    with observed("rotate", rotator="r", step="finishSecret"):
        pass
    with contextlib.suppress(InvalidEvent), observed("rotate", rotator="r", step="setSecret"):
        raise InvalidEvent("no")
    emitted: set[tuple[str, tuple[str, ...]]] = set()
    for line in capsys.readouterr().out.splitlines():
        for directive in json.loads(line).get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Namespace"] == "rotators"
            for names in directive["Dimensions"]:
                emitted |= {(metric["Name"], tuple(sorted(names))) for metric in directive["Metrics"]}
    watched = set()
    for alarm in of_type(resources, "AWS::CloudWatch::Alarm").values():
        properties = alarm["Properties"]
        direct = [properties] if "MetricName" in properties else []
        indirect = [
            item["MetricStat"]["Metric"] for item in properties.get("Metrics", []) if "MetricStat" in item
        ]
        watched |= {
            (metric["MetricName"], tuple(sorted(item["Name"] for item in metric["Dimensions"])))
            for metric in direct + indirect
            if metric["Namespace"] == "rotators"
        }
    board = resources["Dashboard"]["Properties"]["DashboardBody"]["Sub"]
    for names, metric in re.findall(r"SEARCH\('\{rotators,([^}]+)\}.*?MetricName=\\\"(\w+)\\\"", board):
        watched.add((metric, tuple(sorted(names.split(",")))))
    assert {name for name, _ in watched} == {"StepFailed", "Rotated", "Duration"}
    assert watched <= emitted


def widgets(resources: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(resources["Dashboard"]["Properties"]["DashboardBody"]["Sub"])[
        "widgets"
    ]
    return found


def test_the_dashboard_is_json(resources: dict[str, Any]) -> None:
    for widget in widgets(resources):
        assert {"type", "x", "y", "width", "height", "properties"} == widget.keys()


def test_widgets_of_the_dashboard_do_not_overlap(resources: dict[str, Any]) -> None:
    taken = [
        (x, y)
        for widget in widgets(resources)
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24, "the grid has 24 columns"


def test_the_dashboard_begins_with_secrets_needing_attention(resources: dict[str, Any]) -> None:
    first, *others = widgets(resources)
    assert (first["type"], first["y"]) == ("custom", 0)
    assert first["properties"]["endpoint"] == "${WidgetFunction.Arn}"
    # Each call lists all secrets, so a changed size or time range makes none.
    assert first["properties"]["updateOn"] == {"refresh": True, "resize": False, "timeRange": False}
    assert [each["type"] for each in others] == ["metric"] * 4 + ["log", "alarm"]


def test_parameters_are_grouped_and_labelled(template: dict[str, Any]) -> None:
    interface = template["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template["Parameters"])
    assert set(interface["ParameterLabels"]) == set(template["Parameters"])
    assert all("Default" in parameter for parameter in template["Parameters"].values())


def test_the_published_version_is_the_package_s(template: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    published = template["Metadata"]["AWS::ServerlessRepo::Application"]
    assert published["SemanticVersion"] == project["version"]
    assert published["SpdxLicenseId"] == project["license"]


def test_keys_are_limited_to_two_services(resources: dict[str, Any]) -> None:
    for statement in every_statement(resources):
        if any(action.startswith("kms:") for action in actions(statement)):
            if statement["Sid"] in {"LookAtKeys", "LookUpKeys", "LookUpAliases", "ReadKeyPolicies"}:
                looking = ("Describe", "GetKeyPolicy", "List")
                assert all(action.removeprefix("kms:").startswith(looking) for action in actions(statement))
                continue
            if "kms:Sign" in actions(statement):
                assert statement["Resource"] == {"GetAtt": "ReceiptsKey.Arn"}
                continue
            condition = statement["Condition"]
            if statement["Sid"] in {"OpenSealedValues", "SealValues"}:
                # The functions use these keys themselves, and always with a name.
                assert list(condition) == ["StringLike"]
                assert list(condition["StringLike"]) == ["kms:EncryptionContext:SecretName"]
                continue
            (service,) = condition["StringEquals"]["kms:ViaService"].values()
            keys = {key for operator in condition.values() for key in operator}
            # DescribeKey has no encryption context, so with the condition it would never be allowed.
            if actions(statement) != ["kms:DescribeKey"]:
                of = {"secretsmanager": "SecretARN", "sns": "aws:sns:topicArn"}[service.partition(".")[0]]
                assert f"kms:EncryptionContext:{of}" in keys


def test_no_function_can_both_store_and_read(resources: dict[str, Any]) -> None:
    stores = {action for item in statements(resources, "StoreRole") for action in actions(item)}
    reads = {action for item in statements(resources, "RetrieveRole") for action in actions(item)}
    assert "secretsmanager:GetSecretValue" not in stores
    of_secrets = {action for action in reads if action.startswith("secretsmanager:")}
    assert of_secrets == {
        "secretsmanager:BatchGetSecretValue",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_logs_are_written_once_and_deleted_in_time(resources: dict[str, Any], name: str) -> None:
    logging = resources[name]["Properties"]["LoggingConfig"]
    assert logging["LogFormat"] == "Text", "the functions write JSON themselves"
    group = resources[logging["LogGroup"]["Ref"]]["Properties"]
    assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert (
        group["LogGroupName"]["Sub"] == f"/aws/lambda/{resources[name]['Properties']['FunctionName']['Sub']}"
    )


def variables(template: dict[str, Any]) -> set[str]:
    functions = of_type(template["Resources"], "AWS::Serverless::Function").values()
    places = [template["Globals"]["Function"], *(function["Properties"] for function in functions)]
    return {name for place in places for name in place.get("Environment", {}).get("Variables", {})}


def test_variables_are_ones_that_the_code_reads(template: dict[str, Any]) -> None:
    sources = [*(ROOT / "rotators").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    read = {name for name in variables(template) if f'"{name}"' in text}
    assert variables(template) <= read | READ_BY_POWERTOOLS


def test_parameters_are_used_and_explained(template: dict[str, Any]) -> None:
    text = (ROOT / "template.yaml").read_text(encoding="utf-8")
    for name, parameter in template["Parameters"].items():
        assert parameter["Description"]
        assert re.search(rf"!Ref {name}\b|\$\{{{name}\}}", text), f"{name} is used nowhere"


def test_outputs_name_the_functions(template: dict[str, Any]) -> None:
    named = {output["Value"].get("GetAtt") for output in template["Outputs"].values()}
    assert named >= {f"{name}.Arn" for name in FUNCTIONS}


def test_cloudformation_can_read_it() -> None:
    """CloudFormation does not support YAML aliases, according to its documentation. SAM's parser does."""
    events = yaml.parse((ROOT / "template.yaml").read_text(encoding="utf-8"), Loader)
    assert not [event for event in events if isinstance(event, yaml.AliasEvent)]


@pytest.mark.processes
@pytest.mark.skipif(shutil.which("sam") is None, reason="sam is not on PATH; `make validate` checks the same")
def test_sam_finds_no_fault() -> None:
    done = subprocess.run(
        ["sam", "validate", "--lint"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
