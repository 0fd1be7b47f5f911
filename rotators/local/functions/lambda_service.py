"""Lambda's part in an invocation: the function's configuration, its permissions, retries and its log."""

from __future__ import annotations

import base64
import io
import json
import threading
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.core.utils import iso_8601_datetime_with_nanoseconds

from rotators.local.functions.containers import FunctionConfig
from rotators.local.functions.environment import lambda_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.local.functions.invocations import Functions
    from rotators.local.iam.authorizer import Authorizer

SOURCE = "rotators:source"
"""Member of the ``Code`` of functions that run from where this process imports them."""

_LOG_TAIL = 4096
_ASYNCHRONOUS_ATTEMPTS = 3


_NOT_UNZIPPED = "Could not unzip uploaded file. Please check your file, then try to upload again."
_EMPTY = "Uploaded file must be a non-empty zip"


class LambdaService:
    """Invokes moto's Lambda functions in containers.

    Args:
        functions: Runs the containers.
        exports: Returns the variables that select this AWS for a function of a Region.
        authorizer: Records the calls that Lambda makes with the functions' roles.
    """

    def __init__(
        self, functions: Functions, exports: Callable[[str], dict[str, str]], authorizer: Authorizer
    ) -> None:
        self._functions = functions
        self._exports = exports
        self._authorizer = authorizer

    def invoke(
        self, function: LambdaFunction, body: Any, request_headers: Any, response_headers: dict[str, Any]
    ) -> str | bytes:
        """Invoke a function; replaces moto's ``LambdaFunction.invoke``.

        Args:
            function: Moto's record of the function.
            body: JSON text of the event.
            request_headers: Name the invocation type.
            response_headers: Get the error mark and the end of the log.

        Returns:
            The payload; empty unless the caller waits for the answer.
        """
        kind = request_headers.get("x-amz-invocation-type", "RequestResponse")
        if kind == "RequestResponse":
            return self._run(function, body, response_headers)
        if kind == "Event":
            threading.Thread(target=self._run_later, args=(function, body), daemon=True).start()
        return ""

    def _run_later(self, function: LambdaFunction, body: Any) -> None:
        """An asynchronous invocation is repeated twice if the function fails (LG: invocation-async)."""
        for _ in range(_ASYNCHRONOUS_ATTEMPTS):
            headers: dict[str, Any] = {}
            self._run(function, body, headers)
            if "x-amz-function-error" not in headers or self._functions.stopped:
                return

    def _run(self, function: LambdaFunction, body: Any, response_headers: dict[str, Any]) -> bytes:
        config = self._config(function)
        self._authorizer.invoked(function.function_name, function.region, in_vpc=bool(function.vpc_config))
        runner = self._functions.runner(function.function_name)
        invocation = runner.invoke(config, json.loads(body) if body else {})
        if invocation.failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        tail = invocation.log.encode()[-_LOG_TAIL:]
        response_headers["x-amz-log-result"] = base64.b64encode(tail).decode()
        function.logs_backend.ensure_log_group(function.logs_group_name)
        function.save_logs(invocation.log)
        return invocation.payload.encode()

    def _config(self, function: LambdaFunction) -> FunctionConfig:
        name, handler, memory = function.function_name, str(function.handler), int(function.memory_size)
        own = {key: str(value) for key, value in function.environment_vars.items()}
        exports = self._exports(function.region)
        # Code in S3 is from a deployment; other code is in the request itself.
        deployed = "S3Bucket" in function.code and "ZipFile" not in function.code
        uploaded = "ZipFile" in function.code and SOURCE not in function.code
        return FunctionConfig(
            function.function_arn,
            handler,
            float(function.timeout),
            lambda_environment(name, handler, memory, endpoint=exports, own=own),
            self._functions.code(function.function_arn, function.code_bytes if deployed else None),
            self._functions.archives.folder(function.code_bytes) if uploaded else None,
            tuple(self._functions.archives.folder(content) for content in _layers(function)),
        )


def set_code(original: Callable[..., None], function: LambdaFunction, spec: dict[str, Any]) -> None:
    """Set the code of a function, and check the archive as Lambda does; moto accepts any content.

    The answers are those of AWS: without an archive as recorded by LocalStack's tests (test_lambda_api,
    ``invalid_zip_exc``), with an empty one as in adieuadieu/serverless-chrome#331.

    Args:
        original: moto's own ``LambdaFunction._set_function_code``.
        function: Moto's record of the function.
        spec: The request.
    """
    if "ZipFile" in spec:
        _check_archive(spec["ZipFile"])
    original(function, spec)
    function.last_modified = iso_8601_datetime_with_nanoseconds()


def update_configuration(
    original: Callable[..., Any], function: LambdaFunction, updates: dict[str, Any]
) -> Any:
    """Also set the time of the last change (API:FunctionConfiguration, LastModified).

    Args:
        original: moto's own ``LambdaFunction.update_configuration``.
        function: Moto's record of the function.
        updates: The changes.

    Returns:
        The result of moto's own method.
    """
    function.last_modified = iso_8601_datetime_with_nanoseconds()
    return original(function, updates)


def _check_archive(content: str | bytes) -> None:
    """Refuse content that is not a zip file with at least one file; it is in base64."""
    try:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(content))) as archive:
            if not archive.namelist():
                raise InvalidParameterValueException(_EMPTY)
            broken = archive.testzip()
    except (ValueError, RuntimeError, zipfile.BadZipFile, zlib.error):  # RuntimeError: encrypted
        broken = "all"
    if broken:
        raise InvalidParameterValueException(_NOT_UNZIPPED)


def _layers(function: LambdaFunction) -> list[bytes]:
    """Return the zip files of a function's layers."""
    found = []
    for layer in function.layers:
        region, account = layer["Arn"].split(":")[3:5]
        if version := lambda_backends[account][region].layers_versions_by_arn(layer["Arn"]):
            found.append(version.code_bytes)
    return found
