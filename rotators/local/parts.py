"""What runs behind a started LocalAws; importing it loads moto, so `aws.py` does that late."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any, Literal

from moto.awslambda.models import lambda_backends
from moto.core.base_backend import BackendDict
from moto.iam.models import iam_backends
from moto.secretsmanager.models import FakeSecret, secretsmanager_backends

from rotators.local import versions
from rotators.local.directory import MotoDirectory
from rotators.local.events import EventLog
from rotators.local.faithful import Faithful
from rotators.local.functions import Functions
from rotators.local.iam.door import Door
from rotators.local.operations import Operations
from rotators.local.rotation import Rotations
from rotators.local.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.local.databases import Database
    from rotators.local.records import StepRecord

ACCOUNT = "123456789012"
_LOOPBACK = "127.0.0.1,localhost"
_ROLE = "rotators-local"
_TIMEOUT_SECONDS = 30
_MEMORY_MB = 256


class Parts:
    """The server, the replaced operations, the containers and the rotations of one local AWS, running.

    Args:
        port: of the endpoint; 0 takes a free one.
        on_step: called with each finished step.
        pending_in_test: tells the value of the version that RotateImmediately=false tests.
        database: tells what gives the address of a cluster that is created.
        event_deliveries: tells how often EventBridge delivers an event to a function.

    Raises:
        LocalStackError: moto is not the pinned version.
        ServerStartFailed: the port is taken.
    """

    def __init__(
        self,
        port: int,
        on_step: Callable[[StepRecord], object],
        pending_in_test: Callable[[], Literal["empty", "current"]],
        database: Callable[[], Database | None],
        event_deliveries: Callable[[], int],
    ) -> None:
        BackendDict.reset()
        self.events = EventLog(event_deliveries)
        self.rotations = Rotations(self.events, on_step, pending_in_test)
        self.operations = Operations(self.rotations, self.events)
        self.functions = Functions()
        self.door = Door(ACCOUNT, MotoDirectory(ACCOUNT, self.find_secret))
        self._faithful = Faithful(self.operations, self.functions, self.exports, self.door, database)
        self._faithful.install()
        try:
            self.server = Server(port, self._stage_remotely, self.door)
        except BaseException:
            self._faithful.remove()
            raise
        _create_role()

    def exports(self, region: str) -> dict[str, str]:
        """The variables that lead boto3 and the AWS CLI here, with dummy credentials."""
        return {
            "AWS_ENDPOINT_URL": self.server.endpoint,
            # Nearer settings of the caller's would lead elsewhere, and loopback never goes through a proxy.
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.server.endpoint,
            "SECRETS_MANAGER_ENDPOINT": self.server.endpoint,
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
            "NO_PROXY": _LOOPBACK,
            "no_proxy": _LOOPBACK,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def stop(self) -> None:
        """End everything and forget moto's state."""
        self.server.stop()
        self.rotations.refuse_more()
        self.functions.stop()
        self.rotations.stop()
        self._faithful.remove()
        BackendDict.reset()

    def create_function(
        self, region: str, name: str, handler: str, variables: dict[str, str], code: str | None
    ) -> None:
        """Create a Lambda function, or replace it, with a permission for Secrets Manager.

        Args:
            region: where.
            name: of the function.
            handler: dotted path.
            variables: its environment.
            code: the folder of a built artifact; None runs the handler from where this process imports it.
        """
        spec = {
            "FunctionName": name,
            "Handler": handler,
            "Runtime": "python3.13",
            "Role": f"arn:aws:iam::{ACCOUNT}:role/{_ROLE}",
            "Code": {"ZipFile": _archive()},
            "Timeout": _TIMEOUT_SECONDS,
            "MemorySize": _MEMORY_MB,
            "Environment": {"Variables": variables},
        }
        permission = {
            "StatementId": "secrets-manager",
            "Action": "lambda:InvokeFunction",
            "Principal": "secretsmanager.amazonaws.com",
            "SourceAccount": ACCOUNT,
        }
        function = lambda_backends[ACCOUNT][region].create_function(spec)
        function.policy.add_statement(json.dumps(permission))
        self.functions.place(function.function_arn, code)

    def function_arn(self, region: str, name: str) -> str:
        """The ARN that a function of this name has."""
        return f"arn:aws:lambda:{region}:{ACCOUNT}:function:{name}"

    def find_secret(self, secret_id: str, region: str) -> FakeSecret | None:
        """Moto's record of a secret by name or ARN, or None; replicas are not found."""
        account = secret_id.split(":")[4] if secret_id.startswith("arn:") else ACCOUNT
        with self.rotations.lock:
            found = secretsmanager_backends[account][region].secrets.get(secret_id)
        return found if isinstance(found, FakeSecret) else None

    def stage(self, secret: FakeSecret, token: str) -> None:
        """Attach AWSPENDING to the token's version, made empty if it does not exist."""
        with self.rotations.lock:
            versions.stage_empty(secret, token)

    def _stage_remotely(self, secret_id: str, token: str, region: str) -> bool:
        secret = self.find_secret(secret_id, region)
        if secret is not None:
            self.stage(secret, token)
        return secret is not None


def _create_role() -> None:
    trust: dict[str, Any] = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    iam_backends[ACCOUNT]["aws"].create_role(
        role_name=_ROLE,
        assume_role_policy_document=json.dumps(trust),
        path="/",
        permissions_boundary=None,
        description="The role of local functions.",
        tags=[],
        max_session_duration=None,
    )
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam_backends[ACCOUNT]["aws"].put_role_policy(_ROLE, "everything", json.dumps(everything))


def _archive() -> str:
    """A zip in base64: Lambda wants code, ours is imported where it stands."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("README", "The code runs from its source folder.")
    return base64.b64encode(buffer.getvalue()).decode()
