"""Behind PgBouncer: logins work, the pooler is detected, and no password is changed through it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rotators.core.errors import CredentialsRejected
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.postgres import PostgresEngine
from tests.pgbouncer import PgBouncer
from tests.world import World, new_password, started

AUTH_QUERY = {
    "auth_user": "postgres",
    "auth_query": "SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1",
}


@contextmanager
def bouncer_of(
    world: World, users: dict[str, str], settings: dict[str, str] | None = None
) -> Iterator[PgBouncer]:
    running = started(PgBouncer(world.server, users, settings))
    yield running
    running.stop()


def refusal_of_set(world: World, value: dict[str, Any]) -> str:
    """The error code with which setSecret refuses a new secret."""
    return world.refusal(world.secret(value)).full_code


def seen(value: dict[str, Any]) -> bool:
    with PostgresEngine().login(Secret(value), Settings()) as session:
        session.check()
        return bool(session.behind_pooler)


def test_a_server_is_not_taken_for_a_pooler(world: World) -> None:
    assert not seen(world.user())


def test_a_pooler_with_a_user_list_is_detected(world: World) -> None:
    user = world.user()
    with bouncer_of(world, {user["username"]: user["password"]}) as bouncer:
        assert seen(bouncer.secret(user))
        with pytest.raises(CredentialsRejected):
            seen(bouncer.secret(user, password=new_password()))


def test_a_pooler_that_looks_passwords_up_is_seen(world: World) -> None:
    user, admin = world.user(), world.admin()
    with bouncer_of(world, {"postgres": admin["password"]}, AUTH_QUERY) as bouncer:
        assert seen(bouncer.secret(user))


def test_a_pooler_that_asks_for_md5_is_seen(world: World) -> None:
    user = world.user()
    with bouncer_of(world, {user["username"]: user["password"]}, {"auth_type": "md5"}) as bouncer:
        assert seen(bouncer.secret(user))


def test_no_password_is_changed_through_a_pooler(world: World) -> None:
    """The pooler would still require the old password, so testSecret could not pass."""
    user = world.user()
    with bouncer_of(world, {user["username"]: user["password"]}) as bouncer:
        assert refusal_of_set(world, bouncer.secret(user)) == "target-refused/pooler"
    assert world.logs_in(user)


def test_passwords_change_directly_and_are_tested_through_poolers(world: World) -> None:
    user, admin = world.user(), world.admin()
    with bouncer_of(world, {"postgres": admin["password"]}, AUTH_QUERY) as bouncer:
        arn = world.secret({**bouncer.secret(user), "admin_port": user["port"]})
        new = world.rotate(arn)
        assert not seen({**new, "port": user["port"]})
        assert seen(new)


def test_testsecret_fails_for_a_pooler_without_the_password(
    world: World,
) -> None:
    user = world.user()
    with bouncer_of(world, {user["username"]: user["password"]}) as bouncer:
        arn = world.secret({**bouncer.secret(user), "admin_port": user["port"]})
        token = world.begun(arn)
        world.step("setSecret", arn, token)
        with pytest.raises(CredentialsRejected):
            world.step("testSecret", arn, token)
        pending = world.value(arn, "AWSPENDING")
    assert not seen({**pending, "port": user["port"]})


@pytest.mark.parametrize("known", [True, False])
def test_a_rejection_by_a_pooler_allows_no_reset(world: World, *, known: bool) -> None:
    """As on RDS, the admin must not read hashes, so it cannot find out that the password is correct."""
    user, admin = world.user(), world.user(options="CREATEROLE")
    world.sql(f'GRANT "{user["username"]}" TO "{admin["username"]}" WITH ADMIN OPTION')
    users = {admin["username"]: admin["password"], **({user["username"]: new_password()} if known else {})}
    with bouncer_of(world, users) as bouncer:
        chief = world.admin_secret(**bouncer.secret(admin))
        value = {**bouncer.secret(user), "strategy": "single", "masterarn": chief}
        assert refusal_of_set(world, value) == "target-refused/pooler"
    assert world.logs_in(user)
