"""The decision about single secrets of BatchGetSecretValue, which names them only while it runs.

API BatchGetSecretValue: a caller needs GetSecretValue for each secret, and a refusal is one of the answer's
errors. The authorizer sets the decision around a request, in the same thread as the operation.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

refusal_of: ContextVar[Callable[[str], str | None]] = ContextVar("refusal_of", default=lambda _: None)
"""Takes the ARN or name of a secret, and returns the words of a refusal, or None."""
