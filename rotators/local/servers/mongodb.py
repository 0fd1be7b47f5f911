"""A private server with MongoDB's protocol on loopback: PostgreSQL with documentdb behind a gateway."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rotators.local.errors import ServerNotFound
from rotators.local.servers.files import write_private
from rotators.local.servers.private import PrivateServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymongo

ROLES = ({"role": "readWrite", "db": "shop"},)
"""Roles of a user of an application."""

_GATEWAY = Path(__file__).with_name("mongodb_gateway.py")
_SETTINGS = {
    "shared_preload_libraries": "pg_cron,pg_documentdb_core,pg_documentdb",
    "cron.database_name": "postgres",
    "documentdb.maxUserLimit": "500",
    "listen_addresses": "",
    "log_destination": "stderr",
    "logging_collector": "off",
    # The data is deleted with the process, so it need not survive a power failure.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


class _Store(PrivateServer):
    """The PostgreSQL that stores the users. It accepts logins only through its socket.

    Args:
        settings: further settings, which replace the defaults.
    """

    engine = "documentdb"
    tls = False
    ready_text = "database system is ready to accept connections"
    failed_texts = ("FATAL",)

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__()
        self._settings = {**_SETTINGS, **settings}

    @property
    def address(self) -> str:
        """Connection string."""
        return f"host={self.directory} port={self.port} user=postgres dbname=postgres"

    @classmethod
    def find(cls) -> Path:
        """Find a PostgreSQL with the extension documentdb in the directory that DOCUMENTDB_BIN names.

        Returns:
            The directory with initdb and postgres.

        Raises:
            ServerNotFound: there is none.
        """
        named = os.environ.get("DOCUMENTDB_BIN")
        if named and (Path(named) / "initdb").is_file():
            return Path(named).resolve()
        raise ServerNotFound(
            "no PostgreSQL with the extension documentdb was found on this machine",
            remedy="Run `.ci/documentdb FOLDER` on Debian, and set DOCUMENTDB_BIN to its programs.",
        )

    def _prepare(self) -> None:
        self._programs = self.find()
        options = ("-U", "postgres", "--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8")
        program = self._programs / "initdb"
        self._fill("data", program, options, lambda: self._run(program, "-D", "data", *options))

    def _command(self) -> list[str]:
        settings = {**self._settings, "unix_socket_directories": str(self.directory), "port": str(self.port)}
        given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self._programs / "postgres"), "-D", str(self.directory / "data"), *given]


class MongoServer(PrivateServer):
    """A private server that accepts only TLS.

    Args:
        settings: further settings of the PostgreSQL behind it.
        tls: False for a server without TLS.
    """

    engine = "mongodb"
    required = False
    superuser = "admin"
    ready_text = "ready"
    failed_texts = ("Error",)

    def __init__(self, settings: Mapping[str, str] | None = None, *, tls: bool = True) -> None:
        super().__init__()
        self.tls = tls
        self._store = _Store(settings or {})
        self._uid = None  # the gateway may run as any user

    @classmethod
    def find(cls) -> Path:
        """See _Store.find."""
        return _Store.find()

    def _prepare(self) -> None:
        import psycopg  # noqa: PLC0415 - only those who start it need the drivers

        from rotators.local.servers.mongodb_gateway import TABLE, new_user  # noqa: PLC0415

        self._store.start()
        with psycopg.connect(self._store.address, autocommit=True) as store:
            store.execute("CREATE EXTENSION documentdb CASCADE")
            store.execute(TABLE.encode())
            store.execute("SELECT documentdb_api.create_user(%s)", [new_user(self.superuser, self.password)])
            store.execute(
                "INSERT INTO gateway_users VALUES (%s, 'admin', %s)",
                [self.superuser, json.dumps({"roles": [{"role": "root", "db": "admin"}]})],
            )

    def _command(self) -> list[str]:
        settings = {
            "path": sys.path,
            "port": self.port,
            "store": self._store.address,
            "certificate": str(self.directory / "server.pem") if self.tls else None,
            "key": str(self.directory / "server.key"),
        }
        write_private(self.directory / "gateway.json", json.dumps(settings))
        return [sys.executable, str(_GATEWAY), str(self.directory / "gateway.json")]

    def stop(self) -> None:
        """See PrivateServer.stop."""
        super().stop()
        self._store.stop()

    def store_log(self) -> str:
        """Return the log of the PostgreSQL so far."""
        return self._store.log()

    def execute(self, command: str, value: object, database: str = "admin", **fields: Any) -> dict[str, Any]:
        """Run one command as the administrator, in a separate session.

        Args:
            command: its name.
            value: value of the field with the command's name.
            database: that it runs in.
            **fields: further fields.

        Returns:
            The answer.
        """
        with self.connect() as client:
            return client[database].command(command, value, **fields)

    def connect(self, value: Mapping[str, Any] | None = None) -> pymongo.MongoClient[dict[str, Any]]:
        """Return a client that logs in without the rotators' code; the caller closes it.

        Args:
            value: value of a secret; None for the administrator's.
        """
        import pymongo  # noqa: PLC0415 - only its clients need the driver

        value = value or self.secret()
        roots = value.get("sslrootcert")
        tls: dict[str, Any] = {"tls": True, "tlsCAFile": roots} if roots else {}
        return pymongo.MongoClient(
            value["host"],
            value["port"],
            username=value["username"],
            password=value["password"],
            authSource=value.get("dbname", "admin"),
            directConnection=True,
            **tls,
        )

    def create_user(
        self,
        name: str,
        password: str,
        *,
        database: str = "admin",
        roles: Sequence[Mapping[str, str]] = ROLES,
        **fields: Any,
    ) -> None:
        """See DatabaseServer.create_user.

        Args:
            name: name of the user.
            password: clear text, inside TLS.
            database: that the user belongs to.
            roles: roles of the user.
            **fields: further fields of ``createUser``.
        """
        self.execute("createUser", name, database, pwd=password, roles=list(roles), **fields)

    def client(self, user: str) -> tuple[str, str]:
        """See DatabaseServer.client."""
        tls = f"--tls --tlsCAFile {self.ca} " if self.tls else ""
        place = f"mongodb://{self.host}:{self.port}/?directConnection=true"
        return "MONGODB_PASSWORD", f'mongosh {tls}--username {user} --password "$MONGODB_PASSWORD" "{place}"'


SERVER = MongoServer
