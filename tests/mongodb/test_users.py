"""Users of MongoDB: their own rights and the admin's, databases, and clones."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from click.testing import CliRunner

from rotators.cli import cli
from rotators.core.errors import (
    CredentialsRejected,
    InvalidInput,
    RotatorsError,
    SecretFormatError,
    TargetRefused,
)
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mongodb import MongoEngine
from rotators.engines.mongodb.session import MongoSession
from rotators.engines.mongodb.users import MARK
from rotators.local.aws import LocalAws
from rotators.local.servers.mongodb import MongoServer
from rotators.testing._case import Kit
from rotators.testing._targets.mongodb import MongoTarget
from tests.world import new_password, unique

SHOP = [{"role": "readWrite", "db": "shop"}]


@contextmanager
def session(value: dict[str, Any]) -> Iterator[MongoSession]:
    with MongoEngine().login(Secret(value), Settings()) as found:
        yield found


def refusal(value: dict[str, Any], *call: str) -> RotatorsError:
    """The error of one of the session's methods, which shows no password."""
    with pytest.raises(RotatorsError) as caught, session(value) as found:
        getattr(found, call[0])(*call[1:])
    assert all(each not in str(caught.value) for each in (value["password"], *call[2:]) if "pw-" in each)
    assert caught.value.remedy
    return caught.value


def user(server: MongoServer, name: str = "", **fields: Any) -> dict[str, Any]:
    """Create a user, and return the secret's value for it."""
    name, password = name or unique("app"), new_password()
    server.create_user(name, password, **fields)
    database = {"dbname": fields["database"]} if "database" in fields else {}
    return server.secret(name, password, **database)


def shown(server: MongoServer, name: str, database: str = "admin") -> dict[str, Any]:
    """A user as the server shows it to an administrator."""
    found: dict[str, Any] = server.execute("usersInfo", {"user": name, "db": database})["users"][0]
    return found


def accepted(value: dict[str, Any]) -> bool:
    try:
        with session(value) as found:
            found.check()
    except CredentialsRejected:
        return False
    return True


def test_a_user_without_the_right_needs_an_admin(mongodb: MongoServer) -> None:
    value = user(mongodb, roles=[*SHOP, {"role": "no-own-password", "db": "admin"}])
    error = refusal(value, "set_credential", value["username"], new_password())
    assert error.full_code == "target-refused/admin-needed"
    assert "masterarn" in error.remedy
    assert accepted(value)


def test_the_admin_helps_a_user_without_the_right(aws: LocalAws, mongodb: MongoServer) -> None:
    value = user(mongodb, roles=[*SHOP, {"role": "no-own-password", "db": "admin"}])
    with (
        closing(MongoTarget(mongodb)) as target,
        Kit(aws, target, with_admin=True) as kit,
        kit.case(value=value) as case,
    ):
        assert accepted(case.rotate())
        assert not accepted(value)


def test_repair_lets_the_admin_help_such_a_user(aws: LocalAws, mongodb: MongoServer) -> None:
    value = user(mongodb, roles=[*SHOP, {"role": "no-own-password", "db": "admin"}])
    with (
        closing(MongoTarget(mongodb)) as target,
        Kit(aws, target, with_admin=True) as kit,
        kit.case(value=value) as case,
    ):
        # The older value logs in, and its stage must not move, because another key differs.
        wanted = {**case.current(), "password": new_password(), "dbClusterIdentifier": "another"}
        case.put(wanted, str(uuid.uuid4()), "AWSCURRENT")
        done = CliRunner().invoke(cli, ["repair", case.arn, "--idle"])
        assert (done.exit_code, accepted(case.current())) == (0, True), done.output


def test_a_reserved_key_in_a_secret_is_refused(aws: LocalAws, mongodb: MongoServer) -> None:
    with closing(MongoTarget(mongodb)) as target, Kit(aws, target) as kit, kit.case() as case:
        case.put({**case.first, "for_dbname": "shop"}, str(uuid.uuid4()), "AWSCURRENT")
        with pytest.raises(InvalidInput, match="'for_dbname' has no meaning"):
            case.step("createSecret", case.begin())


def test_an_admin_without_rights_changes_nothing(mongodb: MongoServer) -> None:
    value, other = user(mongodb), user(mongodb)
    for call in ("set_credential", "ensure_clone"):
        arguments = [other["username"], new_password()]
        if call == "ensure_clone":
            arguments.insert(1, f"{other['username']}_clone")
        assert refusal(value, call, *arguments).full_code == "target-refused/admin-rights"
    assert accepted(other)


def test_a_missing_user_is_named(mongodb: MongoServer) -> None:
    for call in (
        ("set_credential", unique("nobody"), new_password()),
        ("require_ordinary", unique("nobody")),
        ("ensure_clone", unique("nobody"), unique("clone"), new_password()),
        ("require_clone", unique("nobody"), unique("clone")),
    ):
        assert refusal(mongodb.secret(), *call).full_code == "target-refused/no-user"


def test_a_password_alone_changes_nothing_else(mongodb: MongoServer) -> None:
    value = user(mongodb, customData={"team": "shop"})
    before = shown(mongodb, value["username"])
    with session(value) as found:
        found.set_credential(value["username"], password := new_password())
    assert shown(mongodb, value["username"]) == before
    assert accepted({**value, "password": password})


@pytest.mark.parametrize("mechanisms", [["SCRAM-SHA-256"], ["SCRAM-SHA-1", "SCRAM-SHA-256"]])
def test_a_new_password_keeps_the_mechanisms(mongodb: MongoServer, mechanisms: list[str]) -> None:
    value = user(mongodb, mechanisms=mechanisms)
    name, clone = value["username"], f"{value['username']}_clone"
    with session(value) as found:
        found.set_credential(name, new_password())
    assert shown(mongodb, name)["mechanisms"] == mechanisms
    for _ in range(2):
        with session(mongodb.secret()) as admin:
            admin.set_credential(name, new_password())
            admin.ensure_clone(name, clone, new_password())
        assert shown(mongodb, name)["mechanisms"] == shown(mongodb, clone)["mechanisms"] == mechanisms


def test_the_database_distinguishes_equal_names(mongodb: MongoServer) -> None:
    here = user(mongodb)
    there = user(mongodb, here["username"], database="shop")
    assert accepted(here)
    assert accepted(there)
    with session({**mongodb.secret(), "for_dbname": "shop"}) as admin:
        admin.set_credential(here["username"], password := new_password())
    assert accepted(here)
    assert not accepted(there)
    assert accepted({**there, "password": password})


def test_a_clone_gets_the_originals_properties(mongodb: MongoServer) -> None:
    limits = [{"clientSource": ["127.0.0.0/8"]}]
    value = user(mongodb, customData={"team": "shop"}, authenticationRestrictions=limits)
    name, clone = value["username"], f"{value['username']}_clone"
    with session(mongodb.secret()) as admin:
        admin.ensure_clone(name, clone, password := new_password())
        admin.require_clone(name, clone)
        admin.require_clone(clone, name)
    found = shown(mongodb, clone)
    assert found["roles"] == SHOP
    assert found["customData"] == {"team": "shop", MARK: name}
    assert found["authenticationRestrictions"] == limits
    assert accepted({**value, "username": clone, "password": password})


def test_a_clone_follows_changes_of_the_original(mongodb: MongoServer) -> None:
    value = user(mongodb, authenticationRestrictions=[{"clientSource": ["127.0.0.1"]}])
    name, clone = value["username"], f"{value['username']}_clone"
    with session(mongodb.secret()) as admin:
        admin.ensure_clone(name, clone, new_password())
    roles = [{"role": "read", "db": "stock"}]
    mongodb.execute("updateUser", name, roles=roles, authenticationRestrictions=[])
    with session(mongodb.secret()) as admin:
        admin.ensure_clone(name, clone, new_password())
    found = shown(mongodb, clone)
    assert found["roles"] == roles
    assert not found["authenticationRestrictions"]


def test_a_name_alone_proves_no_clone(mongodb: MongoServer) -> None:
    value = user(mongodb)
    stranger = user(mongodb, f"{value['username']}_clone")
    names = value["username"], stranger["username"]
    for call in (("ensure_clone", *names, new_password()), ("require_clone", *names)):
        error = refusal(mongodb.secret(), *call)
        assert error.full_code == "target-refused/not-clone"
        assert MARK in error.remedy
    assert accepted(stranger)


@pytest.mark.parametrize("role", ["root", "userAdminAnyDatabase", "dbOwner"])
def test_administrators_are_not_ordinary(mongodb: MongoServer, role: str) -> None:
    value = user(mongodb, roles=[{"role": role, "db": "admin"}])
    error = refusal(mongodb.secret(), "require_ordinary", value["username"])
    assert error.full_code == "target-refused/administrator"


def test_check_names_the_missing_actions(mongodb: MongoServer) -> None:
    value = user(mongodb)
    with session(value) as found:
        assert "changePassword" in found.missing_for_reset(value["username"])
    with session(mongodb.secret()) as admin:
        assert not admin.missing_for_reset(value["username"])
        assert not admin.missing_for_clone(value["username"])


@pytest.mark.parametrize(
    "member",
    [
        {"dbname": 5},
        {"port": "x"},
        {"host": "mongodb+srv://cluster.example.com"},
        {"host": ["localhost"]},
        {"ssl": "perhaps"},
        {"username": ""},
        {"password": None},
        {"replicaSet": 1},
    ],
)
def test_a_wrong_member_is_a_format_error(mongodb: MongoServer, member: dict[str, Any]) -> None:
    value = {**mongodb.secret(), **member}
    with pytest.raises(SecretFormatError), session(value):
        pass


def test_another_replica_set_is_refused(mongodb: MongoServer) -> None:
    with (
        pytest.raises(TargetRefused, match="replica set"),
        session({**mongodb.secret(), "replicaSet": "rs0"}),
    ):
        pass
