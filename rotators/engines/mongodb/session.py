"""One login to MongoDB, and the changes to users."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from rotators.core.errors import IdentityMismatch, TargetRefused, TargetUnavailable
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.mongodb.connection import CommandFailed, MongoConnection, connected, known_mechanisms
from rotators.engines.mongodb.messages import (
    NOT_PRIMARY,
    TIMED_OUT,
    UNAUTHORIZED,
    USER_EXISTS,
    USER_NOT_FOUND,
)
from rotators.engines.mongodb.users import MARK, changes_for, proves, require_ordinary_user
from rotators.logins.connecting import SESSION_SECONDS, trusted_roots
from rotators.logins.target import host_of, port_of
from rotators.strategies.engine import Engine
from rotators.strategies.preflight import Demands

_RESET = frozenset({"changePassword", "viewUser"})
_CONFIRMED = {"w": "majority", "wtimeout": 4000}  # milliseconds; a change of fewer members can be rolled back
_CLONE = frozenset({"createUser", "grantRole", "revokeRole", "changeCustomData"})


@contextmanager
def logged_in(secret: Secret, settings: Settings, engine: Engine) -> Iterator[MongoSession]:
    """Log into the server that a secret names, or into the primary of its replica set.

    Args:
        secret: user, password and target.
        settings: settings of the function: trusted certificates, and ALLOWED_TARGETS for the primary.
        engine: engine with the default port.

    Yields:
        The session, which is closed at the end of the block.

    Raises:
        CredentialsRejected, TargetUnavailable, TargetRefused, SecretFormatError: see Engine.login.
        IdentityMismatch: ALLOWED_TARGETS does not name the primary.
    """
    user, database = secret.text("username"), secret.text("dbname", "admin")
    password, roots = secret.text("password"), trusted_roots(secret, settings, "SSL_CERT_FILE")
    until = time.monotonic() + SESSION_SECONDS
    with ExitStack() as stack:
        address = host_of(secret), port_of(secret, engine.default_port)
        connection = stack.enter_context(connected(*address, roots, until))
        about = connection.hello(user, database)
        replica_set = secret.text("replicaSet") if "replicaSet" in secret else about.get("setName")
        _require_set(connection, about, replica_set)
        if not _writable(about):
            host, port = _primary(connection, about)
            if not settings.names(host, port):
                raise IdentityMismatch(
                    f"{connection} is no primary, and the primary {host}:{port} that it names is not in"
                    " ALLOWED_TARGETS",
                    reason="not-allowed",
                    remedy="Add the addresses of all members to the function's ALLOWED_TARGETS, or store the"
                    " primary's address in the secret.",
                )
            connection = stack.enter_context(connected(host, port, roots, until))
            about = connection.hello(user, database)
            _require_set(connection, about, replica_set)
            if not _writable(about):
                raise _no_primary(connection)
        connection.log_in(user, password, database, about.get("saslSupportedMechs"))
        yield MongoSession(connection, (user, database), secret.text("for_dbname", database))


class MongoSession:
    """One login to a server that accepts changes.

    Args:
        connection: the logged-in connection.
        login: user that logged in, and its database.
        database: that the users belong to whose passwords are changed.
    """

    behind_pooler = False

    def __init__(self, connection: MongoConnection, login: tuple[str, str], database: str) -> None:
        self._connection, self._login, self._database = connection, login, database

    @property
    def account(self) -> str:
        """See Session.account. The database is that of the secret."""
        return self._login[0]

    def check(self, other: str = "") -> None:
        """See Session.check."""
        del other
        found = self._status().get("authenticatedUsers")
        users = [(each.get("user"), each.get("db")) for each in found or [] if isinstance(each, dict)]
        if self._login not in users:
            raise TargetRefused(f"the session is not of {self.account!r}", reason="user")

    def require_ordinary(self, user: str) -> None:
        """See Administers.require_ordinary. Rights that roles inherit count too."""
        require_ordinary_user(user, self._require_user(user, showPrivileges=True))

    def require_resettable(self, user: str, rejected: Collection[str], *, tls: bool) -> None:
        """See Administers.require_resettable. The servers show no hashes, so only a rule is looked for."""
        del tls
        if not rejected:  # the user logged in, and may not change itself
            return
        found = self._require_user(user)
        inherited = found.get("inheritedAuthenticationRestrictions") or ()
        if found.get("authenticationRestrictions") or any(inherited):
            raise TargetRefused(
                f"the rejected password of {user!r} may be right: the user has authenticationRestrictions,"
                " and an address that they exclude gets the same answer as a wrong password",
                reason="access-rule",
                remedy="Compare them with the function's address. If they admit it, set the stored password"
                " by hand (updateUser), then rotate.",
            )

    def rejections_allowed(self, user: str) -> int | None:
        """See Administers.rejections_allowed. Neither server locks users."""
        del user
        return None

    def set_credential(self, user: str, credential: str) -> None:
        """See Changes.set_credential. Everything else of the user stays as it is."""
        self._run("updateUser", user, "changePassword", pwd=credential, **self._mechanisms(user))

    def ensure_clone(self, of: str, clone: str, credential: str) -> None:
        """See Clones.ensure_clone. Each of its two commands changes all of the clone, or nothing."""
        original, found = self._require_user(of), self._user(clone)
        changes = changes_for(found or {}, original, of)
        fields = {**changes, **self._mechanisms(of), "pwd": credential}
        if found is None:
            self._run("createUser", clone, "createUser, grantRole", **{"roles": [], **fields})
            return
        if (found.get("customData") or {}).get(MARK) != of:
            raise _no_clone(of, clone)
        rights = "changePassword, grantRole, revokeRole, changeCustomData" if changes else "changePassword"
        self._run("updateUser", clone, rights, **fields)

    def require_clone(self, of: str, clone: str) -> None:
        """See Clones.require_clone. Either of the two may be the original."""
        if not proves(self._require_user(of), of, self._require_user(clone), clone):
            raise _no_clone(of, clone)

    def writable(self) -> bool:
        """See Preflight.writable. A login ends at a primary, or fails."""
        return True

    def demands(self) -> Demands:
        """See Preflight.demands. Neither server validates passwords beyond the engine's limits."""
        return Demands()

    def missing_for_reset(self, user: str) -> str:
        """See Preflight.missing_for_reset."""
        self._require_user(user)
        return self._missing(_RESET)

    def missing_for_clone(self, of: str) -> str:
        """See ClonePreflight.missing_for_clone."""
        self._require_user(of)
        return self._missing(_RESET | _CLONE)

    def _missing(self, actions: frozenset[str]) -> str:
        """Return the actions that the admin lacks; empty too if the server does not list its privileges."""
        listed = self._status(showPrivileges=True).get("authenticatedUserPrivileges")
        if not isinstance(listed, list):
            return ""
        held: set[str] = set()
        for each in listed:
            place = each.get("resource", {})
            if place.get("anyResource") or place.get("db") in {"", self._database}:
                held.update(each.get("actions", ()))
        return "" if "anyAction" in held else ", ".join(sorted(actions - held))

    def _status(self, **options: bool) -> dict[str, Any]:
        found = self._answer("connectionStatus", 1, self._login[1], **options)
        status = found.get("authInfo")
        return status if isinstance(status, dict) else {}

    def _mechanisms(self, user: str) -> dict[str, list[str]]:
        """Return the field that keeps the mechanisms of a user; without it, a new password gets all of them.

        Mechanisms that the server has turned off are not listed, and it would refuse them.
        """
        found = known_mechanisms(self._connection.hello(user, self._database).get("saslSupportedMechs"))
        return {"mechanisms": found} if found else {}

    def _user(self, user: str, **options: bool) -> dict[str, Any] | None:
        name = {"user": user, "db": self._database}
        try:
            found = self._run("usersInfo", name, "viewUser", showAuthenticationRestrictions=True, **options)
        except TargetRefused as refused:
            if refused.reason != "statement":
                raise
            # A server without these restrictions refuses the field.
            found = self._run("usersInfo", name, "viewUser", **options)
        users = found.get("users")
        return users[0] if users else None

    def _require_user(self, user: str, **options: bool) -> dict[str, Any]:
        found = self._user(user, **options)
        if found is None:
            raise self._no_user(user)
        return found

    def _run(self, command: str, about: object, rights: str, **fields: object) -> dict[str, Any]:
        """Run a command about a user.

        Args:
            command: its name.
            about: the user's name, or its name and database.
            rights: the actions that it needs; shown in the error.
            **fields: further fields.

        Raises:
            TargetRefused: the right is missing, the user is missing, or the server refuses the command.
            TargetUnavailable: the server is no longer a primary, or the change did not end in time.
        """
        if command in {"createUser", "updateUser"}:
            fields["writeConcern"] = _CONFIRMED
        try:
            answer = self._answer(command, about, self._database, **fields)
        except CommandFailed as refused:
            raise self._refusal(refused.code, command, about, rights) from None
        if "writeConcernError" in answer:
            raise TargetUnavailable(
                f"{self._connection} changed the user, and the other members have not confirmed it",
                reason="not-replicated",
            )
        return answer

    def _answer(self, command: str, about: object, database: str, **fields: object) -> dict[str, Any]:
        """Run a command; a server that could answer later is unavailable, and refuses nothing."""
        try:
            return self._connection.run(command, about, database, **fields)
        except CommandFailed as refused:
            if refused.code in NOT_PRIMARY:
                raise _no_primary(self._connection) from None
            if refused.code == TIMED_OUT:
                raise TargetUnavailable(
                    f"{self._connection} did not end {command} within {SESSION_SECONDS:.0f} seconds",
                    reason="silent",
                ) from None
            raise

    def _refusal(self, code: int, command: str, about: object, rights: str) -> TargetRefused:
        if code == USER_NOT_FOUND:
            return self._no_user(str(about))
        if code == USER_EXISTS:
            return TargetRefused(
                f"user {about!r} was created meanwhile", reason="changed-meanwhile", remedy="Rotate again."
            )
        if code == UNAUTHORIZED and about == self.account:
            return TargetRefused(
                f"user {about!r} may not change its own password",
                reason="admin-needed",
                remedy="Name an admin's secret in masterarn, with strategy single or alternating; or give the"
                " user a role with the action changeOwnPassword.",
            )
        if code == UNAUTHORIZED:
            return TargetRefused(
                f"user {self.account!r} may not run {command} in database {self._database!r}",
                reason="admin-rights",
                remedy=f"Give the admin a role with these actions on that database: {rights}"
                " (userAdmin and userAdminAnyDatabase have them).",
            )
        return TargetRefused(f"{self._connection} refused {command} (error {code})", reason="statement")

    def _no_user(self, user: str) -> TargetRefused:
        return TargetRefused(
            f"there is no user {user!r} in database {self._database!r}",
            reason="no-user",
            remedy="Create the user, or correct the secret's dbname: the database that the user belongs to.",
        )


def _writable(about: dict[str, Any]) -> bool:
    return bool(about.get("isWritablePrimary") or about.get("ismaster"))


def _require_set(connection: MongoConnection, about: dict[str, Any], name: str | None) -> None:
    """Check that a server belongs to the replica set of the secret, or of the member that named it."""
    if about.get("setName") != name:
        raise TargetRefused(
            f"{connection} belongs to another replica set than {name!r}",
            reason="replica-set",
            remedy="Correct the secret's host or its replicaSet, or remove replicaSet.",
        )


def _primary(connection: MongoConnection, about: dict[str, Any]) -> tuple[str, int]:
    """Return the address of the primary that another member names."""
    host, _, port = str(about.get("primary", "")).rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:  # noqa: PLR2004 - the range of a TCP port
        raise _no_primary(connection)
    return host.lower().strip("[]"), int(port)


def _no_primary(connection: MongoConnection) -> TargetUnavailable:
    return TargetUnavailable(
        f"{connection} accepts no changes, and knows no primary that does",
        reason="no-primary",
        remedy="Name the primary as the secret's host (DocumentDB: the cluster endpoint). During an election,"
        " rotate again.",
    )


def _no_clone(of: str, clone: str) -> TargetRefused:
    return TargetRefused(
        f"user {clone!r} exists and is not the clone of {of!r}: its customData does not say so",
        reason="not-clone",
        remedy=f"If it is one: db.updateUser({clone!r}, {{customData: {{{MARK}: {of!r}}}}}), with its"
        " other customData. Else set alternate_username to another user.",
    )
