"""The functions that a local AWS creates itself, and their role. A reset of moto does not remove them."""

from __future__ import annotations

import base64
import io
import json
import threading
import zipfile
from typing import TYPE_CHECKING, Any

from moto.awslambda.models import lambda_backends
from moto.iam.models import iam_backends

from rotators.local.functions.lambda_service import SOURCE
from rotators.local.options import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rotators.local.wsgi import Application

RESET_PATH = "/moto-api/reset"

_ROLE = "rotators-local"
_TIMEOUT_SECONDS = 30
_MEMORY_MB = 256


class OwnFunctions:
    """The functions; they run from where this process imports them.

    Args:
        forget: called after a reset, before the functions are created again.
    """

    def __init__(self, forget: Callable[[], None]) -> None:
        self._forget = forget
        self._lock = threading.Lock()
        self._created: dict[tuple[str, str], tuple[str, Mapping[str, str]]] = {}
        _create_role()

    def create(self, region: str, name: str, handler: str, variables: Mapping[str, str]) -> str:
        """See `create_function`. A reset keeps this function."""
        with self._lock:
            self._created[region, name] = handler, variables
            return create_function(region, name, handler, variables)

    def kept(self, application: Application, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request with moto, but keep the functions at its reset (POST /moto-api/reset).

        Args:
            application: Moto's application.
            environ: The request.
            start_response: Function of PEP 3333 that begins the answer.

        Returns:
            The body. After a reset the functions were created again.
        """
        answer = application(environ, start_response)
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == ("POST", RESET_PATH):
            answer = list(answer)
            self._restore()
        return answer

    def _restore(self) -> None:
        with self._lock:
            self._forget()
            _create_role()
            for (region, name), (handler, variables) in self._created.items():
                create_function(region, name, handler, variables)


def create_function(region: str, name: str, handler: str, variables: Mapping[str, str]) -> str:
    """Create a Lambda function, or replace it, with a permission for Secrets Manager.

    Args:
        region: Region of the function.
        name: name of the function.
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
        "Code": {"ZipFile": _archive(), SOURCE: True},
        "Timeout": _TIMEOUT_SECONDS,
        "MemorySize": _MEMORY_MB,
        "Environment": {"Variables": dict(variables)},
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
    """Return an empty zip in base64.

    Lambda requires code, but these functions are imported from the checkout.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("README", "The code runs from its source folder.")
    return base64.b64encode(buffer.getvalue()).decode()
