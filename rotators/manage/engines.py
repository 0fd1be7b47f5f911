"""The engine of secrets, which only their values name. Reading them counts as a use of the secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.core.errors import RotatorsError, SecretFormatError
from rotators.manage.values import values_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rotators.manage.inventory import Entry


def engines_of(found: Iterable[Entry]) -> Iterator[tuple[Entry, str | RotatorsError | None]]:
    """Read the engine of secrets, 20 per call. Nothing of a value is kept.

    Args:
        found: the secrets.

    Yields:
        Each secret with the name in its member ``engine``, in lower case; None if its value names no engine;
        the error if the caller may not read it.

    Raises:
        AccessDenied: the caller may not use BatchGetSecretValue.
        StoreError: a whole call failed.
    """
    for entry, value in values_of(found):
        if isinstance(value, RotatorsError):
            yield entry, value
            continue
        try:
            engine = value.secret.get("engine")
        except SecretFormatError:
            engine = None
        yield entry, engine.lower() if isinstance(engine, str) else None
