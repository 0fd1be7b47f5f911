"""A gateway that speaks MongoDB's wire protocol and stores users with the extension documentdb of PostgreSQL.

It is test code. Names, passwords and logins (SCRAM-SHA-256) are the extension's. The extension knows two sets
of roles, and neither customData, authenticationRestrictions, mechanisms nor users per database. The gateway
keeps these in a table, in the transaction that changes the user, and applies them. The role `no-own-password`
marks users that may not change their own password, as in MongoDB; the extension's users may change it.

Run by `mongodb.py` as a process: ``python mongodb_gateway.py SETTINGS``, a JSON file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

if __name__ == "__main__":  # the packages of the process that started this one
    _settings = json.loads(Path(sys.argv[1]).read_text())
    sys.path[:] = _settings["path"]

import asyncio
import base64
import contextlib
import ipaddress
import secrets
import ssl
import struct
from collections.abc import AsyncIterator
from typing import Any

import bson
import psycopg
from bson import json_util
from psycopg import sql

TABLE = "CREATE TABLE gateway_users (name text, db text, fields jsonb, PRIMARY KEY (name, db))"
_ADMINISTRATORS = {"root", "userAdmin", "userAdminAnyDatabase"}
_ADMINISTERED = ("roles", "customData", "authenticationRestrictions")
"""Fields of a user that only administrators may change."""
_MECHANISMS = ["SCRAM-SHA-1", "SCRAM-SHA-256"]
"""Mechanisms that MongoDB sets for a user with a new password; here, no login with the first one works."""
_CONNECTIONS = 4
_INTERNAL = "documentdb_api_internal"
_STORED_ROLES = [{"role": "readAnyDatabase", "db": "admin"}]


class Refused(Exception):
    """An answer that refuses a command."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class GatewayStore:
    """Connections to the PostgreSQL, each for one transaction at a time.

    Args:
        address: connection string.
    """

    def __init__(self, address: str) -> None:
        self._address, self._idle = address, asyncio.Queue[Any]()
        for _ in range(_CONNECTIONS):
            self._idle.put_nowait(None)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Run the block in a transaction, and yield the connection."""
        connection = await self._idle.get()
        try:
            connection = connection or await psycopg.AsyncConnection.connect(self._address)
            async with connection.transaction():
                yield connection
        finally:
            self._idle.put_nowait(connection)


class GatewaySession:
    """One connection of a client.

    Args:
        store: PostgreSQL.
        address: address of the client.
    """

    def __init__(self, store: GatewayStore, address: str) -> None:
        self._store, self._address = store, address
        self.user: tuple[str, str] | None = None
        self._conversation: dict[str, str] = {}

    async def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a command."""
        name = next(iter(command))
        try:
            return {**await self._run(name, command), "ok": 1.0}
        except Refused as refused:
            return {"ok": 0.0, "code": refused.code, "errmsg": str(refused)}

    async def _run(self, name: str, command: dict[str, Any]) -> dict[str, Any]:
        if name in {"ping", "endSessions"}:
            return {}
        before_login = {
            "hello": self._hello,
            "isMaster": self._hello,
            "ismaster": self._hello,
            "saslStart": self._sasl_start,
            "saslContinue": self._sasl_continue,
        }
        if name not in before_login and self.user is None:
            raise Refused(13, f"Command {name} requires authentication")
        after_login = {
            "connectionStatus": self._status,
            "usersInfo": self._info,
            "createUser": self._create,
            "updateUser": self._update,
            "dropUser": self._drop,
            "testSessions": self._sessions,
        }
        run = {**before_login, **after_login}.get(name)
        if run is None:
            raise Refused(59, f"no such command: '{name}'")
        async with self._store.transaction() as store:
            return await run(store, command)

    async def _hello(self, store: Any, command: dict[str, Any]) -> dict[str, Any]:
        db, _, name = command.get("saslSupportedMechs", "").partition(".")
        found = await _user(store, name, db)
        return {
            **({"saslSupportedMechs": found["mechanisms"]} if found else {}),
            "ismaster": True,
            "isWritablePrimary": True,
            "helloOk": True,
            "maxBsonObjectSize": 16777216,
            "maxMessageSizeBytes": 48000000,
            "maxWriteBatchSize": 100000,
            "minWireVersion": 0,
            "maxWireVersion": 21,
        }

    async def _sasl_start(self, store: Any, command: dict[str, Any]) -> dict[str, Any]:
        if command["mechanism"] != "SCRAM-SHA-256":
            raise Refused(18, "Authentication failed.")
        bare = bytes(command["payload"]).decode().split(",", 2)[2]
        fields = dict(each.split("=", 1) for each in bare.split(","))
        name = fields["n"].replace("=2C", ",").replace("=3D", "=")
        self._conversation = {"name": name, "db": command["$db"], "bare": bare}
        role = role_name(name, command["$db"])
        found = await _call(store, f"{_INTERNAL}.scram_sha256_get_salt_and_iterations", role)
        if not found["ok"]:
            found = {"salt": base64.b64encode(secrets.token_bytes(28)).decode(), "iterations": 4096}
        first = f"r={fields['r']}{secrets.token_urlsafe(18)},s={found['salt']},i={found['iterations']}"
        self._conversation["first"] = first
        return {"conversationId": 1, "done": False, "payload": first.encode()}

    async def _sasl_continue(self, store: Any, command: dict[str, Any]) -> dict[str, Any]:
        said, (without, proof) = self._conversation, bytes(command["payload"]).decode().rsplit(",p=", 1)
        message = ",".join([said["bare"], said["first"], without])
        role = role_name(said["name"], said["db"])
        found = await _call(store, f"{_INTERNAL}.authenticate_with_scram_sha256", role, message, proof)
        if not found["ok"] or not await self._admitted(store, said["name"], said["db"]):
            raise Refused(18, "Authentication failed.")
        self.user = said["name"], said["db"]
        SESSIONS.append(self)
        return {"conversationId": 1, "done": True, "payload": f"v={found['ServerSignature']}".encode()}

    async def _admitted(self, store: Any, name: str, db: str) -> bool:
        found = await _user(store, name, db)
        for each in (found or {}).get("authenticationRestrictions") or ():
            sources = [ipaddress.ip_network(source) for source in each.get("clientSource", ())]
            if sources and not any(ipaddress.ip_address(self._address) in source for source in sources):
                return False
        return found is not None

    async def _administers(self, store: Any) -> bool:
        found = await _user(store, *self.user) if self.user else None
        return any(role["role"] in _ADMINISTRATORS for role in (found or {}).get("roles", ()))

    async def _status(self, store: Any, command: dict[str, Any]) -> dict[str, Any]:
        assert self.user is not None  # noqa: S101 - test code
        name, db = self.user
        actions = [
            {"resource": {"db": "", "collection": ""}, "actions": ["anyAction"]}
            if await self._administers(store)
            else {"resource": {"db": "shop", "collection": ""}, "actions": ["find"]}
        ]
        shown = {"authenticatedUserPrivileges": actions} if command.get("showPrivileges") else {}
        return {"authInfo": {"authenticatedUsers": [{"user": name, "db": db}], **shown}}

    async def _info(self, store: Any, command: dict[str, Any]) -> dict[str, Any]:
        about = command["usersInfo"]
        name, db = (about["user"], about["db"]) if isinstance(about, dict) else (about, command["$db"])
        if (name, db) != self.user and not await self._administers(store):
            raise Refused(13, "not authorized to execute usersInfo")
        found = await _user(store, name, db)
        return {"users": [found] if found else []}

    async def _create(self, store: Any, command: dict[str, Any]) -> dict[str, Any]:
        if not await self._administers(store):
            raise Refused(13, "not authorized to execute createUser")
        name, db = command["createUser"], command["$db"]
        if await _user(store, name, db):
            raise Refused(51003, "user exists")
        await _call(store, "documentdb_api.create_user", new_user(role_name(name, db), command["pwd"]))
        await store.execute("INSERT INTO gateway_users VALUES (%s, %s, '{\"roles\": []}')", (name, db))
        await _describe(store, name, db, command)
        return {}

    async def _update(self, store: Any, command: dict[str, Any]) -> dict[str, Any]:
        name, db = command["updateUser"], command["$db"]
        administers, own = await self._administers(store), (name, db) == self.user
        found = await _user(store, name, db)
        if not administers and (command.keys() & set(_ADMINISTERED) or _may_not(found, own=own)):
            raise Refused(13, "not authorized to execute updateUser")
        if found is None:
            raise Refused(11, "user not found")
        if "pwd" in command:
            if not administers:  # the extension decides, with the rights of the user
                assert self.user is not None  # noqa: S101 - test code
                await store.execute(
                    sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role_name(*self.user)))
                )
            spec = {"updateUser": role_name(name, db), "pwd": command["pwd"]}
            await _call(store, "documentdb_api.update_user", json_util.dumps(spec))
            await store.execute("RESET ROLE")
        await _describe(store, name, db, command)
        return {}

    async def _drop(self, store: Any, command: dict[str, Any]) -> dict[str, Any]:
        if not await self._administers(store):
            raise Refused(13, "not authorized to execute dropUser")
        name, db = command["dropUser"], command["$db"]
        if not await _user(store, name, db):
            raise Refused(11, "user not found")
        await store.execute("DELETE FROM gateway_users WHERE name = %s AND db = %s", (name, db))
        await _call(store, "documentdb_api.drop_user", json_util.dumps({"dropUser": role_name(name, db)}))
        return {}

    async def _sessions(self, store: Any, command: dict[str, Any]) -> dict[str, Any]:
        del store
        return {"n": sum(each.user == (command["testSessions"], command["$db"]) for each in SESSIONS)}


SESSIONS: list[GatewaySession] = []
"""Logged-in connections."""


def role_name(name: str, db: str) -> str:
    """Return the name in PostgreSQL of a user; users of other databases than ``admin`` have longer ones.

    Args:
        name: name of the user.
        db: database of the user.
    """
    return name if db == "admin" else f"{name}@{db}"


def new_user(role: str, password: str) -> str:
    """Return the argument of the extension's create_user.

    Args:
        role: name in PostgreSQL of the user.
        password: in clear text.
    """
    return json_util.dumps({"createUser": role, "pwd": password, "roles": _STORED_ROLES})


def _may_not(found: dict[str, Any] | None, *, own: bool) -> bool:
    return found is not None and own and any(each["role"] == "no-own-password" for each in found["roles"])


async def _user(store: Any, name: str, db: str) -> dict[str, Any] | None:
    found = await store.execute("SELECT fields FROM gateway_users WHERE name = %s AND db = %s", (name, db))
    row = await found.fetchone()
    return (
        {"_id": f"{db}.{name}", "user": name, "db": db, "mechanisms": _MECHANISMS, **row[0]} if row else None
    )


async def _describe(store: Any, name: str, db: str, command: dict[str, Any]) -> None:
    """Store the fields of a command about a user."""
    fields = {key: command[key] for key in (*_ADMINISTERED, "mechanisms") if key in command}
    if "pwd" in command:
        fields.setdefault("mechanisms", _MECHANISMS)
    await store.execute(
        "UPDATE gateway_users SET fields = fields || %s WHERE name = %s AND db = %s",
        (json.dumps(fields), name, db),
    )


async def _call(store: Any, function: str, *arguments: str) -> dict[str, Any]:
    places = ", ".join(["%s"] * len(arguments))
    try:
        found = await store.execute(f"SELECT {function}({places})", arguments)
        (said,) = await found.fetchone()
    except psycopg.Error as error:
        raise Refused(13 if error.sqlstate == "42501" else 8, error.sqlstate or "") from None
    text = said.decode() if isinstance(said, bytes) else said
    return bson.decode(bytes.fromhex(text.removeprefix("BSONHEX")))


async def _serve(store: GatewayStore, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    session = GatewaySession(store, writer.get_extra_info("peername")[0])
    try:
        while True:
            length, number, _, kind = struct.unpack("<iiii", await reader.readexactly(16))
            body = await reader.readexactly(length - 16)
            if kind == 2013:  # noqa: PLR2004 - OP_MSG
                answer = b"\0\0\0\0\0" + bson.encode(await session.answer(bson.decode(body[5:])))
            else:  # OP_QUERY, with which drivers ask for the kind of the server
                asked = bson.decode(body[body.index(b"\0", 4) + 9 :])
                answer = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(await session.answer(asked))
            kind = kind if kind == 2013 else 1  # noqa: PLR2004 - OP_MSG; OP_REPLY
            writer.write(struct.pack("<iiii", 16 + len(answer), 1, number, kind) + answer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        if session in SESSIONS:
            SESSIONS.remove(session)
        writer.close()


async def _main(settings: dict[str, Any]) -> None:
    context = None
    if settings["certificate"]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(settings["certificate"], settings["key"])
    store = GatewayStore(settings["store"])
    server = await asyncio.start_server(
        lambda reader, writer: _serve(store, reader, writer),
        ["127.0.0.1", "127.0.0.2"],
        settings["port"],
        ssl=context,
    )
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(_settings))
