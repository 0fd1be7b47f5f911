"""The decisions of a login: a version is used only for the target that it was stored for."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.core.errors import (
    CredentialsRejected,
)
from tests.client.histories import World, WrongPassword

ELSEWHERE: list[dict[str, object]] = [
    {"engine": "mysql"},
    {"host": "other"},
    {"port": 5433},
    {"port": "other"},
    {"ssl": False},
    {"ssl": "other"},
    {"sslrootcert": "other"},
    {"admin_host": "other"},
    {"admin_port": 5433},
]
SAME: list[dict[str, object]] = [
    {"port": 5432},
    {"port": "5432"},
    {"port": None},
    {"port": ""},
    {"host": "H"},
    {"engine": None},
    {"engine": "aurora-postgresql"},
    {"ssl": "True"},
    {"ssl": None},
    {"sslrootcert": None},
    {"admin_host": "h", "admin_port": "5432"},
    {"server_public_key": "read by logins without TLS only"},
    {"start_tls": True},
    {"dbname": "another database of the same server"},
]


@pytest.mark.parametrize("changed", ELSEWHERE)
@pytest.mark.parametrize("stage", ["pending", "previous"])
def test_version_for_another_target_is_never_used(changed: dict[str, object], stage: str) -> None:
    world = World(accepts={"v2"}, changes={"v2": changed})
    vars(world)[stage] = "v2"
    with pytest.raises(WrongPassword):
        world.connect()
    assert "v2" not in world.logins()
    assert world.notes["other-target"]


@pytest.mark.parametrize("changed", SAME)
def test_equal_target_in_other_spelling_is_used(changed: dict[str, object]) -> None:
    world = World(pending="v2", accepts={"v2"}, changes={"v2": changed})
    assert world.connect() == "v2"


@pytest.mark.parametrize("given", [set(), {"sslmode"}])
@pytest.mark.parametrize("current", [{"ssl": False}, {"ssl": False, "server_public_key": "its key"}])
def test_version_with_another_server_key_is_never_used(given: set[str], current: dict[str, object]) -> None:
    changes = {"v1": current, "v2": {"ssl": False, "server_public_key": "other"}}
    world = World(pending="v2", accepts={"v2"}, changes=changes)
    with pytest.raises(WrongPassword):
        world.connect(given=given)
    assert "v2" not in world.logins()


@given(
    st.dictionaries(
        st.sampled_from(sorted({key for changed in ELSEWHERE for key in changed})),
        st.sampled_from([None, True, False, 0, 1, 5432, [], {}, "", "h", "5432", "other", "False", "mysql"]),
    ),
)
def test_any_version_is_used_for_current_target_only(changed: dict[str, object]) -> None:
    world = World(pending="v2", accepts={"v2"}, changes={"v2": changed})
    with contextlib.suppress(WrongPassword):
        world.connect()
    if "v2" in world.logins():
        assert changed.get("host", "h") == "h"
        assert changed.get("port") in {None, "", 5432, "5432"}
        assert changed.get("ssl") not in {False, "False"}


@pytest.mark.parametrize(
    ("name", "changed"), [("host", {"host": "other"}), ("port", {"port": 1}), ("sslmode", {"ssl": False})]
)
def test_arguments_of_the_caller_are_not_compared(name: str, changed: dict[str, object]) -> None:
    world = World(pending="v2", accepts={"v2"}, changes={"v2": changed})
    assert world.connect(given={name}) == "v2"


def test_version_accepted_at_a_passed_host_stays_there() -> None:
    world = World(pending="v2", accepts={"v2"}, changes={"v2": {"host": "other"}})
    assert world.connect(given={"host"}) == "v2"
    with pytest.raises((WrongPassword, CredentialsRejected)):
        world.connect()
    assert world.logins().count("v2") == 1
    assert world.connect(given={"host"}) == "v2"
