"""Finding a secret by its name, its ARN, or its ARN without the random end.

moto compares the identifier with the name and the ARN of every secret, several times per request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moto.secretsmanager.models import FakeSecret, ReplicaSecret, SecretsStore

    Secret = FakeSecret | ReplicaSecret


def find(store: SecretsStore, secret_id: str) -> Secret | None:
    """Find a secret.

    Args:
        store: moto's secrets of an account in a Region, by name.
        secret_id: Name, ARN, or ARN without the random end.

    Returns:
        The secret, or None.
    """
    if not secret_id.startswith("arn:"):
        return dict.get(store, secret_id)
    name = secret_id.rpartition(":")[2]
    found = dict.get(store, name.rpartition("-")[0])
    return found if found is not None and found.arn == secret_id else dict.get(store, name)


def _get(store: SecretsStore, secret_id: str) -> Secret:
    """Find a secret (see `find`); raise a KeyError if there is none."""
    found = find(store, secret_id)
    if found is None:
        raise KeyError(secret_id)
    return found


def _contains(store: SecretsStore, secret_id: str) -> bool:
    """Return True if the secret exists; see `find`."""
    return find(store, secret_id) is not None


def _pop(store: SecretsStore, secret_id: str) -> Secret | None:
    """Remove a secret and return it (see `find`); return None if there is none."""
    found = find(store, secret_id)
    return dict.pop(store, found.name) if found is not None else None


FINDING: dict[str, Any] = {"get": find, "__getitem__": _get, "__contains__": _contains, "pop": _pop}
"""Methods of moto's store, with the functions that replace them."""
