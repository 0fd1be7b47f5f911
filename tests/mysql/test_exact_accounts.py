"""A name in a secret is exactly one user's, whatever the server's own comparison takes for equal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from rotators.core.errors import RotatorsError
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mysql.mariadb import MariaDbEngine
from rotators.engines.mysql.mariadb_session import MariaDbSession
from tests.mysql.conftest import MariaDbWorld
from tests.world import STEPS, new_password

LOOKALIKES = ["{}@%", "{} ", "{}@127.%", "%"]


def rotates(world: MariaDbWorld, arn: str) -> bool:
    token = world.begin(arn)
    try:
        for step in STEPS:
            world.step(step, arn, token)
    except RotatorsError:
        return False
    return True


@pytest.mark.parametrize("strategy", ["single", "dual", "alternating"])
@pytest.mark.parametrize("name", LOOKALIKES)
def test_a_name_that_looks_like_anothers_changes_nothing(
    world: MariaDbWorld, name: str, strategy: str
) -> None:
    victim = world.account()
    for password in (victim["password"], new_password()):
        planted = {
            **victim,
            "username": name.format(victim["username"]),
            "password": password,
            "masterarn": world.admin_secret(),
            "strategy": strategy,
        }
        assert not rotates(world, world.secret(planted))
    assert world.logs_in(victim)
    names = world.run(
        "SELECT User FROM mysql.user WHERE LEFT(User, %s) = %s", len(victim["username"]), victim["username"]
    )
    assert names == [(victim["username"],)]


def test_an_admin_of_the_same_kind_matches_no_other_account(world: MariaDbWorld) -> None:
    """Each move of an admin's session that takes a user."""
    victim = world.account()
    user = victim["username"]
    with MariaDbEngine().login(Secret(world.admin()), Settings()) as session:
        for name in (f"{user} ", f"{user}@%", user.upper()):
            for move in _moves(session, name, user):
                with pytest.raises(RotatorsError, match="there is no user"):
                    move()
    assert world.logs_in(victim)


def _moves(session: MariaDbSession, name: str, user: str) -> list[Callable[[], None]]:
    return [
        partial(session.set_credential, name, new_password()),
        partial(session.set_pair, name, new_password(), new_password()),
        partial(session.require_ordinary, name),
        partial(session.require_resettable, name, [], tls=True),
        partial(session.require_clone, name, user),
        partial(session.require_clone, user, name),
        partial(session.ensure_clone, name, f"{name}_clone", new_password()),
    ]


def test_an_account_of_a_session_is_taken(world: MariaDbWorld) -> None:
    near = world.account(host="127.%")
    far = world.account(near["username"], host="%")
    engine = MariaDbEngine()
    with engine.login(Secret(near), Settings()) as session:
        account = session.account
    password = new_password()
    with engine.login(Secret(world.admin()), Settings()) as session:
        session.set_credential(account, password)
        with pytest.raises(RotatorsError, match="several accounts"):
            session.set_credential(near["username"], new_password())
    assert world.logs_in({**near, "password": password})
    world.run(f"DROP USER {world.written(near['username'], '127.%')}")
    assert world.logs_in(far)
