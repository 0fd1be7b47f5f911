"""Strategy `dual` on a real MariaDB without an admin: the user sets both passwords itself."""

from __future__ import annotations

import pytest

from rotators.core.errors import CredentialsRejected
from tests.mysql.conftest import MariaDbWorld
from tests.world import new_password


def test_the_error_names_the_users_missing_right(world: MariaDbWorld) -> None:
    user = {**world.account(), "strategy": "dual"}
    arn = world.secret(user)
    world.refusal(arn, "CREATE USER")
    world.run(f"GRANT CREATE USER ON *.* TO {world.written(user['username'])}")
    assert world.logs_in(world.rotate(arn))
    assert world.logs_in(user)


def test_without_an_admin_the_error_names_tried_versions(world: MariaDbWorld) -> None:
    user = {**world.account(), "strategy": "dual"}
    arn = world.secret(user)
    world.reset(user["username"], new_password())
    token = world.begun(arn)
    with pytest.raises(CredentialsRejected, match="rejected with current, pending"):
        world.step("setSecret", arn, token)
