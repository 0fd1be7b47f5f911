"""What the tests live in: a local AWS, a real PostgreSQL, and the public doors to both."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import uuid
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
import pytest
from psycopg import sql

from functions import rotate
from rotators.core.errors import ServerNotFound
from rotators.local.servers.private import PrivateServer

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws
    from rotators.local.servers.postgres import PostgresServer

Server = TypeVar("Server", bound=PrivateServer)

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")

_numbers = itertools.count(1)
_run = secrets.token_hex(3)

known_passwords: set[str] = set()
"""Every password that any test gave to anybody. clear_text.py searches all logs and outputs for them."""


def unique(name: str) -> str:
    """The name, made unlike all others of this run."""
    return f"{name}_{_run}_{next(_numbers)}"


def new_password() -> str:
    """A password nobody has used."""
    return remembered(f"pw-{secrets.token_hex(12)}")


def remembered(password: str) -> str:
    """The password, put among those that must be in no log or output."""
    known_passwords.add(password)
    return password


def started(server: Server) -> Server:
    """A private server after its start. If it is not installed the test is skipped, and fails in CI."""
    try:
        return server.start()
    except ServerNotFound as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no {type(server).__name__} here: {error}")


class World:
    """One AWS and one database server, as tests use them.

    Args:
        aws: the running local AWS; the process's environment points at it.
        server: the running database server.
    """

    def __init__(self, aws: LocalAws, server: PostgresServer) -> None:
        self.aws = aws
        self.server = server
        self.secrets = aws.client("secretsmanager")

    def user(
        self, name: str | None = None, *, password: str | None = None, options: str = ""
    ) -> dict[str, Any]:
        """Create a user on the server; gives the secret's value for it."""
        name = name or unique("app")
        password = remembered(password) if password else new_password()
        self.create_user(name, password, options=options)
        return {**self.server.secret(name, password), "sslrootcert": self.server.ca}

    def create_user(
        self,
        name: str,
        password: str,
        *,
        options: str = "",
        connection: psycopg.Connection[Any] | None = None,
    ) -> None:
        """Create a user with a verifier, so that not even the tests put a password into SQL."""
        with self.login(self.admin()) if connection is None else _borrowed(connection) as admin:
            verifier = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
            admin.execute(
                sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}").format(
                    sql.Identifier(name),
                    sql.SQL(options),
                    sql.Literal(verifier.decode()),
                )
            )

    def set_password(self, name: str, password: str) -> None:
        """Change a password behind the secret's back."""
        with self.login(self.admin()) as admin:
            verifier = admin.pgconn.encrypt_password(
                remembered(password).encode(), name.encode(), b"scram-sha-256"
            )
            admin.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(name), sql.Literal(verifier.decode())
                )
            )

    def admin(self) -> dict[str, Any]:
        """The superuser's value."""
        return {**self.server.secret(), "sslrootcert": self.server.ca}

    def admin_secret(self, **changes: Any) -> str:
        """Store an admin's secret; gives its ARN."""
        return self._create({**self.admin(), **changes})

    def secret(self, value: dict[str, Any]) -> str:
        """Store a value in a new secret whose rotation is on and has not run; gives its ARN."""
        arn = self._create(value)
        self.aws.enable_rotation(arn)
        return arn

    def _create(self, value: dict[str, Any]) -> str:
        created = self.secrets.create_secret(Name=unique("secret"), SecretString=json.dumps(value))
        return str(created["ARN"])

    def begin(self, arn: str) -> str:
        """Stage an empty AWSPENDING version, as the service does before createSecret; gives its token."""
        token = str(uuid.uuid4())
        self.aws.stage(arn, token)
        return token

    def put_pending(self, arn: str, token: str, value: dict[str, Any]) -> None:
        """Store a pending value by hand."""
        remembered(value["password"])
        self.secrets.put_secret_value(
            SecretId=arn,
            ClientRequestToken=token,
            SecretString=json.dumps(value),
            VersionStages=["AWSPENDING"],
        )

    def drop_pending(self, arn: str, token: str) -> None:
        """Take the label away, as people do to get out of a stuck rotation."""
        self.secrets.update_secret_version_stage(
            SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=token
        )

    def step(self, step: str, arn: str, token: str) -> None:
        """Call the rotation function with one step."""
        event = {
            "Step": step,
            "SecretId": arn,
            "ClientRequestToken": token,
            "RotationToken": str(uuid.uuid4()),
        }
        rotate.handler(event, None)

    def rotate(self, arn: str) -> dict[str, Any]:
        """A whole rotation, step by step; gives the new current value."""
        token = self.begin(arn)
        for step in STEPS:
            self.step(step, arn, token)
        return self.value(arn)

    def value(self, arn: str, stage: str = "AWSCURRENT") -> dict[str, Any]:
        """The value that carries a stage."""
        value: dict[str, Any] = json.loads(
            self.secrets.get_secret_value(SecretId=arn, VersionStage=stage)["SecretString"]
        )
        remembered(value["password"])
        return value

    def stages(self, arn: str) -> dict[str, set[str]]:
        """Version id to its labels."""
        found = self.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
        return {version: set(labels) for version, labels in found.items()}

    def login(self, value: dict[str, Any]) -> psycopg.Connection[Any]:
        """A plain connection with a value, past all of our code."""
        tls: dict[str, Any] = (
            {"sslmode": "verify-full", "sslrootcert": self.server.ca}
            if self.server.ca
            else {"sslmode": "disable"}
        )
        return psycopg.connect(
            host=value["host"],
            port=value["port"],
            user=value["username"],
            password=value["password"],
            dbname=value.get("dbname", "postgres"),
            autocommit=True,
            connect_timeout=10,
            **tls,
        )

    def logs_in(self, value: dict[str, Any]) -> bool:
        """Whether a value opens the database."""
        try:
            self.login(value).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                return False
            raise
        return True

    def logins(self) -> int:
        """How many connections the server was asked for so far."""
        return self.server.log().count("connection received")

    def sql(self, statement: str, *params: object) -> list[Any]:
        """Run a statement as the superuser."""
        return self.server.execute(statement, params)

    def exists(self, name: str) -> bool:
        """Whether a user exists."""
        return bool(self.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", name))

    def role(self, name: str) -> dict[str, Any]:
        """A user's attributes and settings, but for the ``role`` that makes a clone act as its original."""
        rows = self.sql(
            "SELECT rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,"
            " rolbypassrls,"
            " rolconnlimit, rolvaliduntil,"
            " (SELECT array_agg(coalesce(d.datname, '') || ' ' || c ORDER BY 1) FROM pg_db_role_setting s"
            "  LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c"
            "  WHERE s.setrole = r.oid AND c NOT LIKE 'role=%%')"
            " FROM pg_roles r WHERE rolname = %s",
            name,
        )
        return {"role": rows[0]}

    def other_host_name(self) -> str:
        """A name that resolves to the server and is not in its certificate."""
        return "127.0.0.2"

    def some_authority(self) -> str:
        """A readable file of certificates, for a server that has none."""
        import ssl  # noqa: PLC0415 - one use

        return ssl.get_default_verify_paths().cafile or ""


class _borrowed(AbstractContextManager["psycopg.Connection[Any]"]):  # noqa: N801 - reads like nullcontext
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def __enter__(self) -> psycopg.Connection[Any]:
        return self.connection

    def __exit__(self, *_: object) -> None:
        return None
