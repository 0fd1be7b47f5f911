"""Rules over the inventory."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from rotators.aws import clients
from rotators.manage.errors import PolicyInvalid
from rotators.manage.policy import PRESETS, preset, read_policy
from tests.manage.conftest import Fleet, run

RULES = """
[[rule]]
id = "owner"
title = "Secrets have an owner"
select = { names = ["PREFIX"] }
require = { tags = ["owner"], rotation = true }

[[rule]]
id = "key"
level = "warning"
select = { names = ["PREFIX"], tags = ["!env=test"] }
require = { customer_key = true }
"""


def policy_file(folder: Path, text: str) -> str:
    path = folder / "policy.toml"
    path.write_text(text)
    return str(path)


def broken(output: str) -> set[tuple[str, str]]:
    """Rule and name of each finding."""
    return {(each["rule"], each["secret"].rpartition("/")[2]) for each in json.loads(output)["findings"]}


def test_secrets_that_break_rules_are_found(fleet: Fleet, tmp_path: Path) -> None:
    path = policy_file(tmp_path, RULES.replace("PREFIX", fleet.prefix))
    fleet.aws.enable_rotation(fleet.add("good", tags={"owner": "me"}))
    fleet.add("bad", tags={"env": "test"})
    result = run("policy", "check", path, "-o", "json")
    assert result.exit_code == 1
    assert broken(result.stdout) == {("owner", "bad"), ("key", "good")}
    assert json.loads(result.stdout)["applied"] == {"owner": 2, "key": 1}
    fleet.secrets.delete_secret(SecretId=f"{fleet.prefix}bad")
    assert run("policy", "check", path).exit_code == 0  # a warning is left


def test_a_deleted_secret_does_not_end_the_check(fleet: Fleet, tmp_path: Path) -> None:
    rule = f"[[rule]]\nid = 'a'\nselect = {{ names = ['{fleet.prefix}'] }}\nrequire = {{ private = true }}"
    names = [fleet.add("first"), fleet.add("second")]
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "secretsmanager:PutSecretValue",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    for name in names:
        fleet.secrets.put_resource_policy(SecretId=name, ResourcePolicy=policy)

    def delete(**_: object) -> None:
        if names:
            fleet.secrets.delete_secret(SecretId=names.pop(0), ForceDeleteWithoutRecovery=True)

    events = clients.secrets_lister().meta.events
    events.register("before-call.secretsmanager.ValidateResourcePolicy", delete)
    try:
        result = run("policy", "check", policy_file(tmp_path, rule), "--json")
    finally:
        events.unregister("before-call.secretsmanager.ValidateResourcePolicy", delete)
    assert [each["unknown"] for each in json.loads(result.stdout)["findings"]] == [True, True]


def test_reports_are_read_by_other_tools(fleet: Fleet, tmp_path: Path) -> None:
    path = policy_file(tmp_path, RULES.replace("PREFIX", fleet.prefix))
    name = fleet.add("bad")
    (run_,) = json.loads(run("policy", "check", path, "-o", "sarif").stdout)["runs"]
    assert {each["ruleId"] for each in run_["results"]} == {"owner", "key"}
    assert [each["id"] for each in run_["tool"]["driver"]["rules"]] == ["owner", "key"]
    suites = ET.fromstring(run("policy", "check", path, "-o", "junit").stdout)  # noqa: S314 - written by this project
    assert [suite.get("failures") for suite in suites] == ["2", "0"], "a warning fails no check"
    assert {case.get("name") for case in suites.iter("testcase")} == {name}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[[rule]]\nid = 'a'\nrequire = { rotation = true }\nlevl = 'note'", 4, "levl: there is no such key"),
        ("[[rule]]\nid = 'a'\nrequire = { rotations = true }", 3, "allowed are max_age"),
        ("[[rule]]\nid = 'a'\nrequire = { rotation = false }", 3, "can only be true"),
        ("[[rule]]\nid = 'a'\nrequire = { max_age = 90 }", 3, "max_age: it must be a text"),
        ("[[rule]]\nid = 'a'\nrequire = { max_age = '90' }", 3, "not a duration"),
        ("[[rule]]\nid = 'a'\nrequire = { tags = [1] }", 3, "list of texts"),
        ("[[rule]]\nid = 'a'\nselect = { names = 'x' }\nrequire = { rotation = true }", 3, "list of texts"),
        ("[[rule]]\nid = 'a'\nlevel = 'fatal'\nrequire = { rotation = true }", 3, "'fatal' is not one of"),
        ("[[rule]]\nid = 'a'\n", 1, "the key require is missing"),
        ("[[rule]]\nrequire = { rotation = true }", 1, "the key id is missing"),
        ("[rule]\nid = 'a'", 1, "there is no [[rule]]"),
        ("rules = 1", 1, "there is no such key"),
        (
            "[[rule]]\nid = 'a'\nrequire.rotation = true\n\n[[rule]]\nid = 'a'\nrequire.rotation = true",
            6,
            "two rules have the id",
        ),
        ("[[rule]]\nid = 'a'\nrequire = { }", 3, "it is empty"),
        ("[[rule]]\nid = ''\nrequire = { rotation = true }", 2, "id: it is empty"),
        ("[[rule]]\nid = 'a'\nrequire = { tags = [] }", 3, "list of texts"),
        ("rule = []", 1, "there is no [[rule]]"),
        ("", 1, "there is no [[rule]]"),
        ("title = 'x'\n[[rule]]\nid = 'a'", 1, "title: there is no such key in the file; allowed are rule"),
        ("[[rule]]\nid = 'a'\ntitle = 'levl = 1'\nlevl = 1", 4, "levl: there is no such key"),
        ("[[rule]]\nid = 'a'\ntitle = '''\nlevl = 1\n'''\nlevl = 1", 6, "levl: there is no such key"),
        ("[[rule]]\nid = 'a'\nselect = { tags = ['x'] }\nrequire = { tags = [1] }", 4, "tags: it must be"),
        (
            "[[rule]]\nid = 'a'\n[rule.select]\ntags = ['x']\n[rule.require]\ntags = [1]",
            6,
            "tags: it must be",
        ),
        (
            "[[rule]]\nid = 'a'\n[rule.select]\nstale = [\n'30d',\n'x',\n]\n",
            4,
            "stale: 'x' is not a duration",
        ),
        ("[[rule]]\nid = 'a'\nselect = { tags = ['=x'] }\nrequire = { rotation = true }", 3, "is not a tag"),
        ("[[rule]]\nid = 'a'\nselect = { names = [''] }\nrequire = { rotation = true }", 3, "name is empty"),
    ],
)
def test_a_wrong_policy_names_line_and_key(tmp_path: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        read_policy(policy_file(tmp_path, text))
    assert f"line {line}, " in str(caught.value)
    assert words in str(caught.value)


def test_a_syntax_error_is_a_policy_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid, match="line 1"):
        read_policy(policy_file(tmp_path, "[[rule]\n"))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_checked(fleet: Fleet, name: str) -> None:
    fleet.add("app")
    assert len(preset(name).rules) >= 5
    document = json.loads(run("policy", "check", "--preset", name, "-o", "json").stdout)
    assert document["checked"] >= 1
    assert not [each for each in document["findings"] if each["unknown"]]
