"""Behind PgBouncer: logins work, the pooler is seen, and no password is changed through it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rotators.core.errors import CredentialsRejected, TargetRefused
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
    """The code with which setSecret refuses a new secret."""
    arn = world.secret(value)
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused) as caught:
        world.step("setSecret", arn, token)
    return caught.value.full_code


def seen(value: dict[str, Any]) -> bool:
    with PostgresEngine().login(Secret(value), Settings()) as session:
        session.check()
        return session.behind_pooler


def test_a_server_is_not_taken_for_a_pooler(world: World) -> None:
    assert not seen(world.user())


def test_a_pooler_with_a_userlist_is_seen_although_its_salt_differs_in_each_exchange(world: World) -> None:
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
    """It would go on asking for the old one, and testSecret could not pass."""
    user = world.user()
    with bouncer_of(world, {user["username"]: user["password"]}) as bouncer:
        assert refusal_of_set(world, bouncer.secret(user)) == "target-refused/pooler"
    assert world.logs_in(user)


def test_a_rotation_changes_the_password_at_the_server_and_tests_it_through_the_pooler(world: World) -> None:
    user, admin = world.user(), world.admin()
    with bouncer_of(world, {"postgres": admin["password"]}, AUTH_QUERY) as bouncer:
        arn = world.secret({**bouncer.secret(user), "admin_port": user["port"]})
        new = world.rotate(arn)
        assert not seen({**new, "port": user["port"]})
        assert seen(new)


def test_a_pooler_that_does_not_know_the_new_password_stops_testsecret_and_the_next_rotation_goes_on(
    world: World,
) -> None:
    user = world.user()
    with bouncer_of(world, {user["username"]: user["password"]}) as bouncer:
        arn = world.secret({**bouncer.secret(user), "admin_port": user["port"]})
        token = world.begin(arn)
        world.step("createSecret", arn, token)
        world.step("setSecret", arn, token)
        with pytest.raises(CredentialsRejected):
            world.step("testSecret", arn, token)
        pending = world.value(arn, "AWSPENDING")
    assert not seen({**pending, "port": user["port"]})


@pytest.mark.parametrize("known", [True, False])
def test_no_admin_resets_through_a_pooler_what_the_pooler_rejected(world: World, *, known: bool) -> None:
    """The admin may not read the hashes, as on RDS, so nothing tells that the password is right."""
    user, admin = world.user(), world.user(options="CREATEROLE")
    world.sql(f'GRANT "{user["username"]}" TO "{admin["username"]}" WITH ADMIN OPTION')
    users = {admin["username"]: admin["password"], **({user["username"]: new_password()} if known else {})}
    with bouncer_of(world, users) as bouncer:
        chief = world.admin_secret(**bouncer.secret(admin))
        value = {**bouncer.secret(user), "strategy": "single", "masterarn": chief}
        assert refusal_of_set(world, value) == "target-refused/pooler"
    assert world.logs_in(user)
