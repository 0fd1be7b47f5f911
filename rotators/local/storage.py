"""S3: differences of moto in conditional writes and bucket policies.

Moto checks whether an object exists and writes it afterwards, so two conditional writes could both succeed;
S3 permits one (S3 guide, conditional-writes). Moto treats a statement with conditions as a denial of
everything. `rotators.local.iam` evaluates policies with conditions for the callers that it watches. Moto's
refusal by other policies has no code; that of S3 is AccessDenied (API:ErrorResponses).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket
from moto.s3.responses import S3Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.local.options import Options
    from rotators.local.replacements import Replacements

_DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


def install(replacements: Replacements, _options: Options, _client: Callable[..., Any]) -> None:
    """Replace functions of moto.

    Args:
        replacements: keeps the originals.
    """
    replacements.wrap(S3Response, "put_object", _one_at_a_time, threading.Lock())
    replacements.wrap(FakeBucket, "get_permission", _without_conditions)
    replacements.wrap(S3Response, "_key_response", _with_code)


def _one_at_a_time(original: Callable[[S3Response], Any], lock: threading.Lock, response: S3Response) -> Any:
    with lock:
        return original(response)


def _with_code(
    original: Callable[[S3Response, Any, str], Any], response: S3Response, request: Any, url: str
) -> Any:
    found = original(response, request, url)
    return (403, {}, _DENIED) if found == (403, {}, "") else found


def _without_conditions(
    original: Callable[[FakeBucket, str, str], Any], bucket: FakeBucket, action: str, resource: str
) -> Any:
    if bucket.policy is not None and b'"Condition"' in bucket.policy:
        return PermissionResult.NEUTRAL
    return original(bucket, action, resource)
