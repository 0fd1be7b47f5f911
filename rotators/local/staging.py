"""The request to stage an empty version, which another process sends to a running local AWS."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from urllib.parse import urlsplit

_SECONDS = 5.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def stage(secret_id: str, token: str) -> bool:
    """Attach AWSPENDING to an empty version for the token, as RotateSecret does before createSecret.

    Args:
        secret_id: Name or ARN.
        token: Id of the version, which is created if it does not exist.

    Returns:
        True if it is staged now; False if the endpoint is not a local AWS, or has no such secret.
    """
    endpoint = os.environ.get("AWS_ENDPOINT_URL_SECRETS_MANAGER") or os.environ.get("AWS_ENDPOINT_URL") or ""
    if urlsplit(endpoint).scheme != "http" or urlsplit(endpoint).hostname not in _LOOPBACK:
        return False
    region = secret_id.split(":")[3] if secret_id.startswith("arn:") else _region()
    body = {"SecretId": secret_id, "ClientRequestToken": token, "Region": region}
    # The path is also in endpoint.py, whose import would load moto into a process that does not need it.
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        f"{endpoint.rstrip('/')}/rotators-local/stage", json.dumps(body).encode(), method="POST"
    )
    try:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=_SECONDS) as answer:
            return bool(json.load(answer).get("staged"))
    except (urllib.error.URLError, ValueError, AttributeError):
        return False


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
