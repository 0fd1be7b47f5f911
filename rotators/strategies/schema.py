"""The JSON Schema of an engine's secrets, generated from what the engine declares.

The schema is for editors and for checks outside AWS. It accepts every value that `EngineRotator.check_value`
accepts, and it refuses missing members and members of the wrong type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotators.core.secret import AWS_NAMES
from rotators.strategies.credential import Password
from rotators.strategies.engine import identifiers_of, members_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rotators.strategies.engine import Engine

_TEXT = {"type": "string", "minLength": 1}
# One host name or address: no blanks, no URL or path, no port. See `host_of`.
_HOST = {
    "type": "string",
    "pattern": r"^[^\s/]+$",
    "not": {"pattern": r"^([^:]+|\[.*\]):[0-9]+$"},
}
# A number or its digits, from 1 to 65535. See `port_of`.
_DIGITS = r"^(?!0+$)([0-5]?[0-9]{1,4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$"
_PORT = {
    "anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string", "pattern": _DIGITS}]
}
_FLAG = {
    "anyOf": [
        {"type": "boolean"},
        {"type": "string", "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"},
    ]
}
_OPTIONAL: dict[str, tuple[dict[str, Any], str]] = {
    "masterarn": (_TEXT, "ARN of the admin's secret."),
    "alternate_username": (_TEXT, "An existing second user, used instead of a clone."),
    "admin_host": (_HOST, "Host where credentials are changed, if `host` is a pooler or proxy."),
    "admin_port": (_PORT, "Port where credentials are changed; default: `port`."),
    "ssl": (_FLAG, "false permits an unencrypted connection; default: true."),
    "sslrootcert": (_TEXT, "File with trusted certificates."),
    "server_public_key": (_TEXT, "The server's RSA key in PEM, for logins without TLS that need one."),
    "start_tls": (_FLAG, "true begins without TLS and negotiates it before the login (StartTLS)."),
    "clear_text": (_FLAG, "true permits sending a new password in clear text, inside TLS only."),
}


def secret_schema(engine: Engine) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the secrets of an engine.

    Args:
        engine: a credential type.

    Returns:
        The schema, in types of JSON. It permits members that it does not name.
    """
    names = sorted(engine.names)
    strategies = [strategy.name for strategy in engine.strategies]
    identifiers = identifiers_of(engine)
    renamed = _aws_names(engine)
    needed = [*([] if identifiers else ["host"]), "username", *engine.credential.fields]
    required = [key for key in needed if key not in renamed]
    members: dict[str, dict[str, Any]] = {
        "engine": {"enum": names, "description": "Selects the rotator. Without it, ROTATOR does."},
        "host": {**_HOST, "description": "Host name or address of the server."},
        "port": {**_PORT, "description": "Port of the server.", "default": engine.default_port},
        "username": {
            **_TEXT,
            "maxLength": engine.longest_username,
            "description": f"The user whose credential is rotated; {engine.longest_username} bytes at most.",
        },
        **{field: _credential(engine) for field in engine.credential.fields},
        **{
            key: {**_TEXT, "description": "Part of the target's address.", "default": default}
            for key, default in engine.target_defaults.items()
        },
        "strategy": {"enum": strategies, "description": "Who changes whose credential."},
        **{key: {**_TEXT, "description": "Names the target in AWS, without `host`."} for key in identifiers},
        **{key: {**schema, "description": text} for key, (schema, text) in _OPTIONAL.items()},
        **{key: {**_TEXT, "description": text} for key, text in members_of(engine).items()},
    }
    members |= {
        theirs: {**members[ours], "description": f"AWS's name of `{ours}`."}
        for ours, theirs in renamed.items()
    }
    either = [_one_of([[key], [renamed[key]]]) for key in needed if key in renamed]
    return {
        "title": f"Secret of {' or '.join(names)}",
        "type": "object",
        "required": required,
        **(_one_of([["host"], *(["engine", key] for key in identifiers)]) if identifiers else {}),
        **({"allOf": either} if either else {}),
        "properties": {
            key: schema if key in required else _or_absent(schema) for key, schema in members.items()
        },
    }


def _aws_names(engine: Engine) -> dict[str, str]:
    """AWS's names of members by ours, for an engine that has a target of this kind; otherwise empty."""
    ours = {ours: theirs for theirs, ours in AWS_NAMES.items()}
    return ours if ours.keys() & engine.target_defaults.keys() else {}


def _one_of(choices: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Require all members of one of several lists."""
    present = {"not": {"enum": [None, ""]}}
    return {
        "anyOf": [{"required": list(keys), "properties": dict.fromkeys(keys, present)} for keys in choices]
    }


def _credential(engine: Engine) -> dict[str, Any]:
    # Other kinds of credentials declare the names of their members only.
    kind = _TEXT if isinstance(engine.credential, Password) else {}
    return {**kind, "description": "The credential; a rotation replaces it.", "writeOnly": True}


def _or_absent(schema: dict[str, Any]) -> dict[str, Any]:
    """Also permit null and the empty string, which mean that the member is absent."""
    about: dict[str, Any] = {key: schema[key] for key in ("description", "default") if key in schema}
    rule = {key: value for key, value in schema.items() if key not in about}
    choices = rule["anyOf"] if set(rule) == {"anyOf"} else [rule]
    return {**about, "anyOf": [*choices, {"enum": [None, ""]}]}
