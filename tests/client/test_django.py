"""The backend in examples/django on a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import django  # type: ignore[import-untyped] # Django has no types
import pytest
from django.conf import settings  # type: ignore[import-untyped] # the same
from django.db import OperationalError  # type: ignore[import-untyped] # the same
from django.db.utils import ConnectionHandler  # type: ignore[import-untyped] # the same
from django.test.utils import override_settings  # type: ignore[import-untyped] # the same

from tests.world import World, new_password

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parents[2] / "examples" / "django"


@pytest.fixture(scope="module", autouse=True)
def configured() -> Iterator[None]:
    """Django reads settings once per process; each test has separate databases."""
    if not settings.configured:
        settings.configure(LOGGING_CONFIG=None)
        django.setup(set_prefix=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLE)
        yield


def database(arn: str | None, **more: Any) -> Any:
    """The equivalent of `django.db.connection`."""
    options = {"rotators_secret": arn} if arn else {}
    wanted = {"ENGINE": "rotating", "NAME": "postgres", "OPTIONS": {**options, **more.pop("OPTIONS", {})}}
    return ConnectionHandler({"default": {**wanted, **more}})["default"]


def who(connection: Any) -> tuple[int, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), session_user::text")
        pid, name = cursor.fetchone()
    return pid, name


def test_new_connection_works_after_a_rotation(world: World) -> None:
    user = world.user()
    arn = world.secret(user)
    connection = database(arn)
    before = who(connection)
    world.rotate(arn)
    # An open connection stays open.
    assert who(connection) == before
    connection.close()
    after = who(connection)
    connection.close()
    assert before[1] == after[1] == user["username"]
    assert before[0] != after[0]


def test_a_new_connection_between_set_and_finish(world: World) -> None:
    user = world.user()
    arn = world.secret(user)
    connection = database(arn)
    who(connection)
    token = world.begin(arn)
    for step in ("createSecret", "setSecret", "testSecret", "finishSecret"):
        world.step(step, arn, token)
        connection.close()
        assert who(connection)[1] == user["username"], step
    connection.close()


def test_a_transaction_continues_during_a_rotation(world: World) -> None:
    arn = world.secret(world.user())
    connection = database(arn)
    connection.set_autocommit(False)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE work (step int)")
        world.rotate(arn)
        cursor.execute("INSERT INTO work VALUES (1)")
    connection.commit()
    connection.close()


def test_the_secret_may_be_named_for_all_databases(world: World) -> None:
    user = world.user()
    with override_settings(ROTATORS_SECRET=world.secret(user)):
        connection = database(None, OPTIONS={"application_name": "shop"})
        assert who(connection)[1] == user["username"]
        with connection.cursor() as cursor:
            cursor.execute("SHOW application_name")
            assert cursor.fetchone() == ("shop",)
        connection.close()


def test_user_and_password_in_the_settings_are_ignored(world: World) -> None:
    user = world.user()
    others = {"USER": "somebody", "PASSWORD": new_password(), "HOST": "nowhere.invalid", "PORT": 1}
    connection = database(world.secret(user), **others)
    assert who(connection)[1] == user["username"]
    connection.close()


def test_other_errors_are_djangos_without_a_password(world: World) -> None:
    user = world.user()
    connection = database(world.secret(user), NAME="nowhere")
    with pytest.raises(OperationalError, match="does not exist") as caught:
        who(connection)
    assert user["password"] not in f"{caught.value!r} {connection.settings_dict} {vars(connection)}"
