"""Sharing of AWS's service models between botocore sessions.

moto makes a botocore session for each service and reads the service's Regions with it, and the clients of
tests and commands have sessions of their own. Each session reads its own copy of endpoints and service
models, which takes up to half a second of processor time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def shared_service_models() -> Iterator[None]:
    """Let all botocore sessions that are created in the block share the files that they read."""
    from botocore import session  # noqa: PLC0415 - takes a quarter of a second, and only needed here

    original = session.create_loader
    session.create_loader = cache(original)
    try:
        yield
    finally:
        session.create_loader = original
