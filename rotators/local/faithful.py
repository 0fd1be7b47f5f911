"""The one place where moto's code is replaced.

`Faithful.install` replaces methods of moto's classes and `remove` restores moto's own. Most of their names
are private to moto, so moto is pinned exactly; tests/local/moto_names.py lists them, and a test checks them.
"""

from __future__ import annotations

import base64
import json
import threading
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.session import Session
from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.cloudformation import parsing
from moto.cloudformation.models import ChangeSet, CloudFormationBackend
from moto.cloudtrail.responses import CloudTrailResponse
from moto.events.models import Rule
from moto.iam.responses import IamResponse
from moto.kms.models import KmsBackend
from moto.rds.models import DBCluster, RDSBackend
from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend
from moto.secretsmanager.responses import SecretsManagerResponse

from rotators.local import rules
from rotators.local.cloudformation import completed, with_retention, without_gaps
from rotators.local.databases import with_host, with_server
from rotators.local.events import with_targets
from rotators.local.functions import FunctionConfig, Functions, lambda_environment
from rotators.local.iam.simulator import simulate_principal_policy
from rotators.local.updates import applied, difference, with_lists

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.local.iam.door import Door
    from rotators.local.operations import Operations
    from rotators.local.options import Options

_REPLACED = (
    "list_secret_version_ids",
    "put_resource_policy",
    "rotate_secret",
    "stop_replication_to_replica",
    "update_secret",
    "update_secret_version_stage",
    "validate_resource_policy",
)
_LOG_TAIL = 4096
_ASYNCHRONOUS_ATTEMPTS = 3


class Faithful:
    """The replacements, for one local AWS at a time in a process.

    Args:
        operations: what answers instead of moto.
        functions: what runs Lambda functions.
        endpoint: gives the variables that lead a function of a Region to this AWS.
        door: is told what Lambda does with functions' roles.
        options: of the local AWS.
    """

    def __init__(
        self,
        operations: Operations,
        functions: Functions,
        endpoint: Callable[[str], dict[str, str]],
        door: Door,
        options: Options,
    ) -> None:
        self._door = door
        self._options = options
        self._endpoint = endpoint
        self._operations = operations
        self._functions = functions
        self._lock = operations.rotations.lock
        self._replaced: list[tuple[type | ModuleType, str, Any]] = []

    def install(self) -> None:
        """Put the replacements in moto's place."""
        for name in _REPLACED:
            self._replace(SecretsManagerResponse, name, self._answer(name))
        self._replace(SecretsManagerResponse, "put_secret_value", self._put_secret_value())
        create_secret = SecretsManagerResponse.create_secret
        self._replace(SecretsManagerResponse, "create_secret", self._create_secret(create_secret))
        self._replace(SecretsManagerBackend, "get_secret_value", self._get_secret_value())
        self._replace(FakeSecret, "to_dict", self._to_dict(FakeSecret.to_dict))
        self._replace(CloudTrailResponse, "lookup_events", self._lookup_events())
        self._replace(LambdaFunction, "invoke", self._invoke())
        self._replace(IamResponse, "simulate_principal_policy", simulate_principal_policy)
        targets = with_targets(Rule.send_to_targets, self._client, self._options)
        self._replace(Rule, "send_to_targets", targets)
        create = with_server(RDSBackend.create_db_cluster, self._options)
        self._replace(RDSBackend, "create_db_cluster", create)
        self._replace(KmsBackend, "schedule_key_deletion", _by_arn(KmsBackend.schedule_key_deletion))
        self._replace(DBCluster, "endpoint", property(with_host(DBCluster.endpoint)))
        known = parsing.resource_class_from_type
        self._replace(parsing, "resource_class_from_type", completed(known, self._client))
        self._replace(parsing, "clean_json", without_gaps(parsing.clean_json))
        for name in ("create_change_set", "create_stack", "update_stack"):
            refusing = rules.with_constraints(getattr(CloudFormationBackend, name))
            self._replace(CloudFormationBackend, name, refusing)
        resources = parsing.ResourceMap
        self._replace(resources, "delete", with_retention(resources.delete))
        self._replace(resources, "load_parameters", with_lists(resources.load_parameters))
        self._replace(resources, "build_resource_diff", difference)
        self._replace(ChangeSet, "apply", applied)

    def remove(self) -> None:
        """Put moto's own methods back."""
        while self._replaced:
            owner, name, original = self._replaced.pop()
            if original is None:
                delattr(owner, name)
            else:
                setattr(owner, name, original)

    @cache  # noqa: B019 - each local AWS has one of these, and few clients
    def _client(self, region: str, service: str, account: str | None = None) -> Any:
        """A client of this AWS; of another account's resources, by a role that is assumed there."""
        keys: dict[str, Any] = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        if account is not None and account != self._door.account:
            role = f"arn:aws:iam::{account}:role/rotators-local"
            found = self._client(region, "sts").assume_role(RoleArn=role, RoleSessionName="local")
            keys = {
                "aws_access_key_id": found["Credentials"]["AccessKeyId"],
                "aws_secret_access_key": found["Credentials"]["SecretAccessKey"],
            }
        return Session().create_client(
            service,
            region_name=region,
            endpoint_url=self._endpoint(region)["AWS_ENDPOINT_URL"],
            config=Config(proxies={}),
            **keys,
        )

    def _replace(self, owner: type | ModuleType, name: str, replacement: Any) -> None:
        self._replaced.append((owner, name, owner.__dict__.get(name)))
        setattr(owner, name, replacement)

    def _answer(self, name: str) -> Callable[[SecretsManagerResponse], str]:
        operation = getattr(self._operations, name)

        def answer(response: SecretsManagerResponse) -> str:
            with self._lock:
                return json.dumps(operation(response.backend, _params(response)))

        return answer

    def _put_secret_value(self) -> Callable[[SecretsManagerResponse], str]:
        def put_secret_value(response: SecretsManagerResponse) -> str:
            with self._lock:
                answer = self._operations.put_secret_value(
                    response.backend, _params(response), response.get_access_key()
                )
                return json.dumps(answer)

        return put_secret_value

    def _create_secret(
        self, original: Callable[[SecretsManagerResponse], str]
    ) -> Callable[[SecretsManagerResponse], str]:
        def create_secret(response: SecretsManagerResponse) -> str:
            with self._lock:
                self._operations.check_create(response.backend, _params(response))
                return original(response)

        return create_secret

    def _get_secret_value(self) -> Callable[..., dict[str, Any]]:
        def get_secret_value(
            backend: SecretsManagerBackend, secret_id: str, version_id: str, version_stage: str
        ) -> dict[str, Any]:
            # BatchGetSecretValue passes empty strings for what is not wanted.
            params = {"VersionId": version_id or None, "VersionStage": version_stage or None}
            with self._lock:
                secret = backend.describe_secret(secret_id)
                return self._operations.get_secret_value(secret, params)

        return get_secret_value

    def _to_dict(
        self, original: Callable[[FakeSecret], dict[str, Any]]
    ) -> Callable[[FakeSecret], dict[str, Any]]:
        def to_dict(secret: FakeSecret) -> dict[str, Any]:
            with self._lock:
                return self._operations.describe(secret, original(secret))

        return to_dict

    def _lookup_events(self) -> Callable[[CloudTrailResponse], str]:
        events = self._operations.events

        def lookup_events(response: CloudTrailResponse) -> str:
            return json.dumps(events.lookup(_params(response)))

        return lookup_events

    def _invoke(self) -> Callable[..., str | bytes]:
        functions, endpoint, door = self._functions, self._endpoint, self._door

        def run_later(function: LambdaFunction, body: Any) -> None:
            """An asynchronous invocation is repeated twice if the function fails (LG: invocation-async)."""
            for _ in range(_ASYNCHRONOUS_ATTEMPTS):
                headers: dict[str, Any] = {}
                run(function, body, headers)
                if "x-amz-function-error" not in headers or functions.stopped:
                    return

        def run(function: LambdaFunction, body: Any, response_headers: dict[str, Any]) -> bytes:
            code = functions.code(function.function_arn, _archive(function))
            layers = tuple(functions.archives.folder(content) for content in _layers(function))
            config = _config(function, endpoint(function.region), code, layers)
            door.invoked(function.function_name, function.region, in_vpc=bool(function.vpc_config))
            invocation = functions.invoke(config, json.loads(body) if body else {})
            if invocation.failed:
                response_headers["x-amz-function-error"] = "Unhandled"
            tail = invocation.log.encode()[-_LOG_TAIL:]
            response_headers["x-amz-log-result"] = base64.b64encode(tail).decode()
            function.logs_backend.ensure_log_group(function.logs_group_name)
            function.save_logs(invocation.log)
            return invocation.payload.encode()

        def invoke(
            function: LambdaFunction, body: Any, request_headers: Any, response_headers: dict[str, Any]
        ) -> str | bytes:
            kind = request_headers.get("x-amz-invocation-type", "RequestResponse")
            if kind == "RequestResponse":
                return run(function, body, response_headers)
            if kind == "Event":
                threading.Thread(target=run_later, args=(function, body), daemon=True).start()
            return ""

        return invoke


def _by_arn(original: Callable[..., Any]) -> Callable[..., Any]:
    """The deletion of a key, which moto knows by id only."""

    def schedule_key_deletion(backend: KmsBackend, key_id: str, pending_window_in_days: int) -> Any:
        return original(backend, key_id.rpartition("/")[2], pending_window_in_days)

    return schedule_key_deletion


def _params(response: SecretsManagerResponse | CloudTrailResponse) -> dict[str, Any]:
    params: dict[str, Any] = json.loads(response.body or "{}")
    return params


def _archive(function: LambdaFunction) -> bytes | None:
    """Code that came in the request itself is a sample's; that in S3 is a deployment's."""
    return function.code_bytes if "S3Bucket" in function.code and "ZipFile" not in function.code else None


def _layers(function: LambdaFunction) -> list[bytes]:
    """The zip files of a function's layers."""
    found = []
    for layer in function.layers:
        account, region = layer["Arn"].split(":")[4], layer["Arn"].split(":")[3]
        version = lambda_backends[account][region].layers_versions_by_arn(layer["Arn"])
        if version is not None:
            found.append(version.code_bytes)
    return found


def _config(
    function: LambdaFunction, endpoint: dict[str, str], code: str | None, layers: tuple[str, ...]
) -> FunctionConfig:
    own = {key: str(value) for key, value in function.environment_vars.items()}
    name, handler, memory = function.function_name, str(function.handler), int(function.memory_size)
    environment = lambda_environment(name, handler, memory, endpoint=endpoint, own=own)
    timeout = float(function.timeout)
    return FunctionConfig(name, function.function_arn, handler, timeout, memory, environment, code, layers)
