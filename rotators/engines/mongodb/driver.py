"""The driver pymongo in applications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rotators.core.errors import InvalidInput
from rotators.core.secret import Secret
from rotators.engines.mongodb import MongoEngine
from rotators.engines.mongodb.messages import MESSAGES
from rotators.logins.arguments import application_settings, where
from rotators.logins.connecting import SYSTEM_ROOTS, trusted_roots
from rotators.logins.driver import Arguments, ClientSide, Driver, judge_of
from rotators.logins.target import port_of

_PORT = MongoEngine.default_port
_POSITIONAL = ("host", "port", "document_class", "tz_aware", "connect", "type_registry")
_NAMES = ("authSource", "password", "replicaSet", "tls", "tlsCAFile", "username")
_SPELLED = {"ssl": "tls", **{name.lower(): name for name in _NAMES}}
"""pymongo ignores the case of its options, and ``ssl`` is the older name of one of them."""


def _parameters(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``pymongo.MongoClient``, which follows a replica set."""
    roots = trusted_roots(secret, application_settings(), "SSL_CERT_FILE")
    found = {
        **where(secret, given),
        "port": port_of(secret, _PORT),
        "username": secret.text("username"),
        "password": secret.text("password"),
        "authSource": secret.text("dbname", MongoEngine.target_defaults["dbname"]),
        "tls": roots is not None,
    }
    if roots not in {None, SYSTEM_ROOTS}:
        found["tlsCAFile"] = roots
    if "replicaSet" in secret:
        found["replicaSet"] = secret.text("replicaSet")
    return found


def _named(args: tuple[Any, ...], given: dict[str, Any]) -> Arguments:
    """Return pymongo's arguments by name, as ``_parameters`` spells them; the URI of a host has no user."""
    given = {_SPELLED.get(name.lower(), name): value for name, value in given.items()}
    given = {**dict(zip(_POSITIONAL, args, strict=False)), **given}
    hosts = given.get("host")
    if any("@" in str(each) for each in (hosts if isinstance(hosts, list) else [hosts])):
        # It is not shown, because it may contain a password.
        raise InvalidInput(
            "a URI with a user given for pymongo", remedy="Leave the user out: it comes from the secret."
        )
    return args[len(_POSITIONAL) :], given


PYMONGO = Driver(
    "pymongo",
    _parameters,
    judge_of(MESSAGES),
    engine="mongodb",
    unpacked=_named,
    port=_PORT,
    reconnects=True,
)
CLIENT_SIDE = ClientSide(
    engines=dict.fromkeys(MongoEngine.names, "mongodb"),
    port=_PORT,
    messages=MESSAGES,
    drivers=(PYMONGO,),
)
