"""Requests to S3 as IAM sees them (Service Authorization Reference, list_amazons3).

S3 names a bucket and an object in the path; a bucket in the host name, as clients of AWS send it, does not
occur on a loopback address.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from rotators.iam.calls import ApiCall
    from rotators.local.iam.requests import SignedRequest

_OF_OBJECTS = {
    ("DELETE", False): "DeleteObject",
    ("DELETE", True): "DeleteObjectVersion",
    ("GET", False): "GetObject",
    ("GET", True): "GetObjectVersion",
    ("PUT", False): "PutObject",
}
"""Actions by method, and whether the request names a version."""


def operation_of(environ: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Return the action of a request, with the parts of its conditions and resource.

    Args:
        environ: environment of WSGI.

    Returns:
        The action, without ``s3:``; method and path for an unknown one.
    """
    path, method = unquote(str(environ.get("PATH_INFO", ""))), str(environ.get("REQUEST_METHOD"))
    bucket, _, key = path.lstrip("/").partition("/")
    query = parse_qs(str(environ.get("QUERY_STRING", "")), keep_blank_values=True)
    found = {"Bucket": bucket, "Key": key}
    if match := environ.get("HTTP_IF_NONE_MATCH"):
        found["s3:if-none-match"] = str(match)
    if prefix := query.get("prefix"):
        found["s3:prefix"] = prefix[0]
    if not key and method == "GET" and not query.keys() - _LISTING:
        return ("ListBucketVersions" if "versions" in query else "ListBucket"), found
    known = query.keys() <= {"versionId", "x-id"}
    action = _OF_OBJECTS.get((method, "versionId" in query)) if key and known else None
    return action or f"{method} {path}", found


_LISTING = {
    "encoding-type",
    "key-marker",
    "list-type",
    "max-keys",
    "prefix",
    "version-id-marker",
    "versions",
    "x-id",
}
"""Parameters of the requests that list objects and their versions."""


def calls_to_s3(request: SignedRequest) -> list[ApiCall]:
    """List the calls that IAM decides about for a request to S3.

    Args:
        request: The request.

    Returns:
        The calls.
    """
    params = request.params
    path = f"{params['Bucket']}/{params['Key']}" if params["Key"] else params["Bucket"]
    context = {name: str(value) for name, value in params.items() if name.startswith("s3:")}
    return [request.call(f"s3:{request.operation}", f"arn:aws:s3:::{path}", context)]
