"""Locked users. PostgreSQL with a proxy stands in for Amazon Redshift, see lockout.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rotators.core.errors import CredentialsRejected, TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.postgres.messages import MESSAGES
from rotators.engines.redshift import RedshiftEngine
from rotators.engines.redshift.session import RedshiftSession
from rotators.local.aws import LocalAws
from rotators.local.servers.redshift import RedshiftStandIn
from tests.clear_text import record
from tests.redshift.lockout import LIMIT, LockoutProxy
from tests.world import World, remembered, started, unique

PASSWORD, NEXT, WRONG = (remembered(f"Known-lockout-{number}") for number in (1, 2, 3))


@pytest.fixture(scope="module")
def plain() -> Iterator[RedshiftStandIn]:
    running = started(RedshiftStandIn({"log_statement": "all", "log_connections": "on"}, tls=False))
    yield running
    record("the log of Redshift's stand-in", running.log())
    running.stop()


@pytest.fixture
def proxy(plain: RedshiftStandIn) -> Iterator[LockoutProxy]:
    with LockoutProxy(plain) as running:
        yield running


@pytest.fixture
def user(plain: RedshiftStandIn) -> str:
    name = unique("app")
    plain.create_user(name, PASSWORD)
    return name


@pytest.fixture
def admin(plain: RedshiftStandIn, proxy: LockoutProxy) -> Iterator[RedshiftSession]:
    with RedshiftEngine().login(through(proxy, plain), Settings()) as session:
        yield session


def through(proxy: LockoutProxy, server: RedshiftStandIn, *login: str) -> Secret:
    return Secret({**server.secret(*login), "port": proxy.port})


def logs_in(secret: Secret) -> bool:
    with RedshiftEngine().login(secret, Settings()) as session:
        session.check()
    return True


@pytest.mark.processes
def test_reset_unlocks_a_user_that_the_server_locked(
    plain: RedshiftStandIn, proxy: LockoutProxy, admin: RedshiftSession, user: str
) -> None:
    proxy.lock(user, "automatic")
    # The stored password may be right: the lock explains the rejected logins.
    admin.require_resettable(user, [PASSWORD])
    admin.set_credential(user, NEXT)
    assert logs_in(through(proxy, plain, user, NEXT))


@pytest.mark.processes
def test_reset_leaves_nologin_without_a_lock(
    plain: RedshiftStandIn, proxy: LockoutProxy, admin: RedshiftSession, user: str
) -> None:
    plain.execute(f"ALTER ROLE {user} NOLOGIN")
    admin.set_credential(user, NEXT)
    with pytest.raises(TargetRefused, match="refuses every login"):
        logs_in(through(proxy, plain, user, NEXT))


@pytest.mark.processes
def test_user_that_an_administrator_locked_stays_locked(
    plain: RedshiftStandIn, proxy: LockoutProxy, admin: RedshiftSession, user: str
) -> None:
    proxy.lock(user, "manual")
    with pytest.raises(TargetRefused) as reset:
        admin.require_resettable(user, [WRONG])
    with pytest.raises(TargetRefused) as cloned:
        admin.ensure_clone(user, f"{user}_clone", NEXT)
    assert (reset.value.reason, cloned.value.reason) == ("locked", "locked")
    assert "LOGIN PASSWORD" in str(reset.value.remedy)
    assert not plain.execute("SELECT 1 FROM pg_user WHERE usename = %s", [f"{user}_clone"])
    with pytest.raises(TargetRefused) as blocked:
        logs_in(through(proxy, plain, user, PASSWORD))
    assert (blocked.value.reason, blocked.value.retryable) == ("blocked", False)


@pytest.mark.processes
def test_new_password_unlocks_a_locked_clone(
    plain: RedshiftStandIn, proxy: LockoutProxy, admin: RedshiftSession, user: str
) -> None:
    admin.ensure_clone(user, f"{user}_clone", PASSWORD)
    proxy.lock(f"{user}_clone", "automatic")
    admin.ensure_clone(user, f"{user}_clone", NEXT)
    assert logs_in(through(proxy, plain, f"{user}_clone", NEXT))


def stored(world: World, proxy: LockoutProxy, user: str, password: str) -> tuple[str, dict[str, Any]]:
    port = {"port": proxy.port}
    admin = world.admin_secret(**port)
    value = {**world.server.secret(user, password), **port, "masterarn": admin, "strategy": "single"}
    return world.secret(value), value


@pytest.fixture
def world(aws: LocalAws, plain: RedshiftStandIn) -> World:
    return World(aws, plain)


def test_rotation_unlocks_a_locked_user(world: World, proxy: LockoutProxy, user: str) -> None:
    proxy.lock(user, "automatic")
    arn, _ = stored(world, proxy, user, PASSWORD)
    assert logs_in(Secret(world.rotate(arn)))


def test_rotation_reports_a_lock_without_an_admin(world: World, proxy: LockoutProxy, user: str) -> None:
    proxy.lock(user, "automatic")
    arn = world.secret({**world.server.secret(user, PASSWORD), "port": proxy.port})
    assert world.refusal(arn).reason == "blocked"


def test_rejected_logins_end_one_before_the_limit(
    world: World, proxy: LockoutProxy, admin: RedshiftSession, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert admin.rejections_allowed(user) == LIMIT - 1
    arn, value = stored(world, proxy, user, WRONG)
    for number in range(4):
        changed = {**value, "password": remembered(f"Wrong-lockout-{number}")}
        world.put_pending(arn, world.begin(arn), changed)
        world.of(arn).drop_pending(
            next(v for v, stages in world.stages(arn).items() if "AWSPENDING" in stages)
        )
    before = failures(world, user)
    assert logs_in(Secret(world.rotate(arn)))
    assert failures(world, user) - before == LIMIT - 1


def failures(world: World, user: str) -> int:
    return str(world.server.log()).count(f'password authentication failed for user "{user}"')


def test_a_locked_user_is_not_taken_as_rejection() -> None:
    """The text of Amazon Redshift is not known; one with this word is not taken for a wrong password."""
    said = MESSAGES.failure('FATAL:  user "app" is locked', "host", "28000")
    assert (said.reason, said.retryable) == ("blocked", False)
    rejected = MESSAGES.failure('FATAL:  password authentication failed for user "locked"', "host")
    assert isinstance(rejected, CredentialsRejected)
