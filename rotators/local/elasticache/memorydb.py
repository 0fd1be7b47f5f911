"""Users of MemoryDB: CreateACL, and the passwords and the status of a user.

Sources: MemoryDB API reference, CreateACL, UpdateUser.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.memorydb.exceptions import (
    InvalidParameterValueException,
    MemoryDBClientError,
    UserNotFoundFault,
)
from moto.memorydb.responses import MemoryDBResponse

from rotators.local.elasticache.changes import ChangesUnderWay, acceptable

if TYPE_CHECKING:
    from collections.abc import Callable

    from moto.memorydb.models import MemoryDBUser

    from rotators.local.options import Options
    from rotators.local.replacements import Replacements

    _Operation = Callable[[MemoryDBResponse], ActionResult]


def install(replacements: Replacements, options: Options, _client: Callable[..., Any]) -> None:
    """Replace functions of moto.

    Args:
        replacements: keeps the originals.
        options: options of the local AWS.
    """
    operations: dict[str, Callable[..., ActionResult]] = {
        "create_acl": _create_acl,
        "create_user": _create_user,
        "delete_user": _delete_user,
        "describe_users": _describe_users,
        "update_user": _update_user,
    }
    ChangesUnderWay(options, "memorydb").install(replacements, MemoryDBResponse, operations)


def _user(response: MemoryDBResponse, name: str) -> MemoryDBUser:
    user: MemoryDBUser | None = response.memorydb_backend.users.get(name)
    if user is None:
        raise UserNotFoundFault(msg=f"User {name} not found.")
    return user


def _passwords(params: dict[str, Any]) -> list[str]:
    passwords: list[str] = params.get("AuthenticationMode", {}).get("Passwords", [])
    if passwords and not acceptable(passwords):
        raise InvalidParameterValueException(msg="Passwords length must be between 16-128 characters.")
    return passwords


def _create_user(changes: ChangesUnderWay, moto: _Operation, response: MemoryDBResponse) -> ActionResult:
    params = json.loads(response.body)
    passwords, answer = _passwords(params), moto(response)
    changes.credentials[_user(response, params["UserName"]).arn] = passwords
    return answer


def _create_acl(changes: ChangesUnderWay, _moto: object, response: MemoryDBResponse) -> ActionResult:
    params = json.loads(response.body)
    name, users = params["ACLName"], params.get("UserNames", [])
    for user in [_user(response, each) for each in users]:
        user.acl_names.append(name)
        if user.authentication["Type"] == "password":
            changes.create(user.user_name, user.access_string, changes.credentials[user.arn])
    return ActionResult({"ACL": {"Name": name, "Status": "active", "UserNames": users}})


def _update_user(changes: ChangesUnderWay, moto: _Operation, response: MemoryDBResponse) -> ActionResult:
    params = json.loads(response.body)
    user, passwords = _user(response, params["UserName"]), _passwords(params)
    if changes.under_way(user.arn):
        message = f"User {user.user_name} has status modifying. Only active users can be modified."
        raise MemoryDBClientError("InvalidUserStateFault", message)

    def effect() -> None:
        changes.credentials[user.arn] = passwords
        if user.acl_names and passwords:
            changes.set_passwords(user.user_name, passwords)

    answer = moto(response)
    changes.begin(user, "active", effect)
    return answer


def _describe_users(changes: ChangesUnderWay, moto: _Operation, response: MemoryDBResponse) -> ActionResult:
    if name := json.loads(response.body).get("UserName"):
        changes.describe(_user(response, name).arn)
    return moto(response)


def _delete_user(changes: ChangesUnderWay, moto: _Operation, response: MemoryDBResponse) -> ActionResult:
    changes.delete(json.loads(response.body)["UserName"])
    return moto(response)
