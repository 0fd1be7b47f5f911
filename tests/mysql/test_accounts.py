"""Accounts of MariaDB: a name with a host. A rotation changes only the account that logs in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from rotators.core.errors import RotatorsError
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mysql.accounts import AccountSession
from rotators.engines.mysql.mariadb import MariaDbEngine
from tests.mysql.conftest import MariaDbWorld
from tests.world import new_password, unique


def test_only_the_account_that_logs_in_changes(world: MariaDbWorld) -> None:
    """The server selects the closest host pattern; the other account keeps its password."""
    name = unique("app")
    world.account(name, host="%")
    before = world.run("SELECT authentication_string FROM mysql.user WHERE User=%s AND Host='%%'", name)
    arn = world.secret(world.account(name, host="127.%"))
    assert world.logs_in(world.rotate(arn))
    assert world.ask(world.value(arn), "SELECT CURRENT_USER()") == [(f"{name}@127.%",)]
    assert (
        world.run("SELECT authentication_string FROM mysql.user WHERE User=%s AND Host='%%'", name) == before
    )


def test_a_right_on_a_pattern_makes_no_administrator(world: MariaDbWorld) -> None:
    user = world.account(grants=("GRANT SELECT ON `app%`.* TO {}",))
    arn = world.secret({**user, "masterarn": world.admin_secret(), "strategy": "single"})
    world.reset(user["username"], new_password())
    world.rotate(arn)
    assert world.logs_in(world.value(arn))


def test_ambiguous_accounts_are_not_reset_by_the_admin(world: MariaDbWorld) -> None:
    user = world.account()
    world.account(user["username"], host="10.%")
    arn = world.secret({**user, "masterarn": world.admin_secret(), "strategy": "single"})
    world.reset(user["username"], new_password())
    world.refusal(arn, "several accounts")


@pytest.mark.parametrize(
    "grant",
    [
        "GRANT CREATE USER ON *.* TO {}",
        "GRANT SELECT ON *.* TO {}",
        "GRANT USAGE ON *.* TO {} WITH GRANT OPTION",
        "GRANT UPDATE ON mysql.* TO {}",
        "GRANT UPDATE ON `m%`.* TO {}",
        "GRANT PROXY ON root@'%' TO {}",
        "GRANT boss TO {}",
    ],
)
def test_an_administrator_with_unknown_password_is_not_reset(world: MariaDbWorld, grant: str) -> None:
    world.run("CREATE OR REPLACE ROLE boss")
    world.run("GRANT RELOAD ON *.* TO boss")
    victim = world.account(grants=(grant,))
    arn = world.secret(
        {**victim, "password": new_password(), "masterarn": world.admin_secret(), "strategy": "single"}
    )
    world.refusal(arn, "administrator")
    assert world.logs_in(victim)


def test_the_account_that_logs_in_gets_two_passwords(world: MariaDbWorld) -> None:
    user = world.account(host="127.%")
    other = world.account(user["username"], host="%")
    arn = world.secret({**user, "masterarn": world.admin_secret(), "strategy": "dual"})
    new = world.rotate(arn)
    assert world.logs_in(new)
    assert world.logs_in(user)
    plain = world.run(
        "SELECT JSON_CONTAINS_PATH(Priv, 'one', '$.auth_or') FROM mysql.global_priv"
        " WHERE User = %s ORDER BY Host",
        other["username"],
    )
    assert plain == [(0,), (1,)]


def test_account_names_match_exactly_in_every_admin_statement(world: MariaDbWorld) -> None:
    """Each method of an admin's session that takes a user."""
    victim = world.account()
    user = victim["username"]
    with MariaDbEngine().login(Secret(world.admin()), Settings()) as session:
        for name in (f"{user} ", f"{user}@%", user.upper()):
            for move in _moves(session, name, user):
                with pytest.raises(RotatorsError, match="there is no user"):
                    move()
    assert world.logs_in(victim)


def _moves(session: AccountSession, name: str, user: str) -> list[Callable[[], None]]:
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
