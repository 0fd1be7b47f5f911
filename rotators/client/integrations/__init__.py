"""Integrations with libraries that keep connections; each module needs its library.

A module named after a driver whose clients reconnect by themselves has a function ``connected``, with which
``Credentials.connect`` creates such a client; the module with the suffix ``_asyncio`` does for asyncio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rotators.core.errors import ConfigurationError, InvalidInput
from rotators.core.secret import Secret
from rotators.logins.target import TARGET_KEYS

if TYPE_CHECKING:
    from rotators.client._call import Destination


def require_kind(credentials: object, kind: type) -> None:
    """Check that credentials are the ones for threads, or the ones for asyncio.

    Args:
        credentials: to check.
        kind: `Credentials` or `AsyncCredentials`.

    Raises:
        InvalidInput: they are of another class.
    """
    if not isinstance(credentials, kind):
        raise InvalidInput(f"credentials must be {kind.__name__}", remedy="Correct the argument.")


def place_of(secret: Secret) -> Secret:
    """Return the keys of a secret that name its server.

    Args:
        secret: value.
    """
    return Secret({key: secret[key] for key in TARGET_KEYS if key in secret})


def require_same(destination: Destination, secret: Secret, place: Secret) -> None:
    """Check that a version is for the server of a client that reconnects by itself.

    Args:
        destination: the parts of the target that the client's arguments decide.
        secret: value to log in with.
        place: as ``place_of`` returned it when the client was created.

    Raises:
        ConfigurationError: it is for another server.
    """
    if not destination.same(secret, place):
        raise ConfigurationError(
            "the secret names another server than the client",
            remedy="Create a new client, which has the new address.",
        )
