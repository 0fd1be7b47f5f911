"""Directory Service: ResetUserPassword, which moto lacks, in front of a real domain controller.

Importing this module loads moto's models. Source: Directory Service API reference, ResetUserPassword.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ldap3
from ldap3.utils.conv import escape_filter_chars
from moto.core.exceptions import JsonRESTError
from moto.core.responses import EmptyResult
from moto.ds.exceptions import EntityDoesNotExistException
from moto.ds.responses import DirectoryServiceResponse

from rotators.local.servers.activedirectory import ENABLED, SUFFIX, encoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.local.options import Options
    from rotators.local.replacements import Replacements


def install(replacements: Replacements, options: Options, _client: Callable[..., Any]) -> None:
    """Put the operation into moto.

    Args:
        replacements: keeps the originals.
        options: options of the local AWS: the servers behind the directories.
    """
    replacements.replace(DirectoryServiceResponse, "reset_user_password", _reset_user_password, options)


def _reset_user_password(options: Options, response: DirectoryServiceResponse) -> EmptyResult:
    ask = response._get_param  # noqa: SLF001 - as moto's own operations do
    identifier, account, password = ask("DirectoryId"), ask("UserName"), ask("NewPassword")
    directory = response.ds_backend.directories.get(identifier)
    if directory is None:
        raise EntityDoesNotExistException(f"Directory {identifier} does not exist")
    server = options.directories.get(directory.name)
    if server is None:
        raise JsonRESTError("DirectoryUnavailableException", "no server is behind the directory")
    admin = server.connect()
    try:
        _reset(admin, account, password)
    finally:
        admin.unbind()
    return EmptyResult()


def _reset(admin: ldap3.Connection, account: str, password: str) -> None:
    """Set the password of a user, and enable and unlock the user as AWS does."""
    admin.search(SUFFIX, f"(sAMAccountName={escape_filter_chars(account)})")
    found = [each["dn"] for each in admin.response if each["type"] == "searchResEntry"]
    if not found:
        raise JsonRESTError("UserDoesNotExistException", f"User {account} does not exist")
    values = {"unicodePwd": encoded(password), "userAccountControl": ENABLED, "lockoutTime": "0"}
    changes = {name: [(ldap3.MODIFY_REPLACE, [value])] for name, value in values.items()}
    if not admin.modify(found[0], changes):
        raise JsonRESTError("InvalidPasswordException", "The password does not fulfil the rules")
