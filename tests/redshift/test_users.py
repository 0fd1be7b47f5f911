"""Rights of a pair of users, resets, and refusals, on PostgreSQL in place of Amazon Redshift."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from rotators.core.errors import SecretFormatError, TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.postgres.roles import Connection
from rotators.engines.redshift import RedshiftEngine
from rotators.engines.redshift.passwords import HashForm, stored_form
from rotators.engines.redshift.session import RedshiftSession
from rotators.engines.redshift.users import RedshiftUser, require_shared
from rotators.local.servers.redshift import RedshiftStandIn
from rotators.strategies.identity import for_users_of
from tests.world import remembered, unique

PASSWORD, NEXT = remembered("Known-password-1"), remembered("Known-password-2")


def login(value: dict[str, object]) -> bool:
    with RedshiftEngine().login(Secret(value), Settings()) as session:
        session.check()
    return True


@pytest.fixture
def admin(redshift: RedshiftStandIn) -> Iterator[RedshiftSession]:
    with RedshiftEngine().login(Secret(redshift.secret()), Settings()) as session:
        yield session


@pytest.fixture
def user(redshift: RedshiftStandIn) -> str:
    name = unique("app")
    redshift.create_user(name, PASSWORD)
    return name


def groups(redshift: RedshiftStandIn, user: str) -> set[str]:
    rows = redshift.execute(
        "SELECT groname::text FROM pg_group, pg_user WHERE usename = %s AND usesysid = ANY(grolist)", [user]
    )
    return {row[0] for row in rows}


def test_own_change_stores_an_md5_hash(redshift: RedshiftStandIn, user: str) -> None:
    with RedshiftEngine().login(Secret(redshift.secret(user, PASSWORD)), Settings()) as session:
        session.set_credential(user, NEXT)
    [(stored,)] = redshift.execute("SELECT passwd FROM pg_shadow WHERE usename = %s", [user])
    assert stored.startswith("md5")
    assert login(redshift.secret(user, NEXT))


def test_clone_gets_the_originals_groups_only(
    redshift: RedshiftStandIn, admin: RedshiftSession, user: str
) -> None:
    first, second = unique("readers"), unique("writers")
    redshift.execute(f"CREATE GROUP {first}")
    redshift.execute(f"CREATE GROUP {second}")
    redshift.execute(f"ALTER GROUP {first} ADD USER {user}")
    admin.ensure_clone(user, f"{user}_clone", NEXT)
    assert groups(redshift, f"{user}_clone") == {first, f"pair: {user}"}
    redshift.execute(f"ALTER GROUP {first} DROP USER {user}")
    redshift.execute(f"ALTER GROUP {second} ADD USER {user}")
    admin.ensure_clone(user, f"{user}_clone", PASSWORD)
    assert groups(redshift, f"{user}_clone") == {second, f"pair: {user}"}
    assert login(redshift.secret(f"{user}_clone", PASSWORD))


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("GRANT SELECT ON pg_catalog.pg_class TO {}", "own-rights"),
        ("GRANT CREATE ON SCHEMA public TO {}", "own-rights"),
        ("CREATE SCHEMA AUTHORIZATION {}", "ownership"),
        ("ALTER USER {} CREATEDB", "settings"),
        ("ALTER USER {} SET search_path TO public", "settings"),
        ("ALTER USER {} VALID UNTIL '2099-01-01'", "settings"),
        ("ALTER USER {} SUPERUSER", "administrator"),
    ],
)
def test_rights_that_no_clone_can_have_are_refused(
    redshift: RedshiftStandIn, admin: RedshiftSession, user: str, statement: str, reason: str
) -> None:
    redshift.execute(statement.format(user))
    with pytest.raises(TargetRefused) as refused:
        admin.ensure_clone(user, f"{user}_clone", NEXT)
    assert refused.value.reason == reason
    assert not redshift.execute("SELECT 1 FROM pg_user WHERE usename = %s", [f"{user}_clone"])


def test_second_user_without_its_mark_is_refused(
    redshift: RedshiftStandIn, admin: RedshiftSession, user: str
) -> None:
    other = unique("other")
    redshift.create_user(other, PASSWORD)
    with pytest.raises(TargetRefused, match="not the clone"):
        admin.require_clone(user, other)
    redshift.execute(f'CREATE GROUP "pair: {user}"')
    redshift.execute(f'ALTER GROUP "pair: {user}" ADD USER {other}')
    admin.require_clone(user, other)
    admin.require_clone(other, user)


def add_group(redshift: RedshiftStandIn, user: str) -> str:
    name = unique("group")
    redshift.execute(f"CREATE GROUP {name}")
    redshift.execute(f"ALTER GROUP {name} ADD USER {user}")
    return name


def test_new_group_of_the_original_stops_no_pair(
    redshift: RedshiftStandIn, admin: RedshiftSession, user: str
) -> None:
    clone = f"{user}_clone"
    admin.ensure_clone(user, clone, NEXT)
    added = add_group(redshift, user)
    # The clone is current, and the original follows.
    admin.require_clone(clone, user)
    admin.set_credential(user, NEXT)
    assert groups(redshift, clone) == {f"pair: {user}"}
    admin.ensure_clone(user, clone, PASSWORD)
    assert groups(redshift, clone) == {added, f"pair: {user}"}


def test_second_user_of_your_own_gets_the_groups(
    redshift: RedshiftStandIn, admin: RedshiftSession, user: str
) -> None:
    other = unique("other")
    redshift.create_user(other, PASSWORD)
    redshift.execute(f'CREATE GROUP "pair: {user}"')
    redshift.execute(f'ALTER GROUP "pair: {user}" ADD USER {other}')
    own, added = add_group(redshift, other), add_group(redshift, user)
    admin.require_clone(user, other)
    assert groups(redshift, other) == {own, f"pair: {user}"}  # the check alone changes nothing
    admin.set_credential(other, NEXT)
    assert groups(redshift, other) == {added, f"pair: {user}"}
    assert login(redshift.secret(other, NEXT))


def test_extra_group_of_the_current_clone_is_refused(
    redshift: RedshiftStandIn, admin: RedshiftSession, user: str
) -> None:
    """The application would lose its rights when the original becomes current."""
    admin.ensure_clone(user, f"{user}_clone", NEXT)
    added = add_group(redshift, f"{user}_clone")
    with pytest.raises(TargetRefused) as refused:
        admin.require_clone(f"{user}_clone", user)
    assert (refused.value.reason, added in str(refused.value)) == ("own-rights", True)


class Counting:
    """A connection that notes how many rows each answer has."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.rows: list[int] = []

    def execute(self, *given: Any) -> Any:
        cursor = self.connection.execute(*given)
        self.rows.append(cursor.rowcount)
        return cursor


@pytest.mark.parametrize(
    ("statement", "match"), [("GRANT ALL ON {} TO {}", "own name"), ("ALTER TABLE {} OWNER TO {}", "owns")]
)
def test_one_row_shows_rights_and_objects(
    redshift: RedshiftStandIn, user: str, statement: str, match: str
) -> None:
    """An owner may have hundreds of thousands of objects."""
    for number in range(3):
        redshift.execute(f"CREATE TABLE {user}_{number} ()")
        redshift.execute(statement.format(f"{user}_{number}", user))
    with redshift.connect() as connection:
        counting = Counting(connection)
        with pytest.raises(TargetRefused, match=match):
            require_shared(cast("Connection", counting), RedshiftUser(user))
    assert max(counting.rows) == 1


def test_admin_examines_the_database_of_the_users(redshift: RedshiftStandIn, user: str) -> None:
    database = unique("shop")
    redshift.execute(f"CREATE DATABASE {database}")
    redshift.execute(f"CREATE SCHEMA AUTHORIZATION {user}", dbname=database)
    engine, value = RedshiftEngine(), Secret({**redshift.secret(user, PASSWORD), "dbname": database})
    asked = for_users_of(Secret(redshift.secret()), value, engine)
    with engine.login(asked, Settings()) as session, pytest.raises(TargetRefused) as refused:
        session.ensure_clone(user, f"{user}_clone", NEXT)
    assert refused.value.reason == "ownership"


def test_stored_sha256_hash_is_compared(redshift: RedshiftStandIn, admin: RedshiftSession, user: str) -> None:
    stored = stored_form(HashForm.SHA256, user, PASSWORD)
    redshift.execute("UPDATE pg_authid SET rolpassword = %s WHERE rolname = %s", [stored, user])
    admin.require_resettable(user, [NEXT])
    with pytest.raises(TargetRefused) as refused:
        admin.require_resettable(user, [NEXT, PASSWORD])
    assert refused.value.reason == "correct-password"
    redshift.execute("UPDATE pg_authid SET rolpassword = 'sha256|00|zz' WHERE rolname = %s", [user])
    admin.require_resettable(user, [PASSWORD])


def test_pair_that_owns_a_table_is_refused(redshift: RedshiftStandIn, user: str) -> None:
    redshift.execute(f"CREATE TABLE {user}_table ()")
    redshift.execute(f"ALTER TABLE {user}_table OWNER TO {user}")
    with RedshiftEngine().login(Secret(redshift.secret(user, PASSWORD)), Settings()) as session:
        session.check()
        with pytest.raises(TargetRefused, match="owns"):
            session.check("another")


def test_admin_without_rights_changes_nothing(redshift: RedshiftStandIn, user: str) -> None:
    weak = unique("weak")
    redshift.create_user(weak, PASSWORD)
    with RedshiftEngine().login(Secret(redshift.secret(weak, PASSWORD)), Settings()) as session:
        assert "CREATEUSER" in session.missing_for_reset(user)
        with pytest.raises(TargetRefused, match="admin-rights"):
            session.require_ordinary(user)
        with pytest.raises(TargetRefused, match="admin-rights"):
            session.ensure_clone(user, f"{user}_clone", NEXT)
        with pytest.raises(TargetRefused, match="admin-rights"):
            session.require_clone(user, weak)
    assert login(redshift.secret(user, PASSWORD))


def test_rejections_stop_one_before_the_default_limit(admin: RedshiftSession, user: str) -> None:
    assert admin.rejections_allowed(user) == 4


def test_missing_user_is_refused(admin: RedshiftSession) -> None:
    with pytest.raises(TargetRefused) as refused:
        admin.require_ordinary("nobody")
    assert refused.value.reason == "no-user"


def test_reset_is_refused_with_the_right_password(admin: RedshiftSession, user: str) -> None:
    admin.require_resettable(user, [NEXT], tls=True)
    with pytest.raises(TargetRefused) as refused:
        admin.require_resettable(user, [NEXT, PASSWORD], tls=True)
    assert refused.value.reason == "correct-password"


def test_roles_of_views_make_an_administrator(
    redshift: RedshiftStandIn, admin: RedshiftSession, user: str
) -> None:
    admin.require_ordinary(user)
    redshift.execute(
        f"CREATE VIEW public.svv_user_grants AS SELECT '{user}'::text AS user_name, 'etl'::text AS role_name"
    )
    redshift.execute(
        "CREATE VIEW public.svv_role_grants AS"
        " SELECT 'etl'::text AS role_name, 'sys:secadmin'::text AS granted_role_name"
    )
    try:
        with pytest.raises(TargetRefused, match="administrator"):
            admin.require_ordinary(user)
    finally:
        redshift.execute("DROP VIEW public.svv_user_grants, public.svv_role_grants")


def test_login_without_tls_is_refused_by_a_rule(redshift: RedshiftStandIn, user: str) -> None:
    value = {**redshift.secret(user, PASSWORD), "ssl": False}
    with pytest.raises(TargetRefused) as refused:
        login(value)
    assert refused.value.reason == "access-rule"


@pytest.mark.parametrize("key", ["password_hash", "clusterIdentifier", "namespaceName"])
def test_only_a_known_hash_is_accepted(redshift: RedshiftStandIn, key: str) -> None:
    from rotators.engines.redshift import rotator  # noqa: PLC0415

    value = Secret({**redshift.secret(), key: "scrypt"})
    if key != "password_hash":
        rotator().check_value(value, Settings())
        return
    with pytest.raises(SecretFormatError, match="password_hash"):
        rotator().check_value(value, Settings())
