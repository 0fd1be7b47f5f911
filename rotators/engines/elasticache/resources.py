"""The resources of AWS that have a credential: users of ElastiCache and MemoryDB, and replication groups."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.core.errors import (
    AccessDenied,
    IdentityMismatch,
    SecretFormatError,
    TargetRefused,
    TargetUnavailable,
)
from rotators.core.secret import Secret
from rotators.logins.target import host_of

_ACTIVE = "active"
_PASSWORD = "password"  # noqa: S105 - a kind of authentication
_BUSY = {"InvalidUserState", "InvalidReplicationGroupState"}
_MISSING = {"UserNotFound", "ReplicationGroupNotFound"}


class State(NamedTuple):
    """The description of a resource in AWS.

    Attributes:
        arn: its ARN.
        user: name of the user that logs in with the credential.
        status: ``active`` if no change is under way.
        kind: ``password`` if logins need one.
        attached: True if a user group or access control list contains the user.
        hosts: names of its endpoints; None if AWS does not report them with it.
    """

    arn: str
    user: str
    status: str
    kind: str
    attached: bool
    hosts: frozenset[str] | None = None


class CacheResource(ABC):
    """A resource that a secret names.

    Args:
        arn: its ARN.
        name: the part of the ARN that the API identifies it by.
        host: host of the secret, in lower case.

    Attributes:
        newest_two: True if AWS keeps the newest two credentials; otherwise a change replaces all.
    """

    newest_two: ClassVar[bool] = False

    def __init__(self, arn: str, name: str, host: str) -> None:
        self.arn, self._name, self._host = arn, name, host
        self._service = arn.split(":")[2]

    def require_ready(self) -> str:
        """Check that the credential can be changed now, and that a login proves it.

        Returns:
            Name of the user that logs in with it.

        Raises:
            TargetUnavailable: a change is under way (reason ``propagating``). A later attempt may succeed.
            TargetRefused: there is no such resource, or it has no password.
            IdentityMismatch: the ARN is of another account or Region, or the host is of another resource.
            StoreError: the API failed.
        """
        state = self._state()
        if state.arn != self.arn:
            raise IdentityMismatch(
                f"the function's account has {state.arn} and not {self.arn}",
                reason="user-arn",
                remedy="Correct the ARN in the secret, or set TARGET_ROLE_ARN; then rotate again.",
            )
        if state.hosts is not None and self._host not in state.hosts:
            # A login there would prove a password of another resource, and this one would be changed.
            raise IdentityMismatch(
                f"{self._host} is no endpoint of {self.arn}",
                reason="user-arn",
                remedy="Correct host or the ARN in the secret (PutSecretValue), then rotate again.",
            )
        if state.kind != _PASSWORD:
            raise TargetRefused(
                f"{self.arn} has no password (authentication: {state.kind}), so a login proves nothing",
                reason="no-password",
                remedy="Give it a password or AUTH token with AWS's API and store it (PutSecretValue), then"
                " rotate; or turn rotation off.",
            )
        if not state.attached:
            raise TargetRefused(
                f"{self.arn} is in no user group or access control list, so no cache knows it",
                reason="no-group",
                remedy="Add the user to the group of the cache, then rotate again.",
            )
        if state.status != _ACTIVE:
            raise self._propagating()
        return state.user

    @abstractmethod
    def change(self, old: str, new: str) -> None:
        """Start the change after which both credentials log in.

        Args:
            old: the credential of AWSCURRENT.
            new: the pending credential.

        Raises:
            TargetUnavailable: another change is under way (reason ``propagating``); nothing was changed.
            TargetRefused, StoreError: the API refused it; nothing was changed.
        """

    def keep_only(self, token: str, *, newest: bool) -> bool:
        """Start the change after which a credential that works is the only one, or the newest of two.

        Args:
            token: the credential of AWSCURRENT.
            newest: True if an earlier call in this rotation made it the newest.

        Returns:
            True if it is made the newest of two, so that another call is needed.

        Raises:
            NotImplementedError: the resource has no ``newest_two``.
            TargetRefused: also if AWS does not keep the newest one alone; nothing was changed.
            TargetUnavailable, StoreError: as for ``change``.
        """
        raise NotImplementedError

    @abstractmethod
    def _state(self) -> State: ...

    @contextmanager
    def _calling(self, action: str) -> Iterator[Any]:
        """Yield the client of the service; errors of its calls in the block are translated."""
        client = clients.of_cache(self._service)
        try:
            with translated(action, self.arn):
                try:
                    yield client
                except client.exceptions.ClientError as error:
                    code = _code(error)
                    if code in _BUSY:
                        raise self._propagating() from None
                    if code in _MISSING:
                        raise self._missing() from None
                    raise
        except AccessDenied as error:
            remedy = f"Give the function's role {self._service}:{action} on {self.arn}."
            raise AccessDenied(
                error.cause, remedy=None if error.reason else remedy, reason=error.reason
            ) from None

    def _propagating(self) -> TargetUnavailable:
        return TargetUnavailable(
            f"AWS has not yet ended a change of {self.arn}",
            reason="propagating",
            remedy="Wait some minutes: Secrets Manager repeats the step. Or rotate again.",
        )

    def _missing(self) -> TargetRefused:
        return TargetRefused(
            f"AWS knows no {self.arn}",
            reason="no-user",
            remedy="Correct the ARN in the secret, or create the resource; then rotate again.",
        )


class CacheUser(CacheResource):
    """A user of ElastiCache (RBAC) or MemoryDB.

    Attributes:
        identity: member of the API that identifies a user.
        name: member that has the name of the user.
        groups: member with the user groups or access control lists that contain the user.
    """

    identity: ClassVar[str] = "UserId"
    name: ClassVar[str] = "UserName"
    groups: ClassVar[str] = "UserGroupIds"

    def change(self, old: str, new: str) -> None:
        """See Resource.change."""
        with self._calling("ModifyUser") as api:
            api.modify_user(UserId=self._name, Passwords=[old, new])

    def _state(self) -> State:
        with self._calling("DescribeUsers") as api:
            found = api.describe_users(**{self.identity: self._name})["Users"][0]
            kind, attached = found["Authentication"]["Type"], bool(found.get(self.groups))
            return State(found["ARN"], found[self.name], found["Status"], kind, attached)


class MemoryDbUser(CacheUser):
    """A user of MemoryDB, which its name identifies."""

    identity, name, groups = "UserName", "Name", "ACLNames"

    def change(self, old: str, new: str) -> None:
        """See Resource.change."""
        mode = {"Type": _PASSWORD, "Passwords": [old, new]}
        with self._calling("UpdateUser") as api:
            api.update_user(UserName=self._name, AuthenticationMode=mode)


class AuthToken(CacheResource):
    """The AUTH token of a replication group, which is the password of its user ``default``."""

    newest_two = True

    def change(self, old: str, new: str) -> None:
        """See Resource.change. ``old`` has to be the newest token: ROTATE removes the older one."""
        del old
        with self._calling("ModifyReplicationGroup") as api:
            self._modify(api, new, "ROTATE")

    def keep_only(self, token: str, *, newest: bool) -> bool:
        """See Resource.keep_only.

        AWS may accept SET only for the newest token. If it refuses, ROTATE makes this token the newest.
        """
        with self._calling("ModifyReplicationGroup") as api:
            try:
                self._modify(api, token, "SET")
            except api.exceptions.ClientError as error:
                if not _code(error).startswith("InvalidParameter"):
                    raise
                if newest:
                    raise self._not_alone() from None
                self._modify(api, token, "ROTATE")
                return True
            return False

    def _not_alone(self) -> TargetRefused:
        return TargetRefused(
            f"AWS refuses SET of the current AUTH token of {self.arn}, and another stored token works too",
            reason="tokens",
            remedy="Store the token of the last ROTATE (PutSecretValue), then rotate again.",
        )

    def _modify(self, api: Any, token: str, strategy: str) -> None:
        api.modify_replication_group(
            ReplicationGroupId=self._name,
            AuthToken=token,
            AuthTokenUpdateStrategy=strategy,
            ApplyImmediately=True,  # otherwise the change waits for the maintenance window
        )

    def _state(self) -> State:
        with self._calling("DescribeReplicationGroups") as api:
            found = api.describe_replication_groups(ReplicationGroupId=self._name)
            group = found["ReplicationGroups"][0]
            pending = group.get("PendingModifiedValues", {}).get("AuthTokenStatus")
            ready = group["Status"] == "available" and not pending
            kind = _PASSWORD if group.get("AuthTokenEnabled") else "no AUTH token"
            status = _ACTIVE if ready else group["Status"]
            return State(group["ARN"], "default", status, kind, attached=True, hosts=_hosts(group))


_KINDS: dict[tuple[str, str], tuple[str, type[CacheResource]]] = {
    ("elasticache", "user_arn"): ("user:", CacheUser),
    ("elasticache", "replication_group_arn"): ("replicationgroup:", AuthToken),
    ("memorydb", "user_arn"): ("user/", MemoryDbUser),
}
"""The part of an ARN before the name, and the class, by service and member of the secret."""


def named(secret: Secret, service: str, members: Iterable[str]) -> CacheResource:
    """Return the resource that a secret names.

    Args:
        secret: value.
        service: name of AWS's service.
        members: members of a secret of this service that can have the ARN.

    Raises:
        SecretFormatError: it names none or several, the ARN is of another kind, or the host is wrong.
    """
    found = [key for key in members if key in secret]
    if len(found) != 1:
        raise SecretFormatError(f"the secret needs exactly one of the keys {', '.join(map(repr, members))}")
    arn, (start, kind) = secret.text(found[0]), _KINDS[service, found[0]]
    form = rf"arn:[a-z-]+:{service}:[a-z0-9-]+:[0-9]{{12}}:{start}([^:/\s]+)"
    matched = re.fullmatch(form, arn)
    if matched is None:
        raise SecretFormatError(f"key {found[0]!r} of the secret is no ARN of the form {form}")
    return kind(arn, matched[1], host_of(secret))


def _hosts(group: dict[str, Any]) -> frozenset[str]:
    """Return the names of the endpoints of a replication group."""
    nodes = group.get("NodeGroups", [])
    members = [member for node in nodes for member in node.get("NodeGroupMembers", [])]
    endpoints = [
        group.get("ConfigurationEndpoint"),
        *(node.get(key) for node in nodes for key in ("PrimaryEndpoint", "ReaderEndpoint")),
        *(member.get("ReadEndpoint") for member in members),
    ]
    return frozenset(each["Address"].lower() for each in endpoints if each and each.get("Address"))


def _code(error: Any) -> str:
    """Return the code of a boto3 ClientError, as ElastiCache and MemoryDB write it."""
    return str(error.response["Error"]["Code"]).removesuffix("Fault")
