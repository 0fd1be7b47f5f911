"""A faithful local AWS: Secrets Manager, Lambda, EventBridge and CloudTrail on one loopback endpoint.

    with LocalAws() as aws:
        os.environ.update(aws.exports())     # from here on boto3 and the AWS CLI talk to it

Built on moto, whose rotation differs from the service's; `faithful.py` says what is replaced, and
`rotation.py` what the real service does. Functions run in processes of their own; see `functions.py`.
Moto's state belongs to the process, so a process can run one local AWS at a time.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from rotators.core.errors import LocalStackError
from rotators.local.options import ACCOUNT, Options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from rotators.local.iam.door import Seen
    from rotators.local.records import RotationOutcome, ServiceEvent
    from rotators.local.services import Services

DEFAULT_FUNCTIONS = {
    "rotate": "rotators.handlers.rotate.handler",
    "store": "rotators.handlers.store.handler",
    "retrieve": "rotators.handlers.retrieve.handler",
    "operate": "rotators.handlers.operate.handler",
}
_LOOPBACK = "127.0.0.1,localhost"
_one_at_a_time = threading.Lock()


class LocalAws(Options):
    """The local AWS; start it with `start` or as a context manager.

    The attributes are those of Options, and may be changed while it runs.

    Args:
        port: of the endpoint; 0 takes a free one.
        region: where the functions are, and what `exports` and `client` say.
        functions: short name → dotted path of the handler; the Lambda function is ``rotators-<short name>``.
            Default: the project's own.
        environment: variables that every function gets, on top of Lambda's own.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        region: str = "us-east-1",
        functions: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._port, self._region = port, region
        self._handlers = dict(DEFAULT_FUNCTIONS if functions is None else functions)
        self._environment = dict(environment or {})
        self._running: Services | None = None
        self._undo = ExitStack()

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
            LocalStackError: one runs in this process already.
            ServerStartFailed: the port is taken.
        """
        if not _one_at_a_time.acquire(blocking=False):
            raise LocalStackError(
                "a local AWS is already running in this process",
                remedy="Use that one, or stop it first; moto keeps its state per process.",
            )
        self._undo.callback(_one_at_a_time.release)
        try:
            from rotators.local.services import start_services  # noqa: PLC0415 - it loads moto, about a second

            self._running = start_services(self._port, self, self.exports, self._undo)
            for name, handler in self._handlers.items():
                self.register(name, handler)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End containers and rotations, free the port, forget everything; twice is the same as once."""
        try:
            self._undo.close()
        finally:
            self._running = None

    @property
    def endpoint(self) -> str:
        """The URL, ``http://127.0.0.1:PORT``."""
        return self._services.server.endpoint

    def exports(self, region: str | None = None) -> dict[str, str]:
        """The environment variables that make boto3 and the AWS CLI talk to this AWS, with dummy credentials.

        Args:
            region: another Region than this AWS's own.

        Returns:
            Names and values.
        """
        region, endpoint = region or self._region, self.endpoint
        return {
            "AWS_ENDPOINT_URL": endpoint,
            # Nearer settings of the caller's would lead elsewhere, and loopback never goes through a proxy.
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": endpoint,
            "SECRETS_MANAGER_ENDPOINT": endpoint,
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
            "NO_PROXY": _LOOPBACK,
            "no_proxy": _LOOPBACK,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

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
        return f"arn:aws:lambda:{self._region}:{ACCOUNT}:function:{_function_name(name)}"

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
        functions = self._services.functions
        from rotators.local.services import create_function  # noqa: PLC0415 - see start

        variables = {**self._environment, **(environment or {})}
        arn = create_function(self._region, _function_name(name), handler, variables)
        functions.place(arn, code)
        self._handlers[name] = handler
        return arn

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
        self._services.door.watch(policies, endpoints)

    def seen(self) -> list[Seen]:
        """Every call since ``watch``, with what IAM decided, those included that AWS makes for the caller."""
        return self._services.door.seen()

    def logs(self, name: str) -> str:
        """What a function printed so far, with Lambda's START and END lines.

        Args:
            name: the short name it was registered under.
        """
        return self._services.functions.log(_function_name(name))

    def service_events(self, secret_id: str | None = None) -> list[ServiceEvent]:
        """Secrets Manager's own events, oldest first.

        Args:
            secret_id: name or ARN of one secret; None for all.
        """
        return self._services.events.events(self._arn(secret_id) if secret_id else None)

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
        return self._services.rotations.wait(self._arn(secret_id), token, timeout)

    def enable_rotation(self, secret_id: str, function: str = "rotate") -> None:
        """Switch rotation on without starting one, which AWS's API cannot do.

        Args:
            secret_id: name or ARN.
            function: short name of the rotation function.
        """
        with self._services.rotations.lock:
            self._services.operations.configure(self._secret(secret_id), self.function_arn(function), {})

    def stage(self, secret_id: str, token: str) -> None:
        """Attach AWSPENDING to an empty version, as RotateSecret does before it calls createSecret.

        Args:
            secret_id: name or ARN.
            token: the version's id; AWSPENDING moves to it from any other version.
        """
        self._services.rotations.stage(self._arn(secret_id), token, self._region_of(secret_id))

    @property
    def _services(self) -> Services:
        if self._running is None:
            raise LocalStackError("the local AWS is not running", remedy="Call start() first.")
        return self._running

    def _arn(self, secret_id: str) -> str:
        return str(self._secret(secret_id).arn)

    def _secret(self, secret_id: str) -> Any:
        found = self._services.rotations.find(secret_id, self._region_of(secret_id))
        if found is None:
            raise LocalStackError(f"the local AWS has no secret {secret_id}", remedy="Create it first.")
        return found

    def _region_of(self, secret_id: str) -> str:
        return secret_id.split(":")[3] if secret_id.startswith("arn:") else self._region


def _function_name(name: str) -> str:
    return f"rotators-{name}"
