"""Requests and answers of the local AWS in WSGI (PEP 3333), for all services."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

_CREDENTIAL = re.compile(r"Credential=(?P<key>[^/]+)/[^/]+/(?P<region>[^/]+)/(?P<service>[^/]+)/")


def signature(environ: Mapping[str, Any]) -> re.Match[str] | None:
    """Return ``key``, ``region`` and ``service`` of a request's signature; None if it is not signed.

    Args:
        environ: the request.
    """
    return _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))


def body_of(environ: dict[str, Any]) -> bytes:
    """Return the body of a request; it can be read again.

    Args:
        environ: the request.
    """
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def as_json(
    document: Mapping[str, Any], start_response: Any, status: str = "200 OK", headers: Iterable[Any] = ()
) -> list[bytes]:
    """Answer with a JSON document.

    Args:
        document: the answer.
        start_response: function of PEP 3333 that begins the answer.
        status: status of the answer.
        headers: further headers.

    Returns:
        The body.
    """
    start_response(status, [("Content-Type", "application/x-amz-json-1.1"), *headers])
    return [json.dumps(document).encode()]


def refused(code: str, message: str, environ: Mapping[str, Any], start_response: Any) -> list[bytes]:
    """Answer with an error, in the protocol of the request.

    Args:
        code: name of the error, without the suffix ``Exception`` of the JSON protocols.
        message: its text.
        environ: environment of the request.
        start_response: function of PEP 3333 that begins the answer.

    Returns:
        The body.
    """
    signed = signature(environ)
    if signed and signed["service"] == "s3":
        start_response("403 Forbidden", [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>".encode()]
    if "urlencoded" in environ.get("CONTENT_TYPE", ""):
        start_response("403 Forbidden", [("Content-Type", "text/xml")])
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        return [f"<ErrorResponse>{error}<RequestId>local</RequestId></ErrorResponse>".encode()]
    kind = f"{code}Exception"
    document = {"__type": kind, "Message": message}
    return as_json(document, start_response, "400 Bad Request", [("x-amzn-errortype", kind)])
