"""Rotations on OpenLDAP: hashes, password policies and rights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rotators.core.errors import CredentialsRejected, IdentityMismatch, RotatorsError, TargetRefused
from rotators.engines.ldap import LdapEngine
from rotators.engines.ldap.hashes import hashed, scheme_of
from rotators.local.servers.ldap import ADMINS, SUFFIX, LdapServer, password_hash
from tests.ldap.conftest import POLICY, LdapWorld
from tests.world import ask, new_password, reason, started, unique

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws

CREATE, SET, TEST = "createSecret", "setSecret", "testSecret"
WRITER = f"cn=writer,{SUFFIX}"
OTHER = "dc=example,dc=net"
ENGINE = LdapEngine()


class TwoContexts(LdapServer):
    """A directory with a second naming context, which holds groups only."""

    def _configuration(self) -> str:
        (self.directory / "other").mkdir()
        lines = (
            "database mdb",
            f'suffix "{OTHER}"',
            f'rootdn "cn=root,{OTHER}"',
            f"rootpw {password_hash(self.password)}",
            "directory other",
            "access to * by users read",
        )
        return super()._configuration() + "\n".join(lines) + "\n"


@pytest.mark.parametrize("with_admin", [False, True])
def test_dual_keeps_both_passwords(plain: LdapWorld, with_admin: bool) -> None:
    value = {**plain.entry(), "strategy": "dual"}
    if with_admin:
        value["masterarn"] = plain.admin_secret()
    arn = plain.secret(value)
    rotated = plain.rotate(arn)
    assert plain.logs_in(value)
    assert plain.logs_in(rotated)
    assert [scheme_of(each) for each in plain.stored(value)] == ["ssha", "ssha"]
    plain.rotate(arn)
    assert not plain.logs_in(value)


def test_an_admin_means_dual_unless_named(plain: LdapWorld) -> None:
    value = plain.entry()
    plain.rotate(plain.secret({**value, "masterarn": plain.admin_secret()}))
    assert plain.logs_in(value)
    other = plain.entry()
    plain.rotate(plain.secret(other))
    assert not plain.logs_in(other)


@pytest.mark.parametrize("scheme", ["argon2", "pbkdf2-sha256", "pbkdf2-sha512"])
def test_the_secret_names_the_scheme(hashing: LdapWorld, scheme: str) -> None:
    value = {**hashing.entry(), "strategy": "dual", "password_hash": scheme}
    rotated = hashing.rotate(hashing.secret(value))
    assert hashing.logs_in(value)
    assert hashing.logs_in(rotated)
    assert [scheme_of(each) for each in hashing.stored(value)] == [scheme, scheme]


def test_an_admin_keeps_the_present_scheme(hashing: LdapWorld) -> None:
    value = hashing.entry()
    hashing.set(value["username"], userPassword=hashed(value["password"], "argon2"))
    hashing.rotate(hashing.secret({**value, "masterarn": hashing.admin_secret()}))
    assert {scheme_of(each) for each in hashing.stored(value)} == {"argon2"}


def test_a_scheme_without_module_changes_nothing(plain: LdapWorld) -> None:
    value = {**plain.entry(), "strategy": "dual", "password_hash": "argon2"}
    before = plain.stored(value)
    assert plain.refused(value).reason == "unknown-hash"
    assert plain.stored(value) == before


def test_a_policy_refuses_two_passwords(policed: LdapWorld) -> None:
    value = {**policed.entry(), "strategy": "dual"}
    before = policed.stored(value)
    for more in ({}, {"masterarn": policed.admin_secret()}):
        error = policed.refused({**value, **more})
        assert error.full_code == "target-refused/one-password"
        assert '"single"' in error.remedy
    assert policed.stored(value) == before


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"pwdCheckQuality": "2", "pwdMinLength": "100"}, "quality"),
        ({"pwdMinAge": "1000"}, "too-young"),
        ({"pwdAllowUserChange": "FALSE"}, "no-self-change"),
    ],
)
def test_each_refusal_of_a_policy_is_named(policed: LdapWorld, policy: dict[str, str], expected: str) -> None:
    policed.set(POLICY, **policy)
    value = policed.entry()
    assert policed.refused(value).full_code == f"target-refused/{expected}"
    assert policed.logs_in(value)


def test_a_password_of_the_history_is_refused(policed: LdapWorld) -> None:
    policed.set(POLICY, pwdInHistory="3")
    value = policed.entry()
    assert reason(ENGINE, value, "set_credential", value["username"], value["password"]) == "history"


def test_a_user_gives_the_old_password_too(policed: LdapWorld) -> None:
    policed.set(POLICY, pwdSafeModify="TRUE")
    assert policed.logs_in(policed.rotate(policed.secret(policed.entry())))


def test_an_admin_that_only_writes_is_refused(policed: LdapWorld) -> None:
    value, writer = policed.entry(), policed.directory.secret(WRITER)
    assert reason(ENGINE, writer, "set_credential", value["username"], new_password()) == "admin-rights"
    policed.set(POLICY, pwdSafeModify="TRUE")
    assert reason(ENGINE, writer, "set_credential", value["username"], new_password()) in {
        "safe-modify",
        "admin-rights",
    }
    assert policed.logs_in(value)


def test_a_reset_password_need_not_be_changed(policed: LdapWorld) -> None:
    policed.set(POLICY, pwdMustChange="TRUE")
    value = {**policed.entry(), "strategy": "single", "masterarn": policed.admin_secret()}
    policed.set(value["username"], userPassword=hashed(new_password(), "ssha"))
    rotated = policed.rotate(policed.secret(value))
    assert ask(ENGINE, rotated, "check") is None
    assert policed.stored(value, "pwdReset") == [b"FALSE"]


def test_a_user_that_must_change_is_recognised(policed: LdapWorld) -> None:
    policed.set(POLICY, pwdMustChange="TRUE")
    value = policed.entry()
    policed.set(value["username"], pwdReset="TRUE")
    assert reason(ENGINE, value) == "must-change"
    policed.rotate(policed.secret(value))


def test_the_test_finds_a_password_to_change(policed: LdapWorld) -> None:
    policed.set(POLICY, pwdMustChange="TRUE")
    value = policed.entry()
    arn = policed.secret(value)
    token = policed.begin(arn)
    policed.step(CREATE, arn, token)
    policed.step(SET, arn, token)
    policed.set(value["username"], pwdReset="TRUE")
    with pytest.raises(TargetRefused) as caught:
        policed.step(TEST, arn, token)
    assert caught.value.reason == "must-change"


def test_an_admin_unlocks_after_too_many_rejections(policed: LdapWorld) -> None:
    value = {**policed.entry(), "strategy": "single"}
    for _ in range(3):
        assert not policed.logs_in({**value, "password": "wrong"})
    assert reason(ENGINE, value) == "blocked"
    policed.rotate(policed.secret({**value, "masterarn": policed.admin_secret()}))


def test_a_lock_by_an_administrator_stays(policed: LdapWorld) -> None:
    value = {**policed.entry(), "strategy": "single", "masterarn": policed.admin_secret()}
    policed.set(value["username"], pwdAccountLockedTime="000001010000Z")
    assert policed.refused(value).reason == "locked"
    assert policed.stored(value, "pwdAccountLockedTime")


def test_an_admin_changes_an_expired_password(policed: LdapWorld) -> None:
    value = {**policed.entry(), "strategy": "single"}
    policed.set(POLICY, pwdMaxAge="100000")
    policed.set(value["username"], userPassword=hashed(value["password"], "ssha"))
    policed.set(POLICY, pwdMaxAge="1")
    while policed.logs_in(value):  # the server counts whole seconds
        pass
    assert reason(ENGINE, value) == "expired"
    policed.set(POLICY, pwdMaxAge="100000")
    policed.rotate(policed.secret({**value, "masterarn": policed.admin_secret()}))


def test_a_login_with_grace_is_accepted(policed: LdapWorld) -> None:
    policed.set(POLICY, pwdMaxAge="1", pwdGraceAuthnLimit="0")
    value = policed.entry()
    while policed.logs_in(value):  # the server counts whole seconds
        pass
    policed.set(POLICY, pwdGraceAuthnLimit="2")
    assert ask(ENGINE, value, "check") is None


def test_a_policy_of_the_user_limits_rejections(policed: LdapWorld) -> None:
    value = policed.entry()
    assert ask(ENGINE, policed.admin(), "rejections_allowed", value["username"]) is None
    policed.set(value["username"], pwdPolicySubentry=POLICY)
    assert ask(ENGINE, policed.admin(), "rejections_allowed", value["username"]) == 2


def test_an_admin_without_rights_is_refused(plain: LdapWorld) -> None:
    value, other = plain.entry(), plain.entry()
    error = plain.refused({**value, "strategy": "dual", "masterarn": plain.admin_secret(**other)})
    assert error.full_code == "target-refused/admin-rights"
    assert reason(ENGINE, other, "require_resettable", value["username"], [], tls=True) == "admin-rights"
    assert plain.logs_in(value)


def test_a_missing_user_is_rejected_and_named(plain: LdapWorld) -> None:
    missing = {**plain.entry(), "username": f"uid={unique('nobody')},{SUFFIX}"}
    assert isinstance(plain.refused({**missing, "strategy": "single"}), CredentialsRejected)
    error = plain.refused({**missing, "masterarn": plain.admin_secret()})
    assert error.full_code == "target-refused/no-user"


def test_an_unknown_stored_scheme_is_not_reset(plain: LdapWorld) -> None:
    value = {**plain.entry(), "masterarn": plain.admin_secret()}
    plain.set(value["username"], userPassword="{SASL}app@example.org")
    assert plain.refused(value).reason == "unknown-hash"


def test_an_admin_is_another_entry_however_spelled(plain: LdapWorld) -> None:
    value = {**plain.entry(), "strategy": "dual"}
    before = plain.stored(value)
    spelled = value["username"].upper().replace(",", " , ")
    own = plain.admin_secret(username=spelled, password=value["password"])
    assert isinstance(plain.refused({**value, "masterarn": own}), IdentityMismatch)
    assert plain.stored(value) == before


def test_another_spelling_of_the_user_rotates(plain: LdapWorld) -> None:
    value = plain.entry()
    spelled = {**value, "username": value["username"].upper().replace(",", " , "), "strategy": "dual"}
    assert plain.logs_in(plain.rotate(plain.secret(spelled)))
    assert plain.logs_in(value)


def test_a_name_is_escaped_in_a_filter(plain: LdapWorld) -> None:
    value, member = plain.entry(f"{unique('app')}*"), plain.entry()
    connection = plain.directory.connect()
    connection.modify(ADMINS, {"member": [("MODIFY_ADD", [member["username"]])]})
    connection.unbind()
    assert ask(ENGINE, plain.admin(), "require_ordinary", value["username"]) is None
    assert reason(ENGINE, plain.admin(), "require_ordinary", member["username"]) == "administrator"


def test_a_group_of_another_context_counts(aws: LocalAws) -> None:
    with started(TwoContexts()) as server:
        world = LdapWorld(aws, server)
        member, other = world.entry(), world.entry()
        connection = server.connect(f"cn=root,{OTHER}", server.password)
        connection.add(OTHER, ["dcObject", "organization"], {"o": "example"})
        group = {"cn": "admins", "member": member["username"]}
        assert connection.add(f"cn=admins,{OTHER}", ["groupOfNames"], group), connection.result
        connection.unbind()
        assert reason(ENGINE, world.admin(), "require_ordinary", member["username"]) == "administrator"
        assert ask(ENGINE, world.admin(), "require_ordinary", other["username"]) is None


def test_start_tls_rotates_with_a_verified_certificate(plain: LdapWorld) -> None:
    value = {**plain.entry(), "port": plain.directory.clear_port, "start_tls": True}
    assert plain.logs_in(plain.rotate(plain.secret(value)))
    authority = {"sslrootcert": plain.some_authority()}
    assert reason(ENGINE, {**value, **authority}) == "tls-untrusted"
    assert reason(ENGINE, {**value, "host": "127.0.0.1", **authority}) == "tls-untrusted"


def test_a_server_without_tls_gets_no_password(aws: LocalAws) -> None:
    with started(LdapServer(tls=False)) as server:
        world = LdapWorld(aws, server)
        value = world.entry()
        roots = {"sslrootcert": world.some_authority()}
        verified = {key: text for key, text in value.items() if key != "ssl"} | roots
        assert reason(ENGINE, {**verified, "start_tls": True}) == "tls-unsupported"
        assert reason(ENGINE, verified) in {"tls", "closed"}
        assert 'BIND dn="uid=' not in server.log()
        assert world.logs_in(world.rotate(world.secret(value)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"username": "app"},
        {"username": 7},
        {"username": "uid=app,"},
        {"start_tls": "perhaps"},
        {"start_tls": True, "ssl": False},
        {"password_hash": "crypt"},
        {"password_hash": ["ssha"]},
        {"strategy": "alternating"},
    ],
)
def test_a_wrong_member_changes_nothing(plain: LdapWorld, wrong: dict[str, object]) -> None:
    value = plain.entry()
    arn = plain.secret({**value, **wrong})
    token = plain.begin(arn)
    with pytest.raises(RotatorsError) as caught:  # noqa: PT012 - by either step
        for step in (CREATE, SET):
            plain.step(step, arn, token)
    assert caught.value.code == "secret-format"
    assert plain.logs_in(value)


@pytest.mark.parametrize("strategy", ["single", "dual"])
def test_another_spelling_of_the_name_changes_nothing(plain: LdapWorld, strategy: str) -> None:
    """The server shows its own spelling, so testSecret would refuse the new password for ever."""
    value = plain.entry()
    alias = {**value, "username": value["username"].replace("uid=", "userid="), "strategy": strategy}
    assert plain.refused(alias).reason == "user"
    assert plain.logs_in(value)


def test_an_admin_by_another_spelling_is_not_changed(plain: LdapWorld) -> None:
    admin = plain.admin()
    alias = {**admin, "username": admin["username"].replace("cn=", "commonName="), "password": new_password()}
    for strategy in ("single", "dual"):
        value = {**alias, "strategy": strategy, "masterarn": plain.admin_secret()}
        assert isinstance(plain.refused(value), IdentityMismatch | TargetRefused)
        assert plain.logs_in(admin)


def test_an_admin_without_tls_is_refused(plain: LdapWorld) -> None:
    value = {
        **plain.entry(),
        "strategy": "dual",
        "masterarn": plain.admin_secret(ssl=False, sslrootcert=None),
    }
    error = plain.refused(value)
    assert isinstance(error, IdentityMismatch)
    assert "unencrypted" in str(error)


def test_an_admin_sets_another_scheme_under_a_policy(policed: LdapWorld) -> None:
    """The new value is added and proven first, so the entry changes twice."""
    policed.set(POLICY, pwdInHistory="3", pwdMustChange="TRUE")
    value = {**policed.entry(), "strategy": "single", "password_hash": "argon2"}
    wrong = {**value, "password": new_password(), "masterarn": policed.admin_secret()}
    rotated = policed.rotate(policed.secret(wrong))
    assert policed.logs_in(rotated)
    assert not policed.logs_in(value)
    assert [scheme_of(each) for each in policed.stored(rotated)] == ["argon2"]
