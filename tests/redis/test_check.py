"""`rotators check` on Redis: the admin's rights, the nodes, and what a restart keeps."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from rotators.cli import cli
from rotators.core.errors import IdentityMismatch
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.redis import RedisEngine
from rotators.local.servers.redis import RedisServer, password_hash
from tests.redis.nodes import cluster, paused, primary_and_replica, running
from tests.world import new_password, remembered, unique

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws

pytestmark = pytest.mark.processes

RIGHTS = (
    "+acl|getuser",
    "+acl|setuser",
    "+acl|save",
    "+acl|whoami",
    "+acl|dryrun",
    "+config|rewrite",
    "+config|get",
    "+config|set",
    "+info",
    "+cluster|nodes",
)


def create(nodes: list[RedisServer], *rules: str) -> dict[str, Any]:
    """Create a user on all nodes, and return its value for a secret."""
    name, password = unique("user"), new_password()
    for node in nodes:
        node.acl("SETUSER", name, "on", password_hash(password), *rules)
    return nodes[0].secret(name, password)


def stored(aws: LocalAws, value: dict[str, Any]) -> str:
    client = aws.client("secretsmanager")
    return str(client.create_secret(Name=unique("check"), SecretString=json.dumps(value))["ARN"])


def checked(aws: LocalAws, value: dict[str, Any], admin: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The checks of a secret, by name."""
    arn = stored(aws, {**value, "masterarn": stored(aws, admin)})
    document = json.loads(CliRunner().invoke(cli, ["check", arn, "--json"]).stdout)
    return {each["name"]: each for each in document["checks"]}


def failures(checks: dict[str, dict[str, Any]]) -> list[str]:
    return [name for name, check in checks.items() if check["result"] == "failed"]


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[RedisServer]]:
    with cluster() as formed:
        yield formed


@pytest.mark.parametrize("strategy", ["dual", "single"])
def test_documented_rights_are_ready(aws: LocalAws, nodes: list[RedisServer], strategy: str) -> None:
    value, admin = create(nodes, "~*", "+@read"), create(nodes, "-@all", *RIGHTS)
    before = [node.acl("GETUSER", value["username"]) for node in nodes]
    checks = checked(aws, {**value, "strategy": strategy}, admin)
    assert failures(checks) == []
    assert checks["the server accepts changes"]["result"] == "ok"
    assert checks["a restart keeps the password"]["result"] == "ok"
    assert [node.acl("GETUSER", value["username"]) for node in nodes] == before


@pytest.mark.parametrize("missing", ["+acl|setuser", "+acl|save", "+config|rewrite"])
def test_a_missing_right_is_reported(aws: LocalAws, nodes: list[RedisServer], missing: str) -> None:
    admin = create(nodes, "-@all", *(right for right in RIGHTS if right != missing))
    checks = checked(aws, create(nodes, "+@read"), admin)
    assert failures(checks) == ["admin rights"]
    assert checks["admin rights"]["detail"] == f"the admin lacks {missing}"


@pytest.mark.parametrize("missing", ["+acl|getuser", "+info", "+cluster|nodes"])
def test_a_missing_right_to_read_is_reported(aws: LocalAws, nodes: list[RedisServer], missing: str) -> None:
    admin = create(nodes, "-@all", *(right for right in RIGHTS if right != missing))
    checks = checked(aws, create(nodes, "+@read"), admin)
    assert missing in checks[failures(checks)[0]]["next"]


def test_a_right_missing_on_one_node_is_reported(aws: LocalAws, nodes: list[RedisServer]) -> None:
    admin = create(nodes, "-@all", *RIGHTS)
    nodes[2].acl("SETUSER", admin["username"], "-acl|setuser")
    assert failures(checked(aws, create(nodes, "+@read"), admin)) == ["admin rights"]


def test_a_user_missing_on_one_node_is_reported(aws: LocalAws, nodes: list[RedisServer]) -> None:
    value = create(nodes, "+@read")
    nodes[1].acl("DELUSER", value["username"])
    checks = checked(aws, value, nodes[0].secret())
    assert "there is no user" in checks[failures(checks)[0]]["detail"]
    assert str(nodes[1].port) in checks[failures(checks)[0]]["detail"]


def test_a_user_without_password_is_reported(aws: LocalAws, nodes: list[RedisServer]) -> None:
    checks = checked(aws, create(nodes, "+@read", "nopass"), nodes[0].secret())
    assert "no-password" in checks[failures(checks)[0]]["detail"]


def test_a_node_outside_the_allowed_targets_is_reported(nodes: list[RedisServer]) -> None:
    value = create(nodes, "+@read")
    settings = Settings.from_environment({"ALLOWED_TARGETS": f"localhost:{nodes[0].port}"})
    with (
        pytest.raises(IdentityMismatch, match="is not in ALLOWED_TARGETS"),
        RedisEngine().login(Secret(nodes[0].secret()), settings) as session,
    ):
        session.missing_for_reset(value["username"])


def test_replicas_are_reported(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    with primary_and_replica(remembered("the-password-of-default")) as pair:
        value = create(pair, "+@read")
        assert failures(checked(aws, value, pair[0].secret())) == []
        moved = {"port": pair[1].port}
        checks = checked(aws, value | moved, pair[0].secret() | moved)
        assert failures(checks)[0] == "the server accepts changes"
        monkeypatch.setattr("rotators.logins.channel.CONNECT_SECONDS", 0.5)
        with paused(pair[1]):
            checks = checked(aws, value, pair[0].secret())
        assert "target-unavailable" in checks[failures(checks)[0]]["detail"]


class WithoutFiles(RedisServer):
    """A server that gets its settings as arguments, so it has no file to save its users in."""

    def _command(self) -> list[str]:
        program, file = super()._command()
        lines = [line.partition(" ") for line in Path(file).read_text().splitlines()]
        return [program, *(word for name, _, rest in lines for word in (f"--{name}", *shlex.split(rest)))]


def test_a_server_that_forgets_its_users_is_reported(aws: LocalAws) -> None:
    with running(WithoutFiles()) as server:
        checks = checked(aws, create([server], "+@read"), server.secret())
    assert failures(checks) == ["a restart keeps the password"]
    assert str(server.port) in checks["a restart keeps the password"]["detail"]


def test_an_acl_file_needs_no_right_to_rewrite(aws: LocalAws) -> None:
    with running(RedisServer(acl_file=True)) as server:
        admin = create([server], "-@all", *(right for right in RIGHTS if right != "+config|rewrite"))
        assert failures(checked(aws, create([server], "+@read"), admin)) == []


def test_rights_are_checked_without_dryrun(aws: LocalAws, nodes: list[RedisServer]) -> None:
    rights = [right for right in RIGHTS if right != "+acl|dryrun"]
    value, admin = create(nodes, "+@read"), create(nodes, "-@all", *rights)
    assert failures(checked(aws, value, admin)) == []
    nodes[0].acl("SETUSER", admin["username"], "-acl|setuser")
    assert failures(checked(aws, value, admin)) == ["admin rights"]
