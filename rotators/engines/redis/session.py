"""One login to Redis or Valkey, and the changes that an admin makes on every node."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import redis

from rotators.core.errors import CredentialsRejected, IdentityMismatch, TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.redis.node import Node, RedisLogin, UserSession, connected
from rotators.engines.redis.nodes import lacks, other_nodes
from rotators.logins.connecting import SESSION_SECONDS
from rotators.logins.target import port_of
from rotators.strategies.engine import Engine
from rotators.strategies.preflight import Demands

_log = logging.getLogger("rotators")

_ADMINISTRATIVE = (
    ("ACL", "SETUSER", "rotators"),
    ("ACL", "DELUSER", "rotators"),
    ("CONFIG", "SET", "maxmemory", "0"),
    ("MODULE", "LOAD", "rotators.so"),
    ("DEBUG", "SLEEP", "0"),
    ("REPLICAOF", "NO", "ONE"),
    ("SHUTDOWN",),
)
"""A user that may run one of them is an administrator."""


@contextmanager
def logged_in(secret: Secret, settings: Settings, engine: Engine) -> Iterator[RedisSession]:
    """Log into the node that a secret names.

    Args:
        secret: user, password and target.
        settings: settings of the function: trusted certificates, and ALLOWED_TARGETS for the other nodes.
        engine: engine with the default port.

    Yields:
        The session, which is closed at the end of the block.

    Raises:
        CredentialsRejected, TargetUnavailable, TargetRefused, SecretFormatError: see Engine.login.
    """
    login = RedisLogin.of(secret, settings)
    until = time.monotonic() + SESSION_SECONDS
    with connected(secret.text("host"), port_of(secret, engine.default_port), login, until) as node:
        yield RedisSession(node, login, settings, until)


class RedisSession(UserSession):
    """One login. The changes are for an admin's session.

    Args:
        node: the logged-in connection.
        login: user that logged in; other nodes are reached in the same way.
        settings: settings of the function.
        until: end of the session, by ``time.monotonic``.
    """

    def __init__(self, node: Node, login: RedisLogin, settings: Settings, until: float) -> None:
        super().__init__(node, login)
        self._settings, self._until = settings, until

    def require_ordinary(self, user: str) -> None:
        """See Administers.require_ordinary. Needs ACL DRYRUN, which Redis has since version 7."""
        self._require_user(self._node, user)
        for command in _ADMINISTRATIVE:
            if self._may(user, command):
                raise TargetRefused(
                    f"user {user!r} may run {' '.join(command[:2])}, so it is an administrator",
                    reason="administrator",
                    remedy="Reset the password of an administrator by hand, then store it (PutSecretValue).",
                )

    def require_resettable(self, user: str, rejected: Collection[str], *, tls: bool) -> None:
        """See Administers.require_resettable."""
        del tls
        found = self._require_user(self._node, user)
        if "off" in found["flags"]:
            raise _disabled(user, self._node)
        if any(password_digest(password) in _digests(found) for password in rejected):
            raise TargetRefused(
                f"a password of {user!r} that was rejected is right by now",
                reason="correct-password",
                remedy="If it was set in the meantime, rotate again after ten minutes.",
            )

    def rejections_allowed(self, user: str) -> int | None:
        """See Administers.rejections_allowed. Neither server locks users."""
        del user
        return None

    def writable(self) -> bool:
        """See Preflight.writable. Users of a cluster can be changed on every node."""
        info: dict[str, Any] = _allowed(self._node, "+info", "INFO")
        return bool(info.get("cluster_enabled")) or info.get("role") == "master"

    def demands(self) -> Demands:
        """See Preflight.demands. Neither server validates passwords."""
        return Demands()

    def missing_for_reset(self, user: str) -> str:
        """See Preflight.missing_for_reset. Every node is asked."""
        with ExitStack() as stack:
            nodes = [self._node, *self._others(stack)]
            missing = [right for node in nodes for right in self._missing(node, user)]
        return " ".join(dict.fromkeys(missing))

    def forgets(self) -> str:
        """See Forgetful.forgets."""
        with ExitStack() as stack:
            nodes = [str(node) for node in (self._node, *self._others(stack)) if _forgets(node)]
        return f"no ACL file and no configuration file: {', '.join(nodes)}" if nodes else ""

    def _missing(self, node: Node, user: str) -> Iterator[str]:
        """Yield the rights that the admin lacks on a node, as rules of ``ACL SETUSER``."""
        self._require_password(node, user)
        try:
            # The server looks at the right before the rule, and changes nothing if a rule is invalid.
            node.run("ACL SETUSER", user, "rotators-check")
        except redis.exceptions.NoPermissionError:
            yield "+acl|setuser"
        except redis.ResponseError:
            pass
        needed: dict[str, tuple[str, ...]] = {"+acl|save": ("ACL", "SAVE")}
        if not _acl_file(node):
            needed["+config|rewrite"] = ("CONFIG", "REWRITE")
        if _replicates_as(node, user):
            needed["+config|set"] = ("CONFIG", "SET", "masterauth", "rotators-check")
        yield from (right for right, command in needed.items() if _lacks(node, self._login.user, command))

    def set_credential(self, user: str, credential: str) -> None:
        """Make a password the user's only one, on every node. See Changes.set_credential."""
        self._set(user, [credential])

    def set_pair(self, user: str, old: str, new: str) -> None:
        """See KeepsTwo.set_pair. Both passwords work on every node afterwards."""
        self._set(user, [old, new])

    def _set(self, user: str, passwords: Sequence[str]) -> None:
        """Set the passwords of a user on all nodes.

        Nothing is changed before every node has answered, has the user and can save it. A failure after that
        leaves some nodes changed; a repetition does the same again on all of them.

        Args:
            user: whose.
            passwords: all that the user has afterwards; the last is the new one.
        """
        with ExitStack() as stack:
            nodes = [self._node, *self._others(stack)]
            followers = [node for node in nodes if self._prepared(node, user)]
            rules = [f"#{password_digest(password)}" for password in passwords]
            for node in nodes:
                _allowed(node, "+acl|setuser", "ACL SETUSER", user, "resetpass", *rules)
            for node in followers:
                _allowed(node, "+config|set", "CONFIG SET", "masterauth", passwords[-1])
            for node in nodes:
                self._require_set(node, user, passwords)
                if not _saved(node):
                    _log.warning(
                        "%s has neither an ACL file nor a configuration file: a restart resets its users",
                        node,
                    )

    def _others(self, stack: ExitStack) -> Iterator[Node]:
        for host, port in other_nodes(self._node):
            if not self._settings.allows(host, port):
                raise IdentityMismatch(
                    f"the node {host}:{port} is not in ALLOWED_TARGETS",
                    reason="not-allowed",
                    remedy="Add the addresses of all nodes to the function's ALLOWED_TARGETS.",
                )
            yield stack.enter_context(connected(host, port, self._login, self._until))

    def _prepared(self, node: Node, user: str) -> bool:
        """Check that a node has the user and can save a change.

        Returns:
            True if the node logs into its primary as this user.
        """
        self._require_password(node, user)
        _saved(node)
        return _replicates_as(node, user)

    def _require_password(self, node: Node, user: str) -> None:
        if "nopass" in self._require_user(node, user)["flags"]:
            raise TargetRefused(
                f"user {user!r} has no password on {node} (nopass): every password is accepted",
                reason="no-password",
                remedy=f"Set the password that the applications use as administrator (ACL SETUSER {user}).",
            )

    def _require_user(self, node: Node, user: str) -> dict[str, Any]:
        found: dict[str, Any] | None = _allowed(node, "+acl|getuser", "ACL GETUSER", user)
        if not found:
            raise TargetRefused(
                f"there is no user {user!r} on {node}",
                reason="no-user",
                remedy="Create the user on every node; users are not replicated. Then rotate.",
            )
        return found

    def _require_set(self, node: Node, user: str, passwords: Sequence[str]) -> None:
        """Check that a node stores the passwords, and that a further node accepts the new one."""
        if _digests(self._require_user(node, user)) != {password_digest(each) for each in passwords}:
            raise TargetRefused(
                f"{node} has other passwords of {user!r} than were set",
                reason="changed-meanwhile",
                remedy="Find out who else changes this user, then rotate.",
            )
        if node is self._node:
            return  # testSecret logs into this node
        login = RedisLogin(user, passwords[-1], self._login.roots)
        try:
            with connected(node.host, node.port, login, self._until):
                pass
        except CredentialsRejected:
            raise _disabled(user, node) from None

    def _may(self, user: str, command: tuple[str, ...]) -> bool:
        try:
            said = self._node.run("ACL DRYRUN", user, *command)
        except redis.exceptions.NoPermissionError:
            raise lacks("+acl|dryrun", "see whether the user is an administrator") from None
        except redis.ResponseError as error:
            if "not found" in str(error):  # the server has no such command
                return False
            raise TargetRefused(
                "the server cannot tell whether the user is an administrator",
                reason="version",
                remedy="Upgrade the server to Redis 7 or Valkey, or set the password by hand and store it.",
            ) from None
        return bool(said == "OK")


def _disabled(user: str, node: Node) -> TargetRefused:
    return TargetRefused(
        f"user {user!r} is disabled on {node}",
        reason="locked",
        remedy=f"Ask who disabled it. To enable it: ACL SETUSER {user} on.",
    )


def password_digest(password: str) -> str:
    """Return the SHA-256 digest of a password as the servers store it: 64 lower-case hexadecimal digits.

    Args:
        password: in clear text.
    """
    return hashlib.sha256(password.encode()).hexdigest()


def _digests(found: dict[str, Any]) -> set[str]:
    return {str(each).removeprefix("#") for each in found["passwords"]}


def _allowed(node: Node, rights: str, *command: str) -> Any:
    """Run a command of an admin.

    Args:
        node: node that runs it.
        rights: the rules that it needs; shown in the error.
        *command: name and arguments.

    Raises:
        TargetRefused: the admin lacks the right, or the server refuses the command.
    """
    try:
        return node.run(*command)
    except redis.exceptions.NoPermissionError:
        raise lacks(rights, f"run {command[0]}") from None
    except redis.ResponseError:
        raise TargetRefused(f"{node} refused {command[0]}", reason="statement") from None


def _saved(node: Node) -> bool:
    """Save the users of a node, so that a restart keeps them.

    Returns:
        False if the node has neither an ACL file nor a configuration file.

    Raises:
        TargetRefused: the admin lacks the right to save, or the node cannot write its file.
    """
    ways = (
        ("ACL SAVE", "+acl|save +config|rewrite", "not configured to use an ACL file"),
        ("CONFIG REWRITE", "+config|rewrite", "without a config file"),
    )
    for command, rights, without_file in ways:
        try:
            node.run(command)
        except redis.exceptions.NoPermissionError:
            raise lacks(rights, "save the users") from None
        except redis.ResponseError as error:
            if without_file not in str(error):
                raise TargetRefused(
                    f"{node} cannot write the file of its users",
                    reason="not-saved",
                    remedy="Let the server write its ACL file or configuration file, then rotate.",
                ) from None
        else:
            return True
    return False


def _acl_file(node: Node) -> str:
    """Return the path of a node's ACL file; empty if it has none, or the admin may not read it."""
    try:
        return str(node.run("CONFIG GET", "aclfile").get("aclfile") or "")
    except redis.ResponseError:
        return ""


def _forgets(node: Node) -> bool:
    """Tell whether a node has no file to save its users in."""
    return not _acl_file(node) and not _allowed(node, "+info", "INFO").get("config_file")


def _lacks(node: Node, user: str, command: tuple[str, ...]) -> bool:
    """Tell whether a user lacks the right to run a command; False if this cannot be asked (ACL DRYRUN)."""
    try:
        return bool(node.run("ACL DRYRUN", user, *command) != "OK")
    except redis.ResponseError:
        return False


def _replicates_as(node: Node, user: str) -> bool:
    """Tell whether a node logs into its primary as a user."""
    try:
        found: dict[str, str] = node.run("CONFIG GET", "master[ua]*")
    except redis.exceptions.NoPermissionError:
        if user == "default":
            raise lacks("+config|get +config|set", "see who replicates") from None
        return False
    except redis.ResponseError:
        return False
    return bool(found.get("masterauth")) and (found.get("masteruser") or "default") == user
