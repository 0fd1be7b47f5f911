"""Users as ``usersInfo`` shows them: administrators, clones, and what a clone has from its original."""

from __future__ import annotations

from typing import Any

from rotators.core.errors import TargetRefused

MARK = "rotators_clone_of"
"""Member of a clone's ``customData`` with its original's name."""

_ADMINISTRATORS = frozenset(
    {
        "__system",
        "clusterAdmin",
        "clusterManager",
        "dbOwner",
        "hostManager",
        "restore",
        "root",
        "userAdmin",
        "userAdminAnyDatabase",
    }
)
_ADMINISTRATIVE = frozenset(
    {
        "anyAction",
        "changePassword",
        "createRole",
        "createUser",
        "dropUser",
        "grantRole",
        "shutdown",
        "updateRole",
    }
)


def require_ordinary_user(user: str, found: dict[str, Any]) -> None:
    """Check that a user has no administrative rights.

    Args:
        user: its name.
        found: the user, with its privileges where the server shows them.

    Raises:
        TargetRefused: it has.
    """
    roles = {
        str(role.get("role")) for key in ("roles", "inheritedRoles") for role in found.get(key) or ()
    } & _ADMINISTRATORS
    actions = {
        action for each in found.get("inheritedPrivileges") or () for action in each.get("actions", ())
    } & _ADMINISTRATIVE
    if roles or actions:
        raise TargetRefused(
            f"user {user!r} has {', '.join(sorted(roles or actions))}, so it is an administrator",
            reason="administrator",
            remedy="Reset the password of an administrator by hand, then store it (PutSecretValue).",
        )


def changes_for(clone: dict[str, Any], original: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the fields of ``createUser`` or ``updateUser`` with which a clone acts as its original.

    A list replaces the whole list of the user, and Amazon DocumentDB does not know all fields. So fields
    without a difference are not sent.

    Args:
        clone: the clone; empty for a new one.
        original: the original user.
        name: its name.

    Returns:
        Fields by name, only those whose value differs; empty if the clone needs no change.
    """
    wanted = {
        "roles": [{"role": each["role"], "db": each["db"]} for each in original.get("roles") or ()],
        "customData": {**(original.get("customData") or {}), MARK: name},
        "authenticationRestrictions": original.get("authenticationRestrictions") or [],
    }
    return {key: value for key, value in wanted.items() if _unordered(clone.get(key)) != _unordered(value)}


def proves(one: dict[str, Any], name: str, other: dict[str, Any], other_name: str) -> bool:
    """Return True if the customData of one of two users names the other as its original.

    Args:
        one: a user.
        name: its name.
        other: the other user.
        other_name: its name.
    """
    marks = ((one.get("customData") or {}).get(MARK), (other.get("customData") or {}).get(MARK))
    return marks[0] == other_name or marks[1] == name


def _unordered(value: Any) -> Any:
    """Return a list without its order, empty if there is none; any other value as it is."""
    if isinstance(value, dict):
        return value
    return sorted(
        (sorted(each.items()) if isinstance(each, dict) and "role" in each else each for each in value or ()),
        key=str,
    )
