"""The services behind a LocalAws. This module imports moto, so `aws.py` imports it only at a start."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from moto.core.base_backend import BackendDict

from rotators.local.clients import Clients
from rotators.local.endpoint import Endpoint
from rotators.local.functions.invocations import Functions
from rotators.local.functions.lambda_service import LambdaService
from rotators.local.functions.own import OwnFunctions
from rotators.local.iam.authorizer import Authorizer
from rotators.local.iam.lookup import Lookup
from rotators.local.moto_patches import FirstRequests, install
from rotators.local.options import Options
from rotators.local.replacements import Replacements
from rotators.local.secretsmanager.api_calls import ApiCalls
from rotators.local.secretsmanager.events import EventLog
from rotators.local.secretsmanager.operations import Operations
from rotators.local.secretsmanager.replication import Replication
from rotators.local.secretsmanager.rotations import Rotations
from rotators.local.wsgi import Application


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
        own: The functions that this AWS creates itself.
        clients: Makes clients of the endpoint.
    """

    server: Endpoint
    authorizer: Authorizer
    events: EventLog
    rotations: Rotations
    operations: Operations
    functions: Functions
    own: OwnFunctions
    clients: Clients


def start_services(
    port: int, options: Options, exports: Callable[[str], dict[str, str]], undo: ExitStack
) -> Services:
    """Start the services of one local AWS on an empty moto.

    Args:
        port: port of the endpoint; 0 takes a free one.
        options: options of the local AWS.
        exports: returns the variables that select the endpoint for a function of a Region.
        undo: gets the calls that end the services, delete their state and restore moto.

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
    lookup = Lookup(rotations.record)
    operations = Operations(rotations, Replication(options, events), events, lookup)
    functions = Functions()
    authorizer = Authorizer(lookup)
    clients = Clients(lambda: server.endpoint)
    lambdas = LambdaService(functions, exports, authorizer)
    replacements = undo.enter_context(Replacements())
    install(replacements, operations, lambdas, options, clients.of_account)
    first = FirstRequests(replacements, options, clients.of_account)
    # Undone from the last to the first: first no further step begins, then the containers end, then the
    # threads that wait for them.
    undo.callback(rotations.stop)
    undo.callback(functions.stop)
    undo.callback(rotations.refuse_more)

    def forget() -> None:
        for each in (rotations, events, calls):
            each.forget()

    own = OwnFunctions(forget)

    def around(moto: Application) -> Application:
        return partial(calls.recorded, partial(authorizer.guarded, partial(own.kept, moto)))

    server = Endpoint(port, rotations.stage, around, first.before, options)
    undo.callback(server.stop)
    return Services(server, authorizer, events, rotations, operations, functions, own, clients)
