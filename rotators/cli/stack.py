"""What `demo` and `up` share: a local AWS, a PostgreSQL, and secrets stored by the store function."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from rotators.core.errors import LocalStackError, RotatorFailure
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.local.aws import LocalAws
from rotators.local.servers.postgres import ExternalPostgres, open_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import psycopg

_TRIAL_SECONDS = 30.0
SINGLE, ALTERNATING, ADMIN = "demo/single", "demo/alternating", "demo/admin"


@dataclass(frozen=True)
class Seeded:
    """A secret of the stack.

    Attributes:
        name: of the secret.
        arn: of the secret.
        strategy: how it rotates.
    """

    name: str
    arn: str
    strategy: str


class Stack:
    """A local AWS with the three functions, a PostgreSQL with two users, and three secrets.

    Use as a context manager; everything that was started ends with it, and the environment is put back.

    Args:
        port: of the local AWS; 0 takes a free one.
        functions: as for LocalAws; None is the project's own.
    """

    def __init__(self, port: int = 0, functions: Mapping[str, str] | None = None) -> None:
        self.aws = LocalAws(port=port, functions=functions)
        self.postgres = open_postgres()
        self._suffix = f"_{secrets.token_hex(4)}" if isinstance(self.postgres, ExternalPostgres) else ""
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as exits:
            exits.enter_context(self.postgres)
            if isinstance(self.postgres, ExternalPostgres):
                self._check_server()
                exits.callback(self._drop_users)
            exits.enter_context(_environment())
            exits.enter_context(self.aws)
            os.environ.update(self.aws.exports())
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def seed(self) -> list[Seeded]:
        """Make the users, and store their secrets through the store function with rotation switched on.

        Raises:
            LocalStackError: a function failed, or the trial run of a rotation.
        """
        admin = self._store(ADMIN, self.postgres.secret(), tags={"rotators-admin": "demo"})
        single = self._store(SINGLE, {**self._user(self.user("single")), "strategy": "single"}, rotate=True)
        pair = {**self._user(self.user("alternating")), "strategy": "alternating", "masterarn": admin}
        return [
            Seeded(SINGLE, single, "single"),
            Seeded(ALTERNATING, self._store(ALTERNATING, pair, rotate=True), "alternating"),
        ]

    def _check_server(self) -> None:
        """Log in to DATABASE_URL's server once, with the rotators' own login, which names every cause."""
        from rotators.engines.postgres import PostgresEngine  # noqa: PLC0415 - as below

        try:
            with PostgresEngine().login(Secret(self.postgres.secret()), Settings()) as session:
                session.check()
        except RotatorFailure as error:
            raise LocalStackError(
                f"the server that DATABASE_URL names cannot be used: {error.cause}",
                remedy="Correct DATABASE_URL, or unset it to have a PostgreSQL started.",
                reason=error.reason,
            ) from None

    def value(self, arn: str) -> dict[str, Any]:
        """The current value of a secret."""
        value: dict[str, Any] = json.loads(
            self.aws.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
        )
        return value

    def logs_in(self, value: dict[str, Any]) -> bool:
        """Whether the database takes a value's user and password.

        Raises:
            psycopg.OperationalError: it could not be asked.
        """
        import psycopg  # noqa: PLC0415 - the command's other parts do without the driver

        try:
            self.login(value).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" not in str(error):
                raise
            return False
        return True

    def login(self, value: dict[str, Any]) -> psycopg.Connection[Any]:
        """A connection as a secret's value says, past all of our rotation code."""
        import psycopg  # noqa: PLC0415 - as above

        trust: dict[str, Any] = {"sslmode": "disable"}
        if value.get("ssl", True):
            trust = {"sslmode": "verify-full", "sslrootcert": value["sslrootcert"]}
        return psycopg.connect(
            host=value["host"],
            port=value["port"],
            user=value["username"],
            password=value["password"],
            dbname=value["dbname"],
            autocommit=True,
            connect_timeout=5,
            **trust,
        )

    def invoke(self, name: str, event: dict[str, Any]) -> dict[str, Any]:
        """Invoke one of the functions through the local Lambda.

        Raises:
            LocalStackError: the function failed.
        """
        answer = self.aws.client("lambda").invoke(
            FunctionName=f"rotators-{name}", Payload=json.dumps(event).encode()
        )
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise LocalStackError(
                f"the function {name} failed: {payload.get('errorMessage')}",
                remedy="Mend what the message names.",
            )
        return payload

    def rotation_function(self) -> str:
        """The ARN of what rotates the secrets."""
        return self.aws.function_arn("rotate")

    def _store(
        self, name: str, value: dict[str, Any], *, rotate: bool = False, tags: Mapping[str, str] | None = None
    ) -> str:
        event: dict[str, Any] = {"Name": name, "Value": value, "Description": "made by rotators"}
        event["Tags"] = [{"Key": key, "Value": each} for key, each in (tags or {}).items()]
        if rotate:
            event["Rotation"] = {
                "FunctionArn": self.rotation_function(),
                "AutomaticallyAfterDays": 30,
                "RotateImmediately": False,
            }
        arn = str(self.invoke("store", event)["ARN"])
        if rotate:
            self._await_trial(arn)
        return arn

    def _await_trial(self, arn: str) -> None:
        """Switching rotation on makes the service test the credential; a rotation must wait for its end."""
        deadline = time.monotonic() + _TRIAL_SECONDS
        while time.monotonic() < deadline:
            for event in self.aws.service_events(arn):
                if event.name == "TestRotationSucceeded":
                    return
                if event.name == "TestRotationFailed":
                    raise LocalStackError(f"the stored credential does not work: {event.error}")
            time.sleep(0.05)
        raise LocalStackError("the trial of the stored credential did not end", remedy="Try again.")

    def user(self, strategy: str) -> str:
        """The name of the user that a strategy is shown with; on a server that outlives us, nobody else's."""
        return f"demo_{strategy}{self._suffix}"

    def _drop_users(self) -> None:
        """Leave a server that outlives us as it was."""
        from psycopg import sql  # noqa: PLC0415 - as above

        with self.login(self.postgres.secret()) as admin:
            for strategy in ("single", "alternating"):
                for role in (f"{self.user(strategy)}_clone", self.user(strategy)):
                    admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))

    def _user(self, name: str) -> dict[str, Any]:
        """Make a user."""
        from psycopg import sql  # noqa: PLC0415 - as above

        password = secrets.token_urlsafe(24)
        with self.login(self.postgres.secret()) as admin:
            verifier = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
            admin.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(name), sql.Literal(verifier.decode())
                )
            )
        return self.postgres.secret(name, password)


# They would outrank the local credentials, or name a profile that this machine does not have.
_FOREIGN = ("AWS_PROFILE", "AWS_SESSION_TOKEN")


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """The environment without what leads elsewhere; put back in the end as it was."""
    before = dict(os.environ)
    for name in _FOREIGN:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
