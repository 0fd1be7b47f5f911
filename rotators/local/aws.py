"""A faithful local AWS: Secrets Manager, Lambda, EventBridge and CloudTrail on one loopback endpoint.

    with LocalAws() as aws:
        os.environ.update(aws.exports())     # from here on boto3 and the AWS CLI talk to it

It is built on moto, whose rotation differs from the service's. `moto_patches.py` lists the replacements, and
`secretsmanager/rotations.py` describes the real service. Functions run in processes of their own, see
`functions/`. Moto's state belongs to the process, so a process can run one local AWS at a time.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from rotators.local.errors import LocalStackError
from rotators.local.options import ACCOUNT, Options
from rotators.local.service_models import shared_service_models

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rotators.local.iam.authorizer import RecordedCall
    from rotators.local.records import RotationOutcome, ServiceEvent
    from rotators.local.services import Services

DEFAULT_FUNCTIONS = {
    name: f"rotators.handlers.{name}.handler" for name in ("rotate", "store", "retrieve", "operate", "widget")
}
_LOOPBACK = "127.0.0.1,localhost"
_one_at_a_time = threading.Lock()


class LocalAws(Options):
    """The local AWS; start it with `start` or as a context manager.

    The attributes are those of Options and may be changed while it runs. ``POST /moto-api/reset`` deletes all
    state but them and the registered functions.

    Args:
        port: Port of the endpoint; 0 takes a free one.
        region: Region of the functions, and the default of `exports` and `client`.
        functions: Short name → dotted path of the handler; the Lambda function is ``rotators-<short name>``.
            Default: the project's own.
        environment: Variables of every function, in addition to Lambda's own.
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

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and create the functions; no container runs yet.

        Raises:
            LocalStackError: A local AWS runs in this process already.
            ServerStartFailed: The port is taken.
        """
        if not _one_at_a_time.acquire(blocking=False):
            raise LocalStackError(
                "a local AWS is already running in this process",
                remedy="Use that one, or stop it first; moto keeps its state per process.",
            )
        self._undo.callback(_one_at_a_time.release)
        try:
            self._undo.enter_context(shared_service_models())
            from rotators.local.services import start_services  # noqa: PLC0415 - it loads moto, which takes a second

            self._running = start_services(self._port, self, self.exports, self._undo)
            for name, handler in self._handlers.items():
                self.register(name, handler)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End containers and rotations, free the port and delete all state. May be called again."""
        try:
            self._undo.close()
        finally:
            self._running = None

    @property
    def endpoint(self) -> str:
        """Return the URL, ``http://127.0.0.1:PORT``."""
        return self._services.server.endpoint

    def exports(self, region: str | None = None) -> dict[str, str]:
        """Return the environment variables that make boto3 and the AWS CLI use this AWS.

        Args:
            region: Region other than this AWS's own.

        Returns:
            Names and values, with dummy credentials.
        """
        region, endpoint = region or self._region, self.endpoint
        return {
            "AWS_ENDPOINT_URL": endpoint,
            # More specific settings of the caller would take precedence. Loopback must not pass a proxy.
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

    def client(
        self, service: str, *, region: str | None = None, credentials: Mapping[str, Any] | None = None
    ) -> Any:
        """Return a client of this AWS, like boto3's, independent of the environment.

        Args:
            service: Name of the service in boto3.
            region: Region other than this AWS's own.
            credentials: ``Credentials`` of an AssumeRole answer; by default those of a developer, who may do
                everything.

        Returns:
            The client; without ``credentials`` the same one for a service and Region, because making one
            takes a tenth of a second.
        """
        clients, region = self._services.clients, region or self._region
        if credentials:
            return clients.new(service, region, credentials)
        return clients.of_account(service, region)

    def function_arn(self, name: str) -> str:
        """Return the ARN of a function.

        Args:
            name: Short name under which the function was registered.

        Raises:
            LocalStackError: No function has that name.
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
            name: Short name; the function is ``rotators-<name>``.
            handler: Dotted path, importable where this process runs.
            environment: Variables of this function, in addition to those of every function.
            code: Folder of a built artifact with the handler; it runs in Lambda's own runtime client.

        Returns:
            Its ARN.
        """
        variables = {**self._environment, **(environment or {})}
        arn = self._services.own.create(self._region, _function_name(name), handler, variables)
        self._services.functions.place(arn, code)
        self._handlers[name] = handler
        return arn

    def watch(
        self,
        policies: Mapping[str, Sequence[Mapping[str, Any]]] | None,
        endpoints: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    ) -> None:
        """Record every call from now on, and refuse calls that the policies do not allow.

        Policies of secrets and keys, and trust policies of roles, also decide.

        Args:
            policies: IAM statements by caller: a function's full name, the part of an access key after
                ``local-``, or the name of an assumed role. Other callers may do everything. None ends it.
            endpoints: Statements of VPC endpoints that all these callers' requests pass, by service.
        """
        self._services.authorizer.watch(policies, endpoints)

    def seen(self) -> list[RecordedCall]:
        """Return the calls since ``watch``, including those of AWS for a caller, with IAM's decision."""
        return self._services.authorizer.seen()

    def logs(self, name: str) -> str:
        """Return the log of a function so far, with Lambda's START and END lines.

        Args:
            name: Short name under which the function was registered, or the ARN of a function.
        """
        return self._services.functions.runner(_named(name)).log()

    def service_events(self, secret_id: str | None = None) -> list[ServiceEvent]:
        """Return Secrets Manager's own events, oldest first.

        Args:
            secret_id: Name or ARN of one secret; None for all.
        """
        return self._services.events.events(self._arn(secret_id) if secret_id else None)

    def wait_for_event(
        self, secret_id: str, *names: str, times: int = 1, timeout: float = 300.0
    ) -> ServiceEvent:
        """Wait until Secrets Manager's events of a secret have one of some names.

        Args:
            secret_id: Name or ARN.
            names: Names of events, such as ``RotationSucceeded``.
            times: Number of such events to wait for, those before the call included.
            timeout: Seconds.

        Returns:
            The newest of these events.

        Raises:
            LocalStackError: Too few events in time, or no such secret.
        """
        return self._services.events.wait(self._arn(secret_id), names, times, timeout)

    def wait_for_log(self, name: str, text: str, timeout: float = 300.0, *, times: int = 1) -> str:
        """Wait until a function has printed a text.

        Args:
            name: Short name under which the function was registered, or the ARN of a function.
            text: Part of its log.
            timeout: Seconds.
            times: Number of times that the log must have the text.

        Returns:
            The log so far.

        Raises:
            LocalStackError: It did not print the text so often in time.
        """
        function = _named(name)
        return self._services.functions.runner(function).wait_for_log(function, text, timeout, times)

    def wait_for_rotation(self, secret_id: str, token: str, timeout: float = 300.0) -> RotationOutcome:
        """Wait until a rotation has ended.

        Args:
            secret_id: Name or ARN.
            token: VersionId that RotateSecret returned.
            timeout: Seconds.

        Returns:
            The outcome, with its steps and their times.

        Raises:
            LocalStackError: It did not end in time, or no such secret exists.
        """
        return self._services.rotations.wait(self._arn(secret_id), token, timeout)

    def enable_rotation(self, secret_id: str, function: str = "rotate") -> None:
        """Enable rotation without starting one, which AWS's API cannot do.

        Args:
            secret_id: Name or ARN.
            function: Short name of the rotation function.
        """
        with self._services.rotations.lock:
            self._services.operations.configure(self._secret(secret_id), self.function_arn(function), {})

    def stage(self, secret_id: str, token: str) -> None:
        """Attach AWSPENDING to an empty version, as RotateSecret does before it calls createSecret.

        Args:
            secret_id: Name or ARN.
            token: Id of the version; AWSPENDING moves to it from any other version.
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


def _named(name: str) -> str:
    return name.rpartition(":")[2] if name.startswith("arn:") else _function_name(name)
