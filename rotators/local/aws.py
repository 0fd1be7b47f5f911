"""A faithful local AWS: Secrets Manager, Lambda, EventBridge and CloudTrail on one loopback endpoint.

    with LocalAws() as aws:
        os.environ.update(aws.exports())     # from here on boto3 and the AWS CLI talk to it

Built on moto, whose rotation differs from the service's; `faithful.py` says what is replaced, and
`rotation.py` what the real service does. Functions run in processes of their own; see `functions.py`.
Moto's state belongs to the process, so a process can run one local AWS at a time.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal, Self

from rotators.core.errors import LocalStackError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from rotators.local.iam.door import Seen
    from rotators.local.parts import Parts
    from rotators.local.records import RotationOutcome, ServiceEvent, StepRecord

DEFAULT_FUNCTIONS = {
    "rotate": "rotators.handlers.rotate.handler",
    "store": "rotators.handlers.store.handler",
    "retrieve": "rotators.handlers.retrieve.handler",
    "operate": "rotators.handlers.operate.handler",
}
_one_at_a_time = threading.Lock()


class LocalAws:
    """The local AWS; start it with `start` or as a context manager.

    Args:
        port: of the endpoint; 0 takes a free one.
        region: where the functions are, and what `exports` and `client` say.
        functions: short name → dotted path of the handler; the Lambda function is ``rotators-<short name>``.
            Default: the project's own.
        environment: variables that every function gets, on top of Lambda's own.

    Attributes:
        on_step: called with a StepRecord after each step of any rotation, in that rotation's thread.
        pending_in_test: the value of the AWSPENDING version that RotateImmediately=false tests, which AWS
            does not document: ``empty``, or a copy of ``current``.
        database: called with the parameters of each RDS cluster that is created, by moto's names; gives host
            and port of the real server that takes its place. None: clusters have an address where nobody
            listens.
        event_deliveries: how often EventBridge delivers each event to a function; it promises at least once.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        region: str = "us-east-1",
        functions: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.on_step: Callable[[StepRecord], None] | None = None
        self.pending_in_test: Literal["empty", "current"] = "empty"
        self.database: Callable[[Mapping[str, Any]], tuple[str, int]] | None = None
        self.event_deliveries = 1
        self._port, self._region = port, region
        self._handlers = dict(DEFAULT_FUNCTIONS if functions is None else functions)
        self._environment = dict(environment or {})
        self._running: Parts | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and create the functions; no container runs yet.

        Raises:
            LocalStackError: one runs in this process already, or moto is not the pinned version.
            ServerStartFailed: the port is taken.
        """
        if not _one_at_a_time.acquire(blocking=False):
            raise LocalStackError(
                "a local AWS is already running in this process",
                remedy="Use that one, or stop it first; moto keeps its state per process.",
            )
        try:
            from rotators.local.parts import Parts  # noqa: PLC0415 - it loads moto, about a second

            self._running = Parts(
                self._port,
                lambda record: self.on_step and self.on_step(record),
                lambda: self.pending_in_test,
                lambda: self.database,
                lambda: self.event_deliveries,
            )
            for name, handler in self._handlers.items():
                self.register(name, handler)
        except BaseException:
            self._stop()
            raise

    def stop(self) -> None:
        """End containers and rotations, free the port, forget everything; twice is the same as once."""
        if self._running:
            self._stop()

    def _stop(self) -> None:
        running, self._running = self._running, None
        try:
            if running:
                running.stop()
        finally:
            _one_at_a_time.release()

    @property
    def endpoint(self) -> str:
        """The URL, ``http://127.0.0.1:PORT``."""
        return self._parts.server.endpoint

    def exports(self) -> dict[str, str]:
        """The environment variables that make boto3 and the AWS CLI talk to this AWS."""
        return self._parts.exports(self._region)

    def client(self, service: str, *, region: str | None = None) -> Any:
        """A boto3 client for this AWS, whatever the environment says.

        Args:
            service: boto3's name of it.
            region: another Region than this AWS's own.

        Returns:
            The client.
        """
        import boto3  # noqa: PLC0415 - half a second, and only needed here
        from botocore.config import Config  # noqa: PLC0415 - the same

        return boto3.session.Session().client(
            service,  # type: ignore[call-overload] # any service
            config=Config(proxies={}),  # which would see values
            endpoint_url=self.endpoint,
            region_name=region or self._region,
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 - a dummy that nothing checks
        )

    def function_arn(self, name: str) -> str:
        """The ARN of a function.

        Args:
            name: the short name it was registered under.

        Raises:
            LocalStackError: there is none of that name.
        """
        if name not in self._handlers:
            raise LocalStackError(
                f"no function is registered as {name!r}",
                remedy=f"Register it; there are {', '.join(sorted(self._handlers))}.",
            )
        return self._parts.function_arn(self._region, _function_name(name))

    def register(
        self,
        name: str,
        handler: str,
        environment: Mapping[str, str] | None = None,
        *,
        code: str | None = None,
    ) -> str:
        """Create a Lambda function, or replace it, and let Secrets Manager call it.

        Args:
            name: short; the function is ``rotators-<name>``.
            handler: dotted path, importable where this process runs.
            environment: its own variables, on top of those for every function.
            code: the folder of a built artifact that has the handler; it runs in Lambda's own runtime client.

        Returns:
            Its ARN.
        """
        variables = {**self._environment, **(environment or {})}
        self._handlers[name] = handler
        self._parts.create_function(self._region, _function_name(name), handler, variables, code)
        return self.function_arn(name)

    def watch(
        self,
        policies: Mapping[str, Sequence[Mapping[str, Any]]] | None,
        endpoints: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    ) -> None:
        """Note every call from now on, and turn away what the policies do not allow.

        Policies of secrets and keys, and trust policies of roles, count besides.

        Args:
            policies: IAM statements by caller: a function's full name, what follows ``local-`` in an access
                key, or the name of an assumed role. Callers without may do everything. None ends it.
            endpoints: statements of VPC endpoints that all these callers' requests pass, by service.
        """
        self._parts.door.watch(policies, endpoints)

    def seen(self) -> list[Seen]:
        """Every call since ``watch``, with what IAM decided, those included that AWS makes for the caller."""
        return self._parts.door.seen()

    def logs(self, name: str) -> str:
        """What a function printed so far, with Lambda's START and END lines.

        Args:
            name: the short name it was registered under.
        """
        return self._parts.functions.log(_function_name(name))

    def service_events(self, secret_id: str | None = None) -> list[ServiceEvent]:
        """Secrets Manager's own events, oldest first.

        Args:
            secret_id: name or ARN of one secret; None for all.
        """
        return self._parts.events.events(self._arn(secret_id) if secret_id else None)

    def wait_for_rotation(self, secret_id: str, token: str, timeout: float = 60.0) -> RotationOutcome:
        """Wait until a rotation has ended.

        Args:
            secret_id: name or ARN.
            token: the VersionId that RotateSecret returned.
            timeout: seconds.

        Returns:
            How it ended, with its steps and their times.

        Raises:
            LocalStackError: it did not end in time, or there is no such secret.
        """
        return self._parts.rotations.wait(self._arn(secret_id), token, timeout)

    def enable_rotation(self, secret_id: str, function: str = "rotate") -> None:
        """Switch rotation on without starting one, which AWS's API cannot do.

        Args:
            secret_id: name or ARN.
            function: short name of the rotation function.
        """
        parts = self._parts
        with parts.rotations.lock:
            parts.operations.configure(self._secret(secret_id), self.function_arn(function), {})

    def stage(self, secret_id: str, token: str) -> None:
        """Attach AWSPENDING to an empty version, as RotateSecret does before it calls createSecret.

        Args:
            secret_id: name or ARN.
            token: the version's id; AWSPENDING moves to it from any other version.
        """
        self._parts.stage(self._secret(secret_id), token)

    @property
    def _parts(self) -> Parts:
        if self._running is None:
            raise LocalStackError("the local AWS is not running", remedy="Call start() first.")
        return self._running

    def _arn(self, secret_id: str) -> str:
        return str(self._secret(secret_id).arn)

    def _secret(self, secret_id: str) -> Any:
        region = secret_id.split(":")[3] if secret_id.startswith("arn:") else self._region
        found = self._parts.find_secret(secret_id, region)
        if found is None:
            raise LocalStackError(f"the local AWS has no secret {secret_id}", remedy="Create it first.")
        return found


def _function_name(name: str) -> str:
    return f"rotators-{name}"
