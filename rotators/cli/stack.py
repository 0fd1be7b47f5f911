"""Common stack of `demo` and `up`: a local AWS, a server, and secrets stored by the store function."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from rotators.core.errors import RotatorFailure
from rotators.core.registry import load
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.local.aws import LocalAws
from rotators.local.errors import LocalStackError
from rotators.strategies.alternating import SUFFIX
from rotators.strategies.rotator import engine_of
from rotators.testing._targets import open_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rotators.local.servers.postgres import ExternalPostgres, PostgresServer
    from rotators.local.servers.private import DatabaseServer
    from rotators.strategies.engine import Engine, Strategy

_TRIAL_SECONDS = 30.0
_KEY_OF_EVENTS = "alias/shop-secrets"
ADMIN = "demo/admin"


@dataclass(frozen=True)
class Seeded:
    """A secret of the stack.

    Attributes:
        name: name of the secret.
        arn: ARN of the secret.
        strategy: name of its strategy.
    """

    name: str
    arn: str
    strategy: str


class Stack:
    """A local AWS with the three functions, and a server with a user and a secret for each strategy.

    Use as a context manager; it stops everything that it started, and restores the environment.

    Args:
        port: port of the local AWS; 0 takes a free one.
        functions: as for LocalAws; None for the project's own functions.
        engine: engine of the server; one of ``rotators.testing._targets.names()``.

    Attributes:
        aws: the local AWS.
        server: the server.
    """

    def __init__(
        self, port: int = 0, functions: Mapping[str, str] | None = None, engine: str = "postgres"
    ) -> None:
        self.aws = LocalAws(port=port, functions=functions)
        self.server: DatabaseServer = open_server(engine)
        self._engine = _declared(engine)
        self._suffix = f"_{secrets.token_hex(4)}" if self.server.outlives_us else ""
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as exits:
            exits.enter_context(self.server)
            if self.server.outlives_us:
                self._check_server()
                exits.callback(self._drop_users)
            exits.enter_context(_environment())
            exits.enter_context(self.aws)
            os.environ.update(self.aws.exports())
            self.server.use(self.aws)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def seed(self) -> list[Seeded]:
        """Create the users, and store their secrets through the store function with rotation enabled.

        Returns:
            The secrets that rotate: one for each strategy of the engine, named ``demo/STRATEGY``.

        Raises:
            LocalStackError: a function failed, or the trial run of a rotation.
        """
        self._create_key()
        admin = None
        if self.server.administered:
            admin = self._store(ADMIN, self.server.secret(), tags={"rotators-admin": "demo"})
        return [self._seeded(strategy, admin) for strategy in self._engine.strategies]

    def _create_key(self) -> None:
        """Create the key that an event in events/ names, so that all of them can be invoked."""
        keys = self.aws.client("kms")
        key = keys.create_key(Description="made by rotators")["KeyMetadata"]["KeyId"]
        keys.create_alias(AliasName=_KEY_OF_EVENTS, TargetKeyId=key)

    def _seeded(self, strategy: Strategy, admin: str | None) -> Seeded:
        user, password = self.user(strategy.name), secrets.token_urlsafe(24)
        self.server.create_user(user, password)
        value = {**self.server.secret(user, password), "strategy": strategy.name}
        if admin and (strategy.needs_admin or strategy.name != "single"):
            value["masterarn"] = admin
        name = f"demo/{strategy.name}"
        return Seeded(name, self._store(name, value, rotate=True), strategy.name)

    def _check_server(self) -> None:
        """Log in to DATABASE_URL's server once with the rotators' login, whose errors name the cause."""
        try:
            with self._engine.login(Secret(self.server.secret()), Settings()) as session:
                session.check()
        except RotatorFailure as error:
            raise LocalStackError(
                f"the server that DATABASE_URL names cannot be used: {error.cause}",
                remedy="Correct DATABASE_URL, or unset it to start a local PostgreSQL.",
                reason=error.reason,
            ) from None

    def value(self, arn: str) -> dict[str, Any]:
        """Return the current value of a secret.

        Args:
            arn: ARN of the secret.

        Returns:
            The members of the secret's JSON object, in clear text.
        """
        value: dict[str, Any] = json.loads(
            self.aws.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
        )
        return value

    def invoke(self, name: str, event: dict[str, Any]) -> dict[str, Any]:
        """Invoke one of the functions through the local Lambda.

        Args:
            name: name of the function, such as ``store``.
            event: event for the function.

        Returns:
            The function's answer, as in JSON.

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
                remedy="Fix the cause that the message names.",
            )
        return payload

    def rotation_function(self) -> str:
        """Return the ARN of the function that rotates the secrets."""
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
        """Wait for the service's test of the credential, which it makes when rotation is enabled.

        A rotation cannot start before the test has ended.
        """
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
        """Return the user that demonstrates a strategy. On the caller's own server, the name is unique.

        Args:
            strategy: name of the strategy.
        """
        return f"demo_{strategy}{self._suffix}"

    def _drop_users(self) -> None:
        """Restore a server that continues to run after this process."""
        for strategy in self._engine.strategies:
            for suffix in (SUFFIX, ""):
                self.server.drop_user(self.user(strategy.name) + suffix)


class PostgresStack(Stack):
    """A stack with a PostgreSQL; see Stack."""

    server: PostgresServer | ExternalPostgres


def _declared(engine: str) -> Engine:
    """Return the declarations of an engine of this project."""
    found = engine_of(load(engine))
    if found is None:
        raise LocalStackError(f"the rotator {engine!r} declares no engine")
    return found


# They would take precedence over the local credentials, or name a missing profile.
_FOREIGN = ("AWS_PROFILE", "AWS_SESSION_TOKEN")


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Remove variables that select another AWS from the environment, and restore it at the end."""
    before = dict(os.environ)
    for name in _FOREIGN:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
