"""Strategy `single` on a real PostgreSQL, through the real handler."""

from __future__ import annotations

import json

import pytest

from rotators.core.errors import CredentialsRejected, IdentityMismatch, RotatorsError, TargetRefused
from tests.world import World, new_password, unique


def test_a_rotation_changes_the_password_and_the_old_one_is_refused(world: World) -> None:
    old = world.user()
    arn = world.secret(old)
    new = world.rotate(arn)
    assert new["password"] != old["password"]
    assert world.logs_in(new)
    assert not world.logs_in(old)


def test_it_rotates_again_and_again(world: World) -> None:
    arn = world.secret(world.user())
    passwords = {world.rotate(arn)["password"] for _ in range(4)}
    assert len(passwords) == 4
    assert world.logs_in(world.value(arn))


def test_unknown_keys_survive_untouched(world: World) -> None:
    extra = {"team": "payments", "nested": {"a": [1, 2.5, None, True]}, "ünï": "çödé", "port": "5432x"}
    del extra["port"]
    user = world.user()
    new = world.rotate(world.secret({**user, **extra}))
    assert {key: value for key, value in new.items() if key != "password"} == {
        key: value for key, value in {**user, **extra}.items() if key != "password"
    }


@pytest.mark.parametrize("step", ["createSecret", "setSecret", "testSecret", "finishSecret"])
def test_each_step_may_be_delivered_three_times(world: World, step: str) -> None:
    arn = world.secret(world.user())
    token = world.begin(arn)
    for each in ("createSecret", "setSecret", "testSecret", "finishSecret"):
        for _ in range(3 if each == step else 1):
            world.step(each, arn, token)
    assert world.logs_in(world.value(arn))
    assert world.stages(arn)[token] >= {"AWSCURRENT"}


def test_a_value_that_lost_its_label_is_found_when_a_new_token_arrives(world: World) -> None:
    """The crash that locks users out elsewhere: setSecret committed, then the label moved to a new token."""
    arn = world.secret(world.user())
    world.rotate(arn)
    lost = world.begin(arn)
    world.step("createSecret", arn, lost)
    world.step("setSecret", arn, lost)
    world.drop_pending(arn, lost)
    assert not world.logs_in(world.value(arn))
    world.rotate(arn)
    assert world.logs_in(world.value(arn))


def test_an_older_password_restored_on_the_server_is_found(world: World) -> None:
    arn = world.secret(world.user())
    first = world.value(arn)
    world.rotate(arn)
    world.set_password(first["username"], first["password"])
    world.rotate(arn)
    assert world.logs_in(world.value(arn))


def test_the_admin_helps_when_no_stored_password_works(world: World) -> None:
    user = world.user()
    arn = world.secret({**user, "masterarn": world.admin_secret(), "strategy": "single"})
    world.set_password(user["username"], new_password())
    world.rotate(arn)
    assert world.logs_in(world.value(arn))


def test_without_an_admin_the_error_names_all_that_was_tried_and_nothing_is_promoted(world: World) -> None:
    user = world.user()
    arn = world.secret(user)
    world.rotate(arn)
    before = world.value(arn)
    world.set_password(user["username"], new_password())
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(CredentialsRejected, match="rejected with current, pending, previous"):
        world.step("setSecret", arn, token)
    assert world.value(arn) == before


def test_the_admin_does_not_reset_an_administrator_whose_password_is_unknown(world: World) -> None:
    """Else whoever may write the secret could name any administrator in it and be given its password."""
    victim = world.user(options="SUPERUSER")
    arn = world.secret(
        {**victim, "password": new_password(), "masterarn": world.admin_secret(), "strategy": "single"}
    )
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="administrator"):
        world.step("setSecret", arn, token)
    assert world.logs_in(victim)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("username", "somebody_else"),
        ("host", "127.0.0.1"),
        ("port", 1),
        ("dbname", "template1"),
        ("engine", "aurora-postgresql"),
        ("ssl", False),
        ("masterarn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:other-abcdef"),
    ],
)
def test_a_pending_value_for_another_identity_is_refused_before_any_login(
    world: World, key: str, value: object
) -> None:
    user = world.user()
    arn = world.secret(user)
    token = world.begin(arn)
    world.put_pending(arn, token, {**user, "password": new_password(), key: value})
    logins = world.logins()
    for step in ("setSecret", "testSecret"):
        with pytest.raises(IdentityMismatch):
            world.step(step, arn, token)
    assert world.logins() == logins


def test_a_pending_value_that_works_for_another_user_is_not_promoted(world: World) -> None:
    user, other = world.user(), world.user()
    arn = world.secret(user)
    token = world.begin(arn)
    world.put_pending(arn, token, other)
    world.step("createSecret", arn, token)
    with pytest.raises(IdentityMismatch, match="other than current user"):
        world.step("setSecret", arn, token)
    with pytest.raises(IdentityMismatch):
        world.step("testSecret", arn, token)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"username": None}, "'username'"),
        ({"username": "u" * 64}, "exceeds 63 bytes"),
        ({"password": ""}, "'password'"),
        ({"host": None}, "'host'"),
        ({"port": "many"}, "'port'"),
        ({"port": 70_000}, "'port'"),
        ({"ssl": "perhaps"}, "'ssl'"),
        ({"strategy": "dual"}, "'strategy'"),
        ({"strategy": "alternating"}, "'masterarn'"),
        ({"engine": "oracle"}, "'oracle'"),
        ({"engine": None}, "'engine'"),
    ],
)
def test_a_secret_of_the_wrong_shape_is_refused_by_key_and_changes_nothing(
    world: World, change: dict[str, object], named: str
) -> None:
    user = world.user()
    value = {key: item for key, item in {**user, **change}.items() if item is not None}
    arn = world.secret(value)
    token = world.begin(arn)
    with pytest.raises(RotatorsError, match=named):
        world.step("createSecret", arn, token)
    assert world.logs_in(user)


def test_the_password_policy_of_the_environment_is_obeyed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD_LENGTH", "64")
    monkeypatch.setenv("EXCLUDE_PUNCTUATION", "true")
    password = world.rotate(world.secret(world.user()))["password"]
    assert len(password) == 64
    assert password.isalnum()


def test_a_trial_run_tests_the_current_credential_and_says_why_it_fails(world: World) -> None:
    user = world.user()
    arn = world.secret(user)
    token = world.begin(arn)
    world.step("testSecret", arn, token)
    world.set_password(user["username"], new_password())
    with pytest.raises(CredentialsRejected, match="rejected the password"):
        world.step("testSecret", arn, token)


def test_a_trial_run_with_a_copy_of_the_current_value_fails_when_it_no_longer_works(world: World) -> None:
    user = world.user()
    arn = world.secret(user)
    token = world.begin(arn)
    world.put_pending(arn, token, user)
    world.step("testSecret", arn, token)
    world.set_password(user["username"], new_password())
    with pytest.raises(CredentialsRejected):
        world.step("testSecret", arn, token)


@pytest.mark.parametrize("setting", ["role = {group}", "default_transaction_read_only = on"])
def test_settings_of_the_user_do_not_keep_it_from_changing_its_password(world: World, setting: str) -> None:
    user = world.user()
    name, group = user["username"], unique("group")
    world.sql(f"CREATE ROLE {group}")
    world.sql(f'GRANT {group} TO "{name}"')
    world.sql(f'ALTER ROLE "{name}" SET {setting.format(group=group)}')
    arn = world.secret(user)
    for _ in range(2):
        assert world.logs_in(world.rotate(arn))


def test_a_clone_can_be_rotated_alone_when_the_strategy_changes(world: World) -> None:
    user = {**world.user(), "masterarn": world.admin_secret()}
    clone = world.rotate(world.secret(user))
    assert world.logs_in(world.rotate(world.secret({**clone, "strategy": "single"})))


@pytest.mark.parametrize("text", ["plain text, once upon a time", "[]", None])
def test_old_versions_that_cannot_be_read_do_not_hide_one_that_works(world: World, text: str | None) -> None:
    user = world.user()
    arn = world.secret(user)
    first = world.value(arn)
    stored = {"SecretBinary": b"\x00"} if text is None else {"SecretString": text}
    world.secrets.put_secret_value(SecretId=arn, **stored)
    for _ in range(2):
        world.secrets.put_secret_value(
            SecretId=arn, SecretString=json.dumps({**user, "password": new_password()})
        )
    assert world.logs_in(world.rotate(arn))
    assert not world.logs_in(first)


def test_a_previous_version_that_cannot_be_read_does_not_hide_the_admin(world: World) -> None:
    user = {**world.user(), "masterarn": world.admin_secret(), "strategy": "single"}
    arn = world.secret(user)
    world.secrets.put_secret_value(SecretId=arn, SecretString="no JSON")
    world.secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(user))
    world.set_password(user["username"], new_password())
    assert world.logs_in(world.rotate(arn))


def test_a_version_under_a_label_of_ones_own_is_tried_too(world: World) -> None:
    user = world.user()
    arn = world.secret(user)
    (first,) = world.stages(arn)
    world.secrets.update_secret_version_stage(SecretId=arn, VersionStage="BACKUP", MoveToVersionId=first)
    for _ in range(2):
        world.secrets.put_secret_value(
            SecretId=arn, SecretString=json.dumps({**user, "password": new_password()})
        )
    assert world.logs_in(world.rotate(arn))


@pytest.mark.parametrize("through", ["{boss}", "{middle}"])
def test_the_admin_does_not_reset_whoever_can_become_an_administrator(world: World, through: str) -> None:
    victim = world.user()
    boss, middle = unique("boss"), unique("middle")
    world.sql(f"CREATE ROLE {boss} SUPERUSER")
    world.sql(f"CREATE ROLE {middle} IN ROLE {boss}")
    world.sql(f'GRANT {through.format(boss=boss, middle=middle)} TO "{victim["username"]}"')
    arn = world.secret(
        {**victim, "password": new_password(), "masterarn": world.admin_secret(), "strategy": "single"}
    )
    token = world.begin(arn)
    world.step("createSecret", arn, token)
    with pytest.raises(TargetRefused, match="administrator"):
        world.step("setSecret", arn, token)
    assert world.logs_in(victim)


def test_a_planted_alternate_username_is_refused(world: World) -> None:
    user = world.user()
    arn = world.secret(user)
    token = world.begin(arn)
    world.put_pending(arn, token, {**user, "password": new_password(), "alternate_username": "postgres"})
    with pytest.raises(IdentityMismatch, match="alternate_username"):
        world.step("setSecret", arn, token)
