"""The environment variables of a program, from a secret."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping

from rotators.core.secret import Secret
from rotators.manage.errors import EnvironmentUnsuited

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Variables with which the writer of a secret could make the program run something else. sudo removes those of
# shells, linkers, resolvers, terminals, Perl, Python, Ruby and Java too (its env.c, initial_badenv_table).
_DECIDING = re.compile(
    r"PATH|IFS|ENV|BASH_ENV|BASHOPTS|SHELLOPTS|PS4|PROMPT_COMMAND|GLOBIGNORE|CDPATH|FPATH|(?:READ)?NULLCMD|ZDOTDIR"
    r"|(?:LD|LDR|_RLD|DYLD|GIT|AWS)_.*|(?:SH)?LIBPATH|GCONV_PATH|GLIBC_TUNABLES|LOCALDOMAIN|RES_OPTIONS"
    r"|HOSTALIASES|NLSPATH|PATH_LOCALE|TERM(?:INFO|INFO_DIRS|PATH|CAP)|KRB5_CONFIG"
    r"|PYTHON.*|PERL(?:5.*|LIB|IO_DEBUG)|RUBY(?:OPT|LIB)|NODE_(?:OPTIONS|PATH)|CLASSPATH|LUA_INIT.*"
    r"|(?:_|JDK_)JAVA_OPTIONS|JAVA_TOOL_OPTIONS|DOTNET_STARTUP_HOOKS|PHPRC|PHP_INI_SCAN_DIR|OPENSSL_CONF"
    r"|EDITOR|VISUAL|PAGER|LESS(?:OPEN|CLOSE)|MAKEFLAGS"
)


def variables(secret: Secret, mapping: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Return environment variables with members of a secret.

    Args:
        secret: the secret.
        mapping: names of variables to names of members; empty for all members that are strings, numbers or
            booleans, by their names in capital letters, except those that would replace a variable of
            this process or decide what a program runs.
        prefix: beginning of the names of variables, for an empty mapping.

    Returns:
        Variables and values in clear text.

    Raises:
        EnvironmentUnsuited: a member is missing, a name is unsuited or used twice, or a value contains a
            character that no environment can contain.
    """
    members = secret.stored()
    chosen = mapping or _all(members, prefix)
    found: dict[str, str] = {}
    for variable, member in chosen.items():
        if not _VARIABLE.fullmatch(variable):
            raise EnvironmentUnsuited(f"{variable!r} is not the name of a variable")
        if member not in members:
            raise EnvironmentUnsuited(f"the secret has no member {member!r}")
        value = members[member]
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
            raise EnvironmentUnsuited(
                f"the member {member!r} contains a character that an environment variable cannot contain"
            )
        found[variable] = text
    return found


def _all(members: Mapping[str, object], prefix: str) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for member, value in members.items():
        if not isinstance(value, str | int | float):
            continue
        variable = prefix + re.sub(r"\W", "_", member, flags=re.ASCII).upper()
        if variable in chosen:
            raise EnvironmentUnsuited(f"the members {chosen[variable]!r} and {member!r} are both {variable}")
        if variable in os.environ or _DECIDING.fullmatch(variable):
            raise EnvironmentUnsuited(
                f"the member {member!r} would become {variable}, and this variable changes how programs run",
                remedy=f"Use --prefix, or name the members with --map, such as --map {variable}={member}.",
            )
        chosen[variable] = member
    return chosen
