"""One login to a domain controller, and the changes that a user, an admin or AWS makes."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import ldap3
from ldap3.utils.conv import escape_bytes, escape_filter_chars

from rotators.core.errors import IdentityMismatch, RotatorFailure, SecretFormatError, TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.activedirectory.refusals import data_code_failure, password_failure, too_young
from rotators.engines.ldap.connection import Changes, Directory, LdapLogin, connected
from rotators.engines.ldap.principals import login_name, require_tls
from rotators.logins.connecting import SESSION_SECONDS
from rotators.strategies.engine import Engine

_DISABLED = 0x2  # userAccountControl, ADS_UF_ACCOUNTDISABLE
# Of a trust or a computer, or trusted for delegation (MS-ADTS 2.2.16: the bits ID, WT, ST, TD, TA, PS).
_NOT_ORDINARY = 0x800 | 0x1000 | 0x2000 | 0x80000 | 0x1000000 | 0x4000000
_NEVER = (0, 0x7FFFFFFFFFFFFFFF)  # accountExpires
_SECONDS_TO_1970, _TICKS = 11_644_473_600, 10_000_000  # of a FILETIME, which counts 100 ns from 1601
# Relative ids of users and groups with administrative rights (MS-ADTS 6.1.1.6 and 3.1.1.6.1).
_ADMINISTRATORS = {*range(498, 503), 512, *range(516, 522), 526, 527, 544, *range(547, 553), 557, 578}
# Groups that have rights without such an id; the rule includes nested groups.
_WITH_RIGHTS = "(&(member:1.2.840.113556.1.4.1941:={})(|(adminCount=1)(sAMAccountName=DnsAdmins)(cn=AWS *)))"

# Rules of the domain by their names in fine-grained policies.
_OF_DOMAIN = {
    "LockoutObservationWindow": "lockOutObservationWindow",
    "LockoutThreshold": "lockoutThreshold",
    "MinimumPasswordAge": "minPwdAge",
}

Entry = dict[str, list[bytes]]


class DomainController(Directory):
    """A connection to one domain controller."""

    def _login_error(self, where: str) -> RotatorFailure | SecretFormatError:
        return data_code_failure(self._result, self._said, where)

    def _change_error(self, user: str) -> RotatorFailure:
        return password_failure(self._result, self._said, user)


@contextmanager
def logged_in(secret: Secret, settings: Settings, engine: Engine) -> Iterator[ActiveDirectorySession]:
    """Log into the domain controller that a secret names, over TLS.

    Args:
        secret: user, password and target.
        settings: settings of the function: trusted certificates and ALLOWED_TARGETS.
        engine: engine with the default port.

    Yields:
        The session, which is closed at the end of the block.

    Raises:
        CredentialsRejected, TargetUnavailable, TargetRefused, SecretFormatError: see Engine.login.
    """
    require_tls(secret)
    login = LdapLogin.of(secret, settings, engine, login_name(secret))
    with connected(login, time.monotonic() + SESSION_SECONDS, DomainController) as controller:
        yield ActiveDirectorySession(
            controller, login, secret.text("username"), secret.text("for_domain", "none")
        )


class ActiveDirectorySession:
    """One login.

    Args:
        controller: the logged-in connection.
        login: user that logged in.
        username: username of the secret.
        users_domain: ``domain`` of the value whose user an admin changes; ``none`` if it has none.
    """

    behind_pooler = False

    def __init__(
        self, controller: DomainController, login: LdapLogin, username: str, users_domain: str
    ) -> None:
        self._controller, self._login = controller, login
        self._username, self._users_domain = username, users_domain

    @property
    def account(self) -> str:
        """See Session.account."""
        return self._username

    def check(self, other: str = "") -> None:
        """See Session.check. Reads the user's own entry, so a session without any right is found."""
        del other
        self._own_entry()

    def require_ordinary(self, user: str) -> None:
        """See Administers.require_ordinary. Includes the groups of groups."""
        entry = self._entry(
            user, "adminCount", "userAccountControl", "objectClass", "msDS-AllowedToDelegateTo"
        )
        _require_person(entry, user)
        name = _text(entry, "distinguishedname")
        groups = (self._controller.read(name, "tokenGroups") or {}).get("tokengroups")
        if not groups:
            raise _lacks("read on the users' tokenGroups")
        identities = {_relative_id(each) for each in (*groups, *entry.get("objectsid", ()))}
        condition = _WITH_RIGHTS.format(escape_filter_chars(name))
        if _number(entry, "admincount") or identities & _ADMINISTRATORS or self._search(condition, "cn"):
            raise TargetRefused(
                f"user {user!r} has, or had, administrative rights by a group",
                reason="administrator",
                remedy="Reset the password of an administrator by hand, then store it (PutSecretValue).",
            )

    def require_resettable(self, user: str, rejected: Collection[str], *, tls: bool) -> None:
        """See Administers.require_resettable. Nothing shows whether a password is right."""
        del rejected, tls
        entry = self._entry(user, "userAccountControl", "accountExpires")
        if _control(entry) & _DISABLED:
            raise TargetRefused(
                f"user {user!r} is disabled",
                reason="locked",
                remedy="Ask who disabled it. To enable it: Enable-ADAccount, as administrator.",
            )
        expires = _number(entry, "accountexpires")
        if expires not in _NEVER and _age(expires) > 0:
            raise TargetRefused(
                f"the account of user {user!r} has expired, and a new password does not change that",
                reason="account-expired",
                remedy="Set accountExpires to a later time, as administrator, then rotate.",
            )

    def rejections_allowed(self, user: str) -> int | None:
        """See Administers.rejections_allowed. One, if this session may not read the user's policy."""
        policy = self._policy(self._entry(user, "msDS-ResultantPSO"), "LockoutThreshold")
        if policy is None:
            return 1
        most = _number(policy, "lockoutthreshold")
        return most - 1 if most else None

    def rejections_counted(self, user: str) -> int:
        """See CountsRejections.rejections_counted."""
        entry = self._entry(user, "msDS-ResultantPSO", "badPwdCount", "badPasswordTime")
        policy = self._policy(entry, "LockoutObservationWindow") or {}
        window = -_number(policy, "lockoutobservationwindow") / _TICKS
        expired = window and _age(_number(entry, "badpasswordtime")) > window
        return 0 if expired else _number(entry, "badpwdcount")

    def directory_user(self) -> tuple[str, str]:
        """Return the domain of the logged-in user, in lower case, and its sAMAccountName.

        Returns:
            The DNS name of the domain, and the name that is unique in it.

        Raises:
            TargetRefused: the directory does not show the user's own entry.
        """
        return self._domain(), _text(self._own_entry(), "samaccountname")

    def set_credential(self, user: str, credential: str) -> None:
        """Make a password the user's only one, and unlock a user whose password an admin resets.

        See Changes.set_credential.
        """
        if user != self._username:
            self._reset(user, credential)
        else:
            self._change(credential)

    def _change(self, new: str) -> None:
        entry = self._own_entry("pwdLastSet", "msDS-ResultantPSO")
        changes: Changes = {
            "unicodePwd": [
                (ldap3.MODIFY_DELETE, [_encoded(self._login.password)]),
                (ldap3.MODIFY_ADD, [_encoded(new)]),
            ]
        }
        try:
            self._controller.modify(_text(entry, "distinguishedname"), changes)
        except TargetRefused as error:
            # Windows gives one code for all rules.
            if error.reason == "quality" and self._is_too_young(entry):
                raise too_young() from None
            raise

    def _is_too_young(self, entry: Entry) -> bool:
        policy = self._policy(entry, "MinimumPasswordAge")
        least = -_number(policy or {}, "minimumpasswordage") / _TICKS
        return _age(_number(entry, "pwdlastset")) < least

    def _policy(self, entry: Entry, *rules: str) -> Entry | None:
        """Rules of the policy that applies to a user: its fine-grained one, or the domain's.

        Args:
            entry: entry of the user, with msDS-ResultantPSO.
            rules: names in a fine-grained policy, without prefix.

        Returns:
            The values by name in lower case; None if the user has a policy that this session may not read.
        """
        own = _text(entry, "msds-resultantpso")
        names = {rule: f"msDS-{rule}" if own else _OF_DOMAIN[rule] for rule in rules}
        found = self._controller.read(own or self._base(), *names.values()) or {}
        if own and not found:
            return None
        return {rule.lower(): found.get(name.lower(), []) for rule, name in names.items()}

    def _reset(self, user: str, new: str) -> None:
        entry = self._entry(user, "lockoutTime")
        if entry.get("objectsid") == self._own_entry().get("objectsid"):
            raise IdentityMismatch("the secret that masterarn names is for the user that is being rotated")
        changes: Changes = {"unicodePwd": [(ldap3.MODIFY_REPLACE, [_encoded(new)])]}
        if _number(entry, "lockouttime"):
            changes["lockoutTime"] = [(ldap3.MODIFY_REPLACE, ["0"])]
        self._controller.modify(_text(entry, "distinguishedname"), changes)

    def _own_entry(self, *attributes: str) -> Entry:
        """Return the entry of the user that the server logged in, by the session's first identifier."""
        session = self._controller.read("", "tokenGroups") or {}
        identity = next(iter(session.get("tokengroups", ())), b"")
        return self._only(self._login.user, f"(objectSid={escape_bytes(identity)})", *attributes)

    def _entry(self, user: str, *attributes: str) -> Entry:
        """Return the entry of a user, by the names with which it logs in."""
        local, _, domain = user.rpartition("@")
        if not local:
            local, domain = user, self._domain_of_users()
        names = [f"(userPrincipalName={escape_filter_chars(f'{local}@{domain}')})"]
        if domain.lower() == self._domain():
            names.append(f"(sAMAccountName={escape_filter_chars(local)})")
        return self._only(user, f"(&(objectClass=user)(|{''.join(names)}))", *attributes)

    def _only(self, user: str, condition: str, *attributes: str) -> Entry:
        found = self._search(condition, "distinguishedName", "objectSid", "sAMAccountName", *attributes)
        if len(found) != 1:
            raise TargetRefused(
                f"the directory shows {'several entries' if found else 'no entry'} with the name {user!r}",
                reason="no-user",
                remedy="Correct the username of the secret, create the user, or let the session read it.",
            )
        return found[0]

    def _search(self, condition: str, *attributes: str) -> list[Entry]:
        found = self._controller.search(self._base(), condition, *attributes)
        if self._controller.denied:
            raise _lacks("read on users and groups")
        return list(found)

    def _domain_of_users(self) -> str:
        """Return the domain that completes the names of users, which must be this one."""
        domain = self._domain()
        if self._users_domain.lower() not in {"none", domain}:
            raise IdentityMismatch(
                f"the secret's domain is {self._users_domain!r}, and the server is of {domain!r}",
                reason="directory",
                remedy="Correct domain or host in the secret (PutSecretValue), then rotate again.",
            )
        return domain

    def _base(self) -> str:
        return _text(self._controller.read("", "defaultNamingContext") or {}, "defaultnamingcontext")

    def _domain(self) -> str:
        """DNS name of the domain, in lower case."""
        parts = (part.partition("=")[2] for part in self._base().split(","))
        return ".".join(parts).lower()


def _encoded(password: str) -> bytes:
    return f'"{password}"'.encode("utf-16-le")


def _text(entry: Entry, attribute: str) -> str:
    return next((each.decode() for each in entry.get(attribute, ())), "")


def _number(entry: Entry, attribute: str) -> int:
    return int(_text(entry, attribute) or 0)


def _control(entry: Entry) -> int:
    if "useraccountcontrol" not in entry:
        raise _lacks("read on the users' userAccountControl")
    return _number(entry, "useraccountcontrol")


def _require_person(entry: Entry, user: str) -> None:
    """Refuse computers, domain controllers and trusts, and who may act as other users (delegation)."""
    delegates = _control(entry) & _NOT_ORDINARY or entry.get("msds-allowedtodelegateto")
    if delegates or b"computer" in entry.get("objectclass", ()):
        raise TargetRefused(
            f"user {user!r} is a computer or a trust, or may act as other users (delegation)",
            reason="administrator",
            remedy="Reset its password by hand, then store it (PutSecretValue).",
        )


def _age(moment: int) -> float:
    """Seconds since a FILETIME."""
    return time.time() + _SECONDS_TO_1970 - moment / _TICKS


def _relative_id(identity: bytes) -> int:
    """Return the last part of a security identifier."""
    return int.from_bytes(identity[-4:], "little")


def _lacks(right: str) -> TargetRefused:
    return TargetRefused(
        f"the session lacks the right {right}",
        reason="admin-rights",
        remedy="Give the admin this right, and Reset password on the users.",
    )
