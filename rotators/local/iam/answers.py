"""Answers of the local AWS to requests that it refuses, for all services."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

_S3 = "/s3/aws4_request"  # end of the scope that the request was signed for


def refused(code: str, message: str, environ: Mapping[str, Any], start_response: Any) -> list[bytes]:
    """Answer with an error, in the protocol of the request.

    Args:
        code: name of the error, without the suffix ``Exception`` of the JSON protocols.
        message: its text.
        environ: of the request.
        start_response: of WSGI.

    Returns:
        The body.
    """
    if _S3 in environ.get("HTTP_AUTHORIZATION", ""):
        start_response("403 Forbidden", [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>".encode()]
    if "urlencoded" in environ.get("CONTENT_TYPE", ""):
        start_response("403 Forbidden", [("Content-Type", "text/xml")])
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        return [f"<ErrorResponse>{error}<RequestId>local</RequestId></ErrorResponse>".encode()]
    kind = f"{code}Exception"
    start_response(
        "400 Bad Request", [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-errortype", kind)]
    )
    return [json.dumps({"__type": kind, "Message": message}).encode()]
