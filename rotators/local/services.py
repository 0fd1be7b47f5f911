"""The services behind a LocalAws. Importing this module imports moto, so `aws.py` does that at its start."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.core.base_backend import BackendDict
from moto.iam.models import iam_backends

from rotators.local.clients import Clients
from rotators.local.endpoint import Endpoint
from rotators.local.functions.invocations import Functions
from rotators.local.functions.lambda_service import LambdaService
from rotators.local.iam.authorizer import Application, Authorizer
from rotators.local.iam.lookup import Lookup
from rotators.local.moto_patches import MotoPatches
from rotators.local.options import ACCOUNT, Options
from rotators.local.secretsmanager.accounts import Accounts
from rotators.local.secretsmanager.api_calls import ApiCalls
from rotators.local.secretsmanager.events import EventLog
from rotators.local.secretsmanager.operations import Operations
from rotators.local.secretsmanager.replication import Replication
from rotators.local.secretsmanager.rotations import Rotations

_ROLE = "rotators-local"
_TIMEOUT_SECONDS = 30
_MEMORY_MB = 256


@dataclass(frozen=True)
class Services:
    """The running endpoint, and the services that are not moto's own.

    Attributes:
        server: The endpoint.
        authorizer: Records calls and refuses them as IAM would.
        events: Secrets Manager's own events.
        rotations: The rotations, and moto's records of secrets.
        operations: Secrets Manager's operations.
        functions: The containers of Lambda.
        clients: Makes clients of the endpoint.
    """

    server: Endpoint
    authorizer: Authorizer
    events: EventLog
    rotations: Rotations
    operations: Operations
    functions: Functions
    clients: Clients


def start_services(
    port: int, options: Options, exports: Callable[[str], dict[str, str]], undo: ExitStack
) -> Services:
    """Start the services of one local AWS on an empty moto.

    Args:
        port: of the endpoint; 0 takes a free one.
        options: of the local AWS.
        exports: gives the variables that lead a function of a Region to the endpoint.
        undo: gets what ends the services, forgets their state and restores moto.

    Returns:
        The running services.

    Raises:
        ServerStartFailed: the port is taken.
    """
    BackendDict.reset()
    undo.callback(BackendDict.reset)
    calls = ApiCalls(lambda arn, region: lookup.secret(arn, region))  # noqa: PLW0108 - it is made below
    events = EventLog(calls.records)
    rotations = Rotations(events, options)
    operations = Operations(rotations, Replication(options, events), events)
    functions = Functions()
    lookup = Lookup(rotations.record)
    authorizer = Authorizer(lookup)
    clients = Clients(lambda: server.endpoint)
    lambdas = LambdaService(functions, exports, authorizer)
    patches = MotoPatches(operations, lambdas, Accounts(lookup), options, clients)
    undo.callback(patches.remove)
    patches.install()
    # Undone from the last to the first: no step begins any more, then the containers end, then the threads
    # that wait for them.
    undo.callback(rotations.stop)
    undo.callback(functions.stop)
    undo.callback(rotations.refuse_more)

    def around(moto: Application) -> Application:
        return calls.recorded(authorizer.guarded(moto))

    server = Endpoint(port, rotations.stage, around, patches.before_request, options)
    undo.callback(server.stop)
    _create_role()
    return Services(server, authorizer, events, rotations, operations, functions, clients)


def create_function(region: str, name: str, handler: str, variables: dict[str, str]) -> str:
    """Create a Lambda function, or replace it, with a permission for Secrets Manager.

    Args:
        region: Region of the function.
        name: of the function.
        handler: dotted path.
        variables: its environment.

    Returns:
        Its ARN.
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
    return str(function.function_arn)


def _create_role() -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam = iam_backends[ACCOUNT]["aws"]
    iam.create_role(
        role_name=_ROLE,
        assume_role_policy_document=_policy(trust),
        path="/",
        permissions_boundary=None,
        description="The role of local functions.",
        tags=[],
        max_session_duration=None,
    )
    iam.put_role_policy(_ROLE, "everything", _policy({"Effect": "Allow", "Action": "*", "Resource": "*"}))


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _archive() -> str:
    """A zip in base64: Lambda wants code, ours is imported where it stands."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("README", "The code runs from its source folder.")
    return base64.b64encode(buffer.getvalue()).decode()
