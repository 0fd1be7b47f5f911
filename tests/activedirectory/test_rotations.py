"""Rotations on a real domain controller: TLS, rules for passwords, codes of failed logins, and rights."""

from __future__ import annotations

import socket
from typing import Any

import ldap3
import pytest

from rotators.core.errors import CredentialsRejected, IdentityMismatch, RotatorsError, SecretFormatError
from rotators.engines.activedirectory import ActiveDirectoryEngine
from rotators.engines.activedirectory.refusals import data_code_failure, password_failure
from rotators.engines.ldap.messages import DATA_CODES
from rotators.local.servers.activedirectory import DOMAIN, encoded
from tests.activedirectory.conftest import DomainWorld
from tests.world import ask, new_password, reason, remembered

CREATE, SET = "createSecret", "setSecret"
DAY = 24 * 60 * 60 * 10_000_000
ENGINE = ActiveDirectoryEngine()


@pytest.mark.parametrize("start_tls", [False, True])
@pytest.mark.parametrize("with_admin", [False, True])
def test_a_password_is_changed_over_tls(domain: DomainWorld, start_tls: bool, with_admin: bool) -> None:
    value = domain.entry()
    if start_tls:
        value |= {"port": domain.controller.clear_port, "start_tls": True}
    if with_admin:
        changes = {key: value[key] for key in ("port", "start_tls") if key in value}
        value["masterarn"] = domain.admin_secret(**changes)
        domain.reset(value, new_password())
    rotated = domain.rotate(domain.secret(value))
    assert domain.accepts(rotated)
    assert not domain.accepts(value)


def test_plain_is_refused_although_the_server_accepts_it(domain: DomainWorld) -> None:
    value = {**domain.entry(), "ssl": False, "port": domain.controller.clear_port}
    error = domain.refused(value, CREATE)
    assert isinstance(error, SecretFormatError)
    assert "TLS" in error.cause
    # The server itself would have changed the password without TLS.
    plain = ldap3.Server("127.0.0.1", domain.controller.clear_port, get_info=ldap3.NONE)
    own = ldap3.Connection(plain, value["username"], value["password"].encode(), check_names=False)
    assert own.bind()
    change = [
        (ldap3.MODIFY_DELETE, [encoded(value["password"])]),
        (ldap3.MODIFY_ADD, [encoded(new_password())]),
    ]
    name = domain.read(value["username"], "distinguishedName")[0].decode()
    assert own.modify(name, {"unicodePwd": change}), own.result
    own.unbind()


def test_nothing_is_sent_without_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        port = listener.getsockname()[1]
        value = {"host": "127.0.0.1", "port": port, "username": f"a@{DOMAIN}", "password": "pw", "ssl": False}
        with pytest.raises(SecretFormatError, match="TLS"):
            ask(ENGINE, value, "check")
        with pytest.raises(BlockingIOError):  # nobody has connected
            listener.accept()


def test_a_name_without_domain_needs_one(domain: DomainWorld) -> None:
    value = domain.entry()
    account = domain.read(value["username"], "sAMAccountName")[0].decode()
    assert "user principal name" in domain.refused({**value, "username": account}, CREATE).cause
    rotated = domain.rotate(domain.secret({**value, "username": account, "domain": DOMAIN}))
    assert domain.accepts({**rotated, "username": value["username"]})


def test_each_rule_for_passwords_has_a_code(domain: DomainWorld) -> None:
    value = domain.entry()
    domain.set("", minPwdAge=str(-DAY))
    error = domain.refused(value)
    assert error.full_code == "target-refused/too-young"
    assert "masterarn" in error.remedy
    domain.set("", minPwdAge="0", pwdHistoryLength="5")
    user = value["username"]
    assert reason(ENGINE, value, "set_credential", user, value["password"]) == "history"
    assert reason(ENGINE, value, "set_credential", user, remembered("short")) == "quality"
    assert domain.accepts(value)


def test_an_admin_changes_a_young_password(domain: DomainWorld) -> None:
    value = {**domain.entry(), "masterarn": domain.admin_secret()}
    domain.set("", minPwdAge=str(-DAY))
    assert domain.accepts(domain.rotate(domain.secret(value)))


def test_windows_gives_one_code_for_all_rules() -> None:
    said = "0000052D: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0"
    assert password_failure(53, said, "app").reason == "quality"
    assert password_failure(19, "00000056: AtrErr", "app").reason == "previous-password"


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"userAccountControl": "514"}, "locked"),
        ({"accountExpires": "1"}, "account-expired"),
        ({"pwdLastSet": "0"}, "must-change"),
        ({"logonHours": b"\0" * 21}, "logon-hours"),
    ],
)
def test_a_proven_password_does_not_count_as_rejection(
    domain: DomainWorld, attributes: dict[str, Any], expected: str
) -> None:
    value = domain.entry()
    domain.set(value["username"], **attributes)
    assert reason(ENGINE, value) == expected
    with pytest.raises(CredentialsRejected):
        ask(ENGINE, {**value, "password": new_password()}, "check")
    assert domain.refused(value).full_code == f"target-refused/{expected}"


@pytest.mark.parametrize("code", sorted(DATA_CODES))
def test_each_data_code_has_a_cause(code: str) -> None:
    said = f"80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data {code}, v4f7c"
    error = data_code_failure(49, said, "dc:636 as 'app'")
    assert error.reason == DATA_CODES[code]
    assert isinstance(error, CredentialsRejected) == (DATA_CODES[code] == "password")


def test_an_unknown_data_code_rejects_nothing() -> None:
    said = "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data 57, v4f7c"
    error = data_code_failure(49, said, "dc:636 as 'app'")
    assert error.full_code == "target-unavailable/unknown"
    assert isinstance(data_code_failure(49, "Invalid credentials", "dc:636 as 'app'"), CredentialsRejected)


def test_an_admin_changes_a_password_that_must_change(domain: DomainWorld) -> None:
    value = {**domain.entry(), "masterarn": domain.admin_secret()}
    domain.set(value["username"], pwdLastSet="0")
    assert domain.accepts(domain.rotate(domain.secret(value)))


def test_an_admin_unlocks_with_the_reset(domain: DomainWorld) -> None:
    value = domain.entry()
    domain.set("", lockoutThreshold="2")
    assert ask(ENGINE, domain.admin(), "rejections_allowed", value["username"]) == 1
    for _ in range(2):
        assert not domain.accepts({**value, "password": "wrong-password"})
    assert reason(ENGINE, value) == "blocked"
    assert domain.refused(value).reason == "blocked"
    rotated = domain.rotate(domain.secret({**value, "masterarn": domain.admin_secret()}))
    assert domain.accepts(rotated)
    assert domain.read(value["username"], "lockoutTime") == [b"0"]


@pytest.mark.parametrize("others", [0, 2])
def test_rejected_logins_of_others_count(domain: DomainWorld, others: int) -> None:
    value = {**domain.entry(), "masterarn": domain.admin_secret()}
    arn = domain.secret(value)
    lost = domain.begun(arn)
    domain.step(SET, arn, lost)
    domain.of(arn).drop_pending(lost)
    domain.join(value["username"], "DnsAdmins")  # the admin does not help
    domain.set("", lockoutThreshold="4")
    for _ in range(others):
        assert not domain.accepts({**value, "password": "wrong-password"})
    if others:
        token = domain.begun(arn)
        with pytest.raises(RotatorsError):
            domain.step(SET, arn, token)
        # The fourth one would have locked the user.
        assert domain.read(value["username"], "badPwdCount") == [b"3"]
    else:
        assert domain.accepts(domain.rotate(arn))


def test_a_fine_grained_policy_decides(domain: DomainWorld) -> None:
    value = domain.entry()
    with domain.policy(value["username"]):
        assert ask(ENGINE, domain.admin(), "rejections_allowed", value["username"]) == 6
        assert domain.refused(value).full_code == "target-refused/too-young"


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [({"userAccountControl": "514"}, "locked"), ({"accountExpires": "1"}, "account-expired")],
)
def test_a_reset_that_would_not_help_is_refused(
    domain: DomainWorld, attributes: dict[str, Any], expected: str
) -> None:
    value = {**domain.entry(), "masterarn": domain.admin_secret()}
    domain.reset(value, new_password())
    domain.set(value["username"], **attributes)
    before = domain.read(value["username"], "pwdLastSet")
    assert domain.refused(value).reason == expected
    assert domain.read(value["username"], "pwdLastSet") == before


@pytest.mark.parametrize("group", ["Domain Admins", "DnsAdmins", "AWS Delegated Administrators"])
def test_an_administrator_is_not_reset(domain: DomainWorld, group: str) -> None:
    value = {**domain.entry(), "masterarn": domain.admin_secret()}
    domain.join(value["username"], group)
    domain.reset(value, new_password())
    assert domain.refused(value).reason == "administrator"


@pytest.mark.parametrize(
    "attributes",
    [
        {"userAccountControl": str(0x200 | 0x80000)},
        {"userAccountControl": str(0x200 | 0x1000000)},
        {"userAccountControl": str(0x1000)},
        {"msDS-AllowedToDelegateTo": "cifs/files.rot.test"},
    ],
    ids=str,
)
def test_who_acts_as_others_is_not_reset(domain: DomainWorld, attributes: dict[str, str]) -> None:
    value = {**domain.entry(), "masterarn": domain.admin_secret()}
    domain.set(value["username"], **attributes)
    assert reason(ENGINE, domain.admin(), "require_ordinary", value["username"]) == "administrator"
    domain.reset(value, new_password())
    assert domain.refused(value).reason == "administrator"


def test_a_builtin_group_is_administrative(domain: DomainWorld) -> None:
    value = domain.entry()
    domain.join(value["username"], "Incoming Forest Trust Builders", place="Builtin")
    assert reason(ENGINE, domain.admin(), "require_ordinary", value["username"]) == "administrator"


def test_the_domain_determines_the_reset_user(domain: DomainWorld) -> None:
    """Without its domain, the name is the account of another user."""
    other = domain.entry()
    account = domain.read(other["username"], "sAMAccountName")[0].decode()
    user = domain.entry(f"{account}@elsewhere.test")
    secret = {**user, "username": account, "domain": "elsewhere.test", "masterarn": domain.admin_secret()}
    assert domain.accepts(user)
    domain.reset(user, new_password())
    error = domain.refused(secret)
    assert error.full_code == "identity-mismatch/directory"
    assert domain.accepts(other)
    domain.reset(other, new_password())
    changed = domain.rotate(domain.secret({**secret, "domain": DOMAIN}))
    assert domain.accepts({**changed, "username": other["username"]})


def test_a_member_of_other_groups_is_reset(domain: DomainWorld) -> None:
    value = {**domain.entry(), "masterarn": domain.admin_secret()}
    domain.join(value["username"], "Readers of the wiki")
    domain.reset(value, new_password())
    assert domain.accepts(domain.rotate(domain.secret(value)))


def test_an_admin_without_rights_is_refused(domain: DomainWorld) -> None:
    value, other = domain.entry(), domain.entry()
    assert reason(ENGINE, other, "set_credential", value["username"], new_password()) == "admin-rights"
    assert domain.accepts(value)


def test_an_admin_is_another_user(domain: DomainWorld) -> None:
    value = domain.entry()
    account = domain.read(value["username"], "sAMAccountName")[0].decode()
    with pytest.raises(IdentityMismatch):
        ask(ENGINE, value, "set_credential", f"{account}@{DOMAIN}", new_password())
    assert domain.accepts(value)


def test_a_missing_user_is_refused(domain: DomainWorld) -> None:
    for name in (f"nobody@{DOMAIN}", "nobody@other.test", f"*@{DOMAIN}"):
        assert reason(ENGINE, domain.admin(), "require_ordinary", name) == "no-user"
