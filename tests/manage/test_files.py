"""Export, import, comparison, and the environment of programs."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotators.aws import clients
from rotators.core.secret import Secret
from rotators.manage.environment import variables
from rotators.manage.errors import (
    EnvironmentUnsuited,
    FileUnreadable,
    FormatUnsuited,
    TerminalRefused,
    WouldOverwrite,
)
from rotators.manage.formats import OF_MANY, OF_ONE, read, written
from tests.manage.conftest import Fleet, run
from tests.world import new_password

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.one_of(TEXTS, st.integers(), st.booleans(), st.none(), st.lists(TEXTS, max_size=2))


@pytest.mark.parametrize("form", OF_MANY)
@settings(max_examples=40)
@given(secrets=st.dictionaries(NAMES, st.one_of(TEXTS, st.binary(max_size=9)), min_size=1, max_size=3))
def test_files_of_many_return_the_written_values(form: str, secrets: dict[str, str | bytes]) -> None:
    assert read(form, written(form, secrets), None) == secrets


@pytest.mark.parametrize("form", OF_MANY)
@settings(max_examples=40)
@given(members=st.dictionaries(NAMES, VALUES, min_size=1))
def test_files_keep_the_members_of_objects(form: str, members: dict[str, object]) -> None:
    (content,) = read(form, written(form, {"name": json.dumps(members)}), None).values()
    assert json.loads(content) == members


@pytest.mark.parametrize("form", OF_ONE)
@settings(max_examples=40)
@given(members=st.dictionaries(NAMES, TEXTS, min_size=1))
def test_files_of_one_return_its_members(form: str, members: dict[str, str]) -> None:
    text = written(form, {"name": json.dumps(members)})
    (content,) = read(form, text, "name").values()
    assert json.loads(content) == members


def test_numbers_keep_their_digits_in_json() -> None:
    assert read("json", written("json", {"a": '{"rate":1.10}'}), None) == {"a": '{"rate":1.10}'}


def test_answers_of_vault_are_read() -> None:
    for answer in (
        {"request_id": "r", "data": {"data": {"a": "b"}, "metadata": {}}},
        {"request_id": "r", "data": {"a": "b"}},
        {"data": {"a": "b"}},
        {"a": "b"},
    ):
        assert read("vault", json.dumps(answer), "name") == {"name": '{"a":"b"}'}
    assert read("vault", '{"data":{"a":1},"x":2}', "name") == {"name": '{"data":{"a":1},"x":2}'}


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("json", "{"),
        ("json", "[]"),
        ("json", "{}"),
        ("json", '{"a":{"$binary":"%"}}'),
        ("json", '{"a":"one","a":"two"}'),
        ("json", '{"a":{"b":1,"b":2}}'),
        ("yaml", "a: one\na: two\n"),
        ("yaml", "a:\n  b: 1\n  b: 2\n"),
        ("yaml", "a: 2026-11-26\n"),
        ("yaml", "a:\n  b: 2026-11-26\n"),
        ("yaml", "a: [\n"),
        ("yaml", "- a\n"),
        ("yaml", "!!python/object:os.system {}\n"),
    ],
)
def test_a_damaged_file_is_refused_without_its_text(form: str, text: str) -> None:
    with pytest.raises(FileUnreadable) as caught:
        read(form, text, None)
    assert text not in str(caught.value)


@pytest.mark.parametrize("merge", ["", "<<: "])
def test_aliases_of_aliases_are_refused(merge: str) -> None:
    lines = ["a0: &a0 {name: value}"]
    for number in range(1, 40):
        last = f"*a{number - 1}"
        both = f"[{last}, {last}]"
        lines.append(f"a{number}: &a{number} {{{merge or 'both: '}{both}}}")
    with pytest.raises(FileUnreadable):
        read("yaml", "\n".join(lines), None)


def test_a_value_that_contains_itself_is_refused() -> None:
    with pytest.raises(FileUnreadable):
        read("yaml", "a: &a\n  b: *a\n", None)


def test_an_alias_is_replaced_by_its_value() -> None:
    text = "a: &a {host: db, port: 1}\nb: *a\nc: {<<: *a, port: 2}\n"
    one, other = '{"host":"db","port":1}', '{"host":"db","port":2}'
    assert read("yaml", text, None) == {"a": one, "b": one, "c": other}


def test_a_file_of_another_format_is_refused() -> None:
    for text in ('{\n  "a": "b"\n}\n', "A\n", "a b=c\n"):
        with pytest.raises(FileUnreadable):
            read("dotenv", text, "name")


def test_formats_of_one_secret_refuse_others() -> None:
    for secrets in ({"a": "{}", "b": "{}"}, {"a": "text"}, {"a": b"\0"}, {"a": '{"two words":1}'}):
        with pytest.raises(FormatUnsuited):
            written("dotenv", secrets)
    for form, name in (("json", "name"), ("dotenv", None)):
        with pytest.raises(FormatUnsuited):
            read(form, "a=b", name)


def test_an_export_is_private_and_imported_again(fleet: Fleet, tmp_path: Path) -> None:
    file, password = tmp_path / "secrets.json", new_password()
    file.write_text("older")
    file.chmod(0o644)
    fleet.add("app", {"password": password})
    result = run("export", "--name", fleet.prefix, "-o", str(file))
    assert result.exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    fleet.secrets.put_secret_value(SecretId=f"{fleet.prefix}app", SecretString="changed")
    refused = run("import", str(file), "--yes")
    assert isinstance(refused.exception, WouldOverwrite)
    assert f"{fleet.prefix}app" in refused.output or f"{fleet.prefix}app" in str(refused.exception)
    assert fleet.value("app") == "changed"
    assert run("import", str(file), "--overwrite").exit_code == 1
    assert fleet.value("app") == "changed"
    assert run("import", str(file), "--overwrite", "--yes").exit_code == 0
    assert json.loads(fleet.value("app")) == {"password": password}
    again = run("import", str(file), "--yes")
    assert (again.exit_code, password in result.output + refused.output + again.output) == (0, False)


def test_a_rotation_under_way_is_not_abandoned(fleet: Fleet, tmp_path: Path) -> None:
    """UG:cloudtrail_log_entries, RotationAbandoned: a new value makes the service take AWSPENDING off."""
    name = fleet.add("app", "first")
    fleet.secrets.put_secret_value(SecretId=name, SecretString="new", VersionStages=["AWSPENDING"])
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({name: "imported"}))
    result = run("import", str(file), "--overwrite", "--yes", "--json")
    (change,) = json.loads(result.stdout)["changes"]
    assert change["error"]["code"] == "rotation-state/rotation-in-progress"
    assert fleet.value("app") == "first"


def test_a_value_of_another_writer_is_kept(fleet: Fleet, tmp_path: Path) -> None:
    name = fleet.add("app", "first")
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({name: "imported"}))

    def write(model: Any, **_: object) -> None:
        if model.name == "DescribeSecret":  # after the plan
            fleet.secrets.put_secret_value(SecretId=name, SecretString="rotated")

    events = clients.secrets_lister().meta.events
    events.register("before-call.secretsmanager", write)
    try:
        result = run("import", str(file), "--overwrite", "--yes", "--json")
    finally:
        events.unregister("before-call.secretsmanager", write)
    (change,) = json.loads(result.stdout)["changes"]
    assert (change["state"], change["error"]["code"]) == ("refused", "version-conflict")
    assert fleet.value("app") == "rotated"


def test_new_secrets_need_no_overwrite(fleet: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "app.env"
    file.write_text("USER='app'\nexport PORT=5432\n# comment\n")
    name = f"{fleet.prefix}new"
    assert run("import", str(file), "--format", "dotenv", "--to", name, "--yes").exit_code == 0
    assert json.loads(fleet.value("new")) == {"USER": "app", "PORT": "5432"}


def test_an_export_replaces_a_file_that_others_read(fleet: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text("old")
    file.chmod(0o644)
    with file.open() as opened:
        assert run("export", fleet.add("app"), "-o", str(file)).exit_code == 0
        assert opened.read() == "old"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["secrets.json"]


def test_an_export_leaves_the_mode_of_pipes(fleet: Fleet, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o640)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert run("export", fleet.add("app"), "-o", str(pipe)).exit_code == 0
    assert b"value" in os.read(reader, 1000)
    os.close(reader)
    assert stat.S_IMODE(pipe.stat().st_mode) == 0o640


def test_an_export_through_a_link_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert run("export", fleet.add("app"), "-o", str(tmp_path / "link")).exit_code == 1
    assert not (tmp_path / "target").exists()


def test_a_terminal_gets_no_value_by_mistake(fleet: Fleet) -> None:
    name = fleet.add("app", {"password": new_password()})
    leader, follower = os.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "rotators", "export", name],
        stdout=follower,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(follower)
    os.close(leader)
    assert done.returncode == 1
    assert TerminalRefused.code in done.stderr


def test_the_program_gets_variables_and_ends_the_command(fleet: Fleet) -> None:
    name = fleet.add("app", {"user-name": "app", "port": 5432, "nested": {"a": [1]}})
    program = "import os,sys; print(os.environ['DB_USER_NAME'], os.environ['DB_PORT']); sys.exit(7)"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "rotators",
            "exec",
            "--prefix",
            "DB_",
            name,
            "--",
            sys.executable,
            "-c",
            program,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "app 5432\n")


def test_a_program_is_found_with_the_own_path(fleet: Fleet, tmp_path: Path) -> None:
    false_program = tmp_path / "env"
    false_program.write_text("#!/bin/sh\necho false program\n")
    false_program.chmod(0o755)
    name = fleet.add("app", {"place": str(tmp_path)})
    done = subprocess.run(
        [sys.executable, "-m", "rotators", "exec", "--map", "PATH=place", name, "--", "env"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"PATH={tmp_path}" in done.stdout.splitlines()


@pytest.mark.parametrize("changed", ['{"a":true}', '{"a":1.0}', '{"a":1,"b":""}', '{"a":1,"b":null}'])
def test_a_small_difference_is_not_ignored(fleet: Fleet, tmp_path: Path, changed: str) -> None:
    name, file = fleet.add("app", '{"a":1}'), tmp_path / "secrets.json"
    file.write_text(f'{{"{name}": {changed}}}')
    assert isinstance(run("import", str(file), "--yes").exception, WouldOverwrite)
    file.write_text(f'{{"{name}": {{ "a" : 1 }}}}')
    assert run("import", str(file), "--yes").exit_code == 0


def test_ends_of_lines_survive_an_import(fleet: Fleet, tmp_path: Path) -> None:
    file, name = tmp_path / "app.env", f"{fleet.prefix}app"
    file.write_bytes(b"A='one\r\ntwo\rthree'\n")
    assert run("import", str(file), "--format", "dotenv", "--to", name, "--yes").exit_code == 0
    assert json.loads(fleet.value("app")) == {"A": "one\r\ntwo\rthree"}


def test_members_become_variables() -> None:
    secret = Secret({"user": "u", "on": True, "list": [1], "none": None, "empty": ""})
    ordinary = {"ldap_host": "h", "github_token": "t", "node_id": "n", "terminal": "1"}
    found = {"LDAP_HOST": "h", "GITHUB_TOKEN": "t", "NODE_ID": "n", "TERMINAL": "1"}
    assert variables(Secret(ordinary), {}, "") == found
    assert variables(secret, {}, "P_") == {"P_USER": "u", "P_ON": "true", "P_EMPTY": ""}
    assert variables(secret, {"L": "list", "N": "none"}, "") == {"L": "[1]", "N": "null"}


@pytest.mark.parametrize(
    ("members", "mapping"),
    [
        ({"a": "x"}, {"A": "b"}),
        ({"a": "x"}, {"1": "a"}),
        ({"a": "\0"}, {}),
        ({"a-b": "x", "a_b": "y"}, {}),
        ({"1": "x"}, {}),
        ({"path": "/tmp/x"}, {}),
        ({"home": "/tmp/x"}, {}),
        ({"ld_preload": "x.so"}, {}),
        ({"pythonpath": "x"}, {}),
        ({"java_tool_options": "x"}, {}),
        ({"ps4": "$(id)"}, {}),
        ({"shellopts": "xtrace"}, {}),
        ({"glibc_tunables": "x"}, {}),
        ({"editor": "x"}, {}),
        ({"aws_endpoint_url": "x"}, {}),
        ({"a": "\ud800"}, {}),
    ],
)
def test_unsuited_members_start_no_program(members: dict[str, object], mapping: dict[str, str]) -> None:
    with pytest.raises(EnvironmentUnsuited):
        variables(Secret(members), mapping, "")


def test_a_difference_shows_members_only(fleet: Fleet) -> None:
    old, new = new_password(), new_password()
    name = fleet.add("app", {"password": old, "host": "h", "gone": 1})
    fleet.secrets.put_secret_value(
        SecretId=name, SecretString=json.dumps({"password": new, "host": "h", "here": 1})
    )
    result = run("diff", name, "--json")
    states = {each["member"]: each["state"] for each in json.loads(result.stdout)["members"]}
    assert states == {"gone": "removed", "here": "added", "host": "same", "password": "changed"}
    text = result.output + run("diff", name).output
    assert old not in text
    assert new not in text
