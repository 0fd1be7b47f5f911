"""Counts and times of one strategy's rotations, and a floor: the same calls without other work."""

from __future__ import annotations

import json
import statistics
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from functions import rotate
from rotators.aws import clients

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.local.aws import LocalAws
    from rotators.local.servers.postgres import PostgresServer

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


@dataclass
class Meter:
    """Counts the calls and bytes that the process sends to Secrets Manager.

    Attributes:
        calls: number of calls by operation.
        sent: bytes of request bodies.
        received: bytes of response bodies.
    """

    calls: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    received: int = 0

    def attach(self) -> None:
        """Listen to the client that the functions share."""
        events = clients.secrets_manager().meta.events
        events.register("before-call.secrets-manager", self._before, unique_id="meter-before")
        events.register("after-call.secrets-manager", self._after, unique_id="meter-after")

    def reset(self) -> None:
        """Set all counts to zero."""
        self.calls.clear()
        self.sent = self.received = 0

    def _before(self, model: Any, params: dict[str, Any], **_: Any) -> None:
        self.calls[model.name] += 1
        self.sent += len(params.get("body", b""))

    def _after(self, http_response: Any, **_: Any) -> None:
        self.received += len(http_response.content)


@dataclass(frozen=True)
class Cost:
    """Counts and times of rotations of one strategy, and of their floors.

    Attributes:
        strategy: its name.
        calls: API calls of one warm rotation, by operation.
        connections: logins of one rotation.
        statements: SQL statements of one rotation.
        sent, received: bytes of API bodies in one rotation.
        seconds: wall time of each rotation.
        floor: wall time of each floor.
    """

    strategy: str
    calls: dict[str, int]
    connections: int
    statements: int
    sent: int
    received: int
    seconds: list[float]
    floor: list[float]

    @property
    def ratio(self) -> float:
        """Median rotation over median floor."""
        return statistics.median(self.seconds) / statistics.median(self.floor)

    def figures(self) -> dict[str, Any]:
        """Return all figures as a JSON object; times in milliseconds."""
        return {
            "strategy": self.strategy,
            "api_calls": sum(self.calls.values()),
            "api_calls_by_operation": self.calls,
            "connections": self.connections,
            "sql_statements": self.statements,
            "bytes_sent": self.sent,
            "bytes_received": self.received,
            "median_ms": round(statistics.median(self.seconds) * 1000, 1),
            "p95_ms": round(_p95(self.seconds) * 1000, 1),
            "floor_median_ms": round(statistics.median(self.floor) * 1000, 1),
            "floor_p95_ms": round(_p95(self.floor) * 1000, 1),
            "ratio_to_floor": round(self.ratio, 2),
        }


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


class Bench:
    """A local AWS and a server with one user and one secret, ready to rotate.

    Args:
        aws: running local AWS, which the process's environment names.
        server: running server with log_statement=all and log_connections=on.
    """

    def __init__(self, aws: LocalAws, server: PostgresServer) -> None:
        self.aws, self.server = aws, server
        self._change = ""
        self.meter = Meter()
        self.meter.attach()

    def measure(self, strategy: str, rotations: int, tick: Callable[[], None]) -> Cost:
        """Measure rotations, and before each one a floor with the same counts.

        Args:
            strategy: ``single`` or ``alternating``.
            rotations: number of measured rotations. Two others come first, to warm up and to count calls.
            tick: called after each rotation.

        Returns:
            The costs.
        """
        arn, value = self._secret(strategy)
        self._rotate(arn)
        self.meter.reset()
        connections, statements = self._server_counts()
        self._rotate(arn)
        after = self._server_counts()
        counted = (after[0] - connections, after[1] - statements)
        calls, sent, received = dict(self.meter.calls), self.meter.sent, self.meter.received
        seconds, floor = [], []
        for _ in range(rotations):
            floor.append(self._floor(arn, calls, value, *counted))
            seconds.append(self._rotate(arn))
            tick()
        return Cost(strategy, calls, *counted, sent, received, seconds, floor)

    def _secret(self, strategy: str) -> tuple[str, dict[str, Any]]:
        name, password = f"bench_{strategy}", uuid.uuid4().hex
        value = {**self.server.secret(name, password), "sslrootcert": self.server.ca, "strategy": strategy}
        secrets = clients.secrets_manager()
        if strategy == "alternating":
            admin = {**self.server.secret(), "sslrootcert": self.server.ca}
            value["masterarn"] = secrets.create_secret(Name=f"{name}_admin", SecretString=json.dumps(admin))[
                "ARN"
            ]
        with self._login(self.server.secret()) as connection:
            verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
            connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{verifier.decode()}'")
            connection.execute(f"CREATE ROLE {name}_floor")
        self._change = f"ALTER ROLE {name}_floor PASSWORD '{verifier.decode()}'"
        arn = secrets.create_secret(Name=name, SecretString=json.dumps(value))["ARN"]
        self.aws.enable_rotation(arn)
        return arn, value

    def _rotate(self, arn: str) -> float:
        token = str(uuid.uuid4())
        self.aws.stage(arn, token)
        started = time.perf_counter()
        for step in STEPS:
            rotate.handler({"Step": step, "SecretId": arn, "ClientRequestToken": token}, None)
        return time.perf_counter() - started

    def _floor(
        self, arn: str, calls: dict[str, int], value: dict[str, Any], connections: int, statements: int
    ) -> float:
        """Make the same number of calls, logins and statements, without other work, and return the seconds.

        The first statement changes a password, as every rotation must, with a verifier that was computed
        before. The other statements are the cheapest possible ones.
        """
        secrets = clients.secrets_manager()
        scratch = secrets.create_secret(Name=str(uuid.uuid4()), SecretString=json.dumps(value))
        token = str(uuid.uuid4())
        acts: dict[str, Callable[[], object]] = {
            "DescribeSecret": lambda: secrets.describe_secret(SecretId=arn),
            "GetSecretValue": lambda: secrets.get_secret_value(SecretId=arn),
            "PutSecretValue": lambda: secrets.put_secret_value(
                SecretId=scratch["ARN"],
                ClientRequestToken=token,
                SecretString=json.dumps(value),
                VersionStages=["AWSPENDING"],
            ),
            "UpdateSecretVersionStage": lambda: secrets.update_secret_version_stage(
                SecretId=scratch["ARN"],
                VersionStage="AWSCURRENT",
                MoveToVersionId=token,
                RemoveFromVersionId=scratch["VersionId"],
            ),
        }
        todo = iter([self._change, *["SELECT 1"] * (statements - 1)])
        started = time.perf_counter()
        for operation, times in calls.items():
            for _ in range(times):
                acts[operation]()
        for number in range(connections):
            with self._login(self.server.secret()) as connection:
                for _ in range(statements // connections + (number < statements % connections)):
                    connection.execute(next(todo))
        return time.perf_counter() - started

    def _login(self, value: dict[str, Any]) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=value["host"],
            port=value["port"],
            user=value["username"],
            password=value["password"],
            dbname=value["dbname"],
            sslmode="verify-full",
            sslrootcert=self.server.ca,
            autocommit=True,
        )

    def _server_counts(self) -> tuple[int, int]:
        """Return the numbers of logins and statements so far, from the server's log."""
        log = self.server.log()
        return log.count("connection authorized:"), log.count("LOG:  statement:") + log.count(
            "LOG:  execute "
        )
