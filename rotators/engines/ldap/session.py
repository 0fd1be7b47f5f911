"""One login to a directory, and the changes that a user or an admin makes."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import ldap3
from ldap3.utils.conv import escape_filter_chars

from rotators.core.errors import (
    CredentialsRejected,
    IdentityMismatch,
    SecretFormatError,
    TargetRefused,
    TargetUnavailable,
)
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.ldap.connection import PASSWORD_POLICY, Changes, Directory, LdapLogin, connected
from rotators.engines.ldap.hashes import SCHEMES, hashed, matches, scheme_of
from rotators.engines.ldap.names import normalized, same_name
from rotators.logins.causes import failure
from rotators.logins.connecting import SESSION_SECONDS
from rotators.strategies.engine import Engine

_PERMANENTLY = b"000001010000Z"  # slapo-ppolicy(5), pwdAccountLockedTime
_GROUPS = ("member", "uniqueMember", "roleOccupant")


@contextmanager
def logged_in(secret: Secret, settings: Settings, engine: Engine) -> Iterator[LdapSession]:
    """Log into the directory that a secret names.

    Args:
        secret: user, password and target.
        settings: settings of the function: the trusted certificates.
        engine: engine with the default port.

    Yields:
        The session, which is closed at the end of the block.

    Raises:
        CredentialsRejected, TargetUnavailable, TargetRefused, SecretFormatError: see Engine.login.
    """
    login = LdapLogin.of(secret, settings, engine, _name(secret))
    scheme = _scheme(secret)
    until = time.monotonic() + SESSION_SECONDS
    with connected(login, until, Directory) as directory:
        yield LdapSession(directory, login, scheme, until)


class LdapSession:
    """One login.

    Args:
        directory: the logged-in connection.
        login: user that logged in.
        scheme: scheme of new values, as the secret names it; empty for the scheme of the present value.
        until: end of the session, by ``time.monotonic``.
    """

    behind_pooler = False

    def __init__(self, directory: Directory, login: LdapLogin, scheme: str, until: float) -> None:
        self._directory, self._login, self._scheme, self._until = directory, login, scheme, until

    @property
    def account(self) -> str:
        """See Session.account."""
        return self._login.user

    def check(self, other: str = "") -> None:
        """See Session.check. A user that may not read its own entry has logged in all the same."""
        del other
        user = self._login.user
        if self._directory.must_change:
            raise failure("must-change", f"the session of {user!r}")
        self._require_same_user()
        self._directory.read(user)

    def _require_same_user(self) -> None:
        """Check that the server logged in the user by the name that the secret has."""
        name, user = self._directory.who_am_i(), self._login.user
        if name and not same_name(name, user):
            raise TargetRefused(
                f"the session is of {name!r}, not of {user!r}",
                reason="user",
                remedy="Store the name that the server uses as username (PutSecretValue), then rotate again.",
            )

    def require_ordinary(self, user: str) -> None:
        """See Administers.require_ordinary. Groups give rights, so a member of one is not ordinary."""
        self._entry(user)
        asserted = escape_filter_chars(user)
        condition = "".join(f"({attribute}={asserted})" for attribute in _GROUPS)
        for context in self._contexts():
            if self._directory.search(context, f"(|{condition})"):
                raise TargetRefused(
                    f"user {user!r} is a member of a group, which may give it administrative rights",
                    reason="administrator",
                    remedy="Reset the password of a group's member by hand, then store it (PutSecretValue).",
                )
            if self._directory.denied:
                raise _lacks(f"read on the groups below {context}")

    def require_resettable(self, user: str, rejected: Collection[str], *, tls: bool) -> None:
        """See Administers.require_resettable. Needs to read the stored passwords."""
        del tls
        found = self._entry(user, "userPassword", "pwdAccountLockedTime")
        if _PERMANENTLY in found.get("pwdaccountlockedtime", ()):
            raise TargetRefused(
                f"user {user!r} is locked by an administrator (pwdAccountLockedTime)",
                reason="locked",
                remedy="Ask who locked it. To unlock it, delete pwdAccountLockedTime as administrator.",
            )
        stored = found.get("userpassword")
        if not stored:
            raise _lacks("read on userPassword")
        answers = {matches(value, password) for value in stored for password in rejected}
        if True in answers and found.get("pwdaccountlockedtime"):
            raise failure("blocked", f"a login of {user!r}")
        if True in answers:
            raise TargetRefused(
                f"a password of {user!r} that was rejected is right",
                reason="correct-password",
                remedy="If it was set in the meantime, rotate again after ten minutes. Otherwise, look for an"
                " access rule that keeps the user out.",
            )
        if None in answers:
            raise TargetRefused(
                f"the password of {user!r} has a scheme that cannot be compared",
                reason="unknown-hash",
                remedy="Reset the password by hand, then store it (PutSecretValue).",
            )

    def rejections_allowed(self, user: str) -> int | None:
        """See Administers.rejections_allowed. Only a user's own policy is known, not the server's default."""
        entry = self._directory.read(user, "pwdPolicySubentry") or {}
        for policy in entry.get("pwdpolicysubentry", ()):
            found = self._directory.read(policy.decode(), "pwdMaxFailure", "pwdLockout") or {}
            most = int(next(iter(found.get("pwdmaxfailure", ())), b"0"))
            if most and b"TRUE" in found.get("pwdlockout", ()):
                return most - 1
        return None

    def set_credential(self, user: str, credential: str) -> None:
        """Make a password the user's only one. See Changes.set_credential."""
        if user == self._login.user:
            self._require_same_user()
            self._directory.change_own_password(credential)
        else:
            self._replace(user, [credential])

    def set_pair(self, user: str, old: str, new: str) -> None:
        """See KeepsTwo.set_pair."""
        self._replace(user, [old, new])

    def _replace(self, user: str, passwords: Sequence[str]) -> None:
        """Set all passwords of a user in one operation.

        Args:
            user: whose.
            passwords: all that the user has afterwards; the last is the new one.
        """
        by_admin = user != self._login.user
        self._require_same_user()
        if by_admin and same_name(self._entry_name(user), self._login.user):
            raise IdentityMismatch("the secret that masterarn names is for the user that is being rotated")
        stored = (self._directory.read(user, "userPassword") or {}).get("userpassword", [])
        scheme = self._scheme or next(
            (each for each in map(scheme_of, stored) if each in SCHEMES), SCHEMES[0]
        )
        values = [hashed(password, scheme) for password in passwords]
        changes: Changes = {"userPassword": [(ldap3.MODIFY_REPLACE, values)]}
        if by_admin and self._has_policy():
            changes["pwdReset"] = [(ldap3.MODIFY_REPLACE, ["FALSE"])]
        if scheme == SCHEMES[0]:
            self._directory.modify(user, changes)
            return
        # With the other changes: a reset would otherwise mark the password as one that must be changed.
        self._directory.modify(user, {**changes, "userPassword": [(ldap3.MODIFY_ADD, values[-1:])]})
        try:
            self._prove(user, passwords[-1], scheme)
            self._modify_again(user, changes)
        except TargetRefused:
            self._directory.modify(user, {"userPassword": [(ldap3.MODIFY_DELETE, values[-1:])]})
            raise

    def _modify_again(self, user: str, changes: Changes) -> None:
        """Change an entry again. ppolicy dates its history in seconds, and refuses two changes in one."""
        try:
            self._directory.modify(user, changes)
        except TargetUnavailable as error:
            if error.reason != "changed-meanwhile":
                raise
            time.sleep(1.0)
            self._directory.modify(user, changes)

    def _prove(self, user: str, password: str, scheme: str) -> None:
        """Log in with an added value: a server without the scheme's module takes the value, but no login."""
        login = replace(self._login, user=user, password=password)
        try:
            with connected(login, self._until, Directory):
                pass
        except CredentialsRejected:
            raise TargetRefused(
                f"the server accepts no login with a password of the scheme {scheme}",
                reason="unknown-hash",
                remedy="Load the scheme's module at the server, or change password_hash in the secret.",
            ) from None

    def _entry(self, user: str, *attributes: str) -> dict[str, list[bytes]]:
        found = self._directory.read(user, *attributes)
        if found is None:
            raise TargetRefused(
                f"there is no entry {user!r}, or the admin may not read it",
                reason="no-user",
                remedy="Correct the username of the secret, create the entry, or give the admin the right.",
            )
        return found

    def _entry_name(self, user: str) -> str:
        """Return the name of a user as the server writes it; as given if the server does not show it."""
        found = self._directory.read(user, "entryDN") or {}
        return next((each.decode() for each in found.get("entrydn", ())), user)

    def _contexts(self) -> list[str]:
        """All naming contexts of the server: groups of one may have members of another."""
        contexts = (self._directory.read("", "namingContexts") or {}).get("namingcontexts", [])
        if not contexts:
            raise _lacks("read on the server's own entry (namingContexts)")
        return [each.decode() for each in contexts]

    def _has_policy(self) -> bool:
        found = self._directory.read("", "supportedControl") or {}
        return PASSWORD_POLICY.encode() in found.get("supportedcontrol", ())


def _lacks(right: str) -> TargetRefused:
    return TargetRefused(
        f"the admin lacks the right {right}",
        reason="admin-rights",
        remedy="Give the admin manage on userPassword, and read on users, groups and the root DSE.",
    )


def _name(secret: Secret) -> str:
    user = secret.text("username")
    if normalized(user) is None:
        raise SecretFormatError(
            "key 'username' of the secret must be a DN, such as uid=app,dc=example,dc=org"
        )
    return user


def _scheme(secret: Secret) -> str:
    scheme = secret.text("password_hash", "auto").lower()
    if scheme not in {*SCHEMES, "auto"}:
        raise SecretFormatError(f"key 'password_hash' of the secret is none of {', '.join(SCHEMES)}")
    return "" if scheme == "auto" else scheme
