"""ElastiCache's users and AUTH tokens of replication groups, and the status of both.

Two facts about tokens are unknown, so the local AWS assumes the worst case for a rotation: a token that is
set a second time with ROTATE counts as the newest two, and a group without a token stays open after ROTATE.

Sources: ElastiCache API reference; ElastiCache User Guide, auth (ROTATE keeps the newest two; SET takes the
last one of ROTATE only; without ApplyImmediately the change waits for the maintenance window); the text of
InvalidUserState as https://github.com/hashicorp/terraform-provider-aws/issues/49726 shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.elasticache.exceptions import (
    ElastiCacheException,
    InvalidParameterValueException,
    PasswordTooShort,
    ReplicationGroupNotFound,
    UserNotFound,
)
from moto.elasticache.responses import ElastiCacheResponse

from rotators.local.elasticache.changes import ChangesUnderWay, acceptable

if TYPE_CHECKING:
    from collections.abc import Callable

    from moto.elasticache.models import ReplicationGroup, User

    from rotators.local.options import Options
    from rotators.local.replacements import Replacements

    _Operation = Callable[[ElastiCacheResponse], ActionResult]

_ACCESS = "on ~* &* +@all"
_LOOPBACK = "127.0.0.1"  # another name of the only server


class InvalidUserState(ElastiCacheException):
    """A change of the user is running."""

    code = "InvalidUserState"


class InvalidReplicationGroupState(ElastiCacheException):
    """A change of the group is running."""

    code = "InvalidReplicationGroupState"


def install(replacements: Replacements, options: Options, _client: Callable[..., Any]) -> None:
    """Replace functions of moto.

    Args:
        replacements: keeps the originals.
        options: options of the local AWS.
    """
    operations: dict[str, Callable[..., ActionResult]] = {
        "create_replication_group": _create_group,
        "create_user_group": _create_user_group,
        "delete_user": _delete_user,
        "describe_replication_groups": _describe_groups,
        "describe_users": _describe_users,
        "modify_replication_group": _modify_group,
        "modify_user": _modify_user,
    }
    ChangesUnderWay(options, "elasticache").install(replacements, ElastiCacheResponse, operations)


def _user(response: ElastiCacheResponse, user_id: str) -> User:
    user: User | None = response.elasticache_backend.users.get(user_id)
    if user is None:
        raise UserNotFound(user_id)
    return user


def _create_user_group(
    changes: ChangesUnderWay, _moto: object, response: ElastiCacheResponse
) -> ActionResult:
    params = response._get_params()  # noqa: SLF001 - as moto's own operations do
    group = params["UserGroupId"]
    for user in [_user(response, each) for each in params.get("UserIds", [])]:
        user.user_group_ids.append(group)
        if user.authentication_type == "password":
            changes.create(user.name, user.access_string, user.passwords)
    return ActionResult({"UserGroupId": group, "Status": "active", "UserIds": params.get("UserIds", [])})


def _modify_user(changes: ChangesUnderWay, _moto: object, response: ElastiCacheResponse) -> ActionResult:
    params = response._get_params()  # noqa: SLF001 - as moto's own operations do
    user = _user(response, params["UserId"])
    passwords = params.get("Passwords") or params.get("AuthenticationMode", {}).get("Passwords", [])
    if changes.under_way(user.arn):
        raise InvalidUserState(f"User {user.id} has status modifying. Only active users can be modified.")
    if not acceptable(passwords):
        raise PasswordTooShort if passwords else InvalidParameterValueException("No password was provided.")

    def effect() -> None:
        user.passwords = list(passwords)
        if user.user_group_ids:
            changes.set_passwords(user.name, passwords)

    changes.begin(user, "active", effect)
    return ActionResult(user)


def _describe_users(
    changes: ChangesUnderWay, moto: _Operation, response: ElastiCacheResponse
) -> ActionResult:
    if user_id := response._get_params().get("UserId"):  # noqa: SLF001 - as moto's own operations do
        changes.describe(_user(response, user_id).arn)
    return moto(response)


def _delete_user(changes: ChangesUnderWay, moto: _Operation, response: ElastiCacheResponse) -> ActionResult:
    user = _user(response, response._get_params()["UserId"])  # noqa: SLF001 - as moto's own operations do
    changes.delete(user.name)
    return moto(response)


def _group(response: ElastiCacheResponse) -> ReplicationGroup:
    name = response._get_param("ReplicationGroupId")  # noqa: SLF001 - as moto's own operations do
    group: ReplicationGroup | None = response.elasticache_backend.replication_groups.get(name)
    if group is None:
        raise ReplicationGroupNotFound(name)
    return group


def _create_group(changes: ChangesUnderWay, moto: _Operation, response: ElastiCacheResponse) -> ActionResult:
    answer, group = moto(response), _group(response)
    token = response._get_param("AuthToken")  # noqa: SLF001 - as moto's own operations do
    changes.credentials[group.arn] = [token] if token else []
    changes.create("default", _ACCESS, changes.credentials[group.arn])
    if server := changes.server:
        for node in group.node_groups:
            node["primary_endpoint"] = {"address": server.host, "port": group.port}
            node["reader_endpoint"] = {"address": _LOOPBACK, "port": group.port}
    return answer


def _describe_groups(
    changes: ChangesUnderWay, moto: _Operation, response: ElastiCacheResponse
) -> ActionResult:
    if response._get_param("ReplicationGroupId"):  # noqa: SLF001 - as moto's own operations do
        changes.describe(_group(response).arn)
    return moto(response)


def _modify_group(changes: ChangesUnderWay, moto: _Operation, response: ElastiCacheResponse) -> ActionResult:
    params = response._get_params()  # noqa: SLF001 - as moto's own operations do
    token = params.get("AuthToken")
    if token is None:
        return moto(response)
    group = _group(response)
    if changes.under_way(group.arn):
        raise InvalidReplicationGroupState(f"Replication group {group.replication_group_id} is modifying.")
    if str(params.get("ApplyImmediately")).lower() != "true":
        return ActionResult({"ReplicationGroup": group})
    tokens = changes.credentials[group.arn]
    if params.get("AuthTokenUpdateStrategy") == "SET":
        if list(tokens[-1:]) != [token]:
            raise InvalidParameterValueException("SET takes the token of the last ROTATE.")
        kept = [token]
    else:
        kept = [*tokens, token][-2:]

    def effect() -> None:
        changes.credentials[group.arn] = kept
        if tokens:
            changes.set_passwords("default", kept)

    changes.begin(group, "available", effect)
    return ActionResult({"ReplicationGroup": group})
