"""Decisions that do not refuse a whole request, or that need facts which an operation finds while it runs.

API BatchGetSecretValue: a caller needs GetSecretValue for each secret, and a refusal is one of the answer's
errors. API UpdateSecret: with a new key, a version whose key the caller may not use is not encrypted again.
The authorizer sets the decisions around a request, in the same thread as the operation.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

refusal_of: ContextVar[Callable[[str], str | None]] = ContextVar("refusal_of", default=lambda _: None)
"""A function of the ARN or name of a secret; returns the message of a refusal, or None."""

may_use_key: ContextVar[Callable[[str, str, str], bool]] = ContextVar(
    "may_use_key", default=lambda _action, _key, _version: True
)
"""A function of an action of KMS, a key, and the id of a version of the secret in the request."""
