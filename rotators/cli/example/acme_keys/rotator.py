"""The rotator: the new key is added beside the current one, which works until the next rotation."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from rotators.core.errors import (
    CredentialsRejected,
    IdentityMismatch,
    SecretFormatError,
    TargetRefused,
    TargetUnavailable,
)
from rotators.core.tries import Tries

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret

_SECONDS = 5.0
_IDENTITY = ("engine", "host", "port", "username")


class AcmeKeys:
    """The Rotator; see rotators/core/contracts.py for what each method promises."""

    def propose(self, rotation: Rotation) -> Secret:
        """The current value with a new key."""
        _key(rotation.current)
        return rotation.current.replace(api_key=secrets.token_urlsafe(32))

    def apply(self, rotation: Rotation) -> None:
        """Make the current and the pending key the service's two keys of this user.

        The pair is set as a whole, so it may be repeated. Whichever stored key works is the login for it.
        """
        _check_identity(rotation)
        keys = [_key(rotation.current), _key(rotation.pending)]
        # The stored keys in the order in which they are likely to work; not more than an account tolerates.
        tries = Tries(
            rotation, usable=lambda stored: _same(stored, rotation.current), credential=_key_or_none
        )
        for _, stored in tries:
            with suppress(CredentialsRejected):
                _call(rotation.current, _key(stored), "PUT /keys", {"keys": keys}, rotation.confirm)
                tries.accepted()
                return
        raise tries.failure("the service let nobody in")

    def verify(self, rotation: Rotation) -> None:
        """Use the pending key."""
        _check_identity(rotation)
        _call(rotation.pending, _key(rotation.pending), "GET /whoami")


def _check_identity(rotation: Rotation) -> None:
    """A pending value for another user or service must not be promoted, even if it works."""
    for name in _IDENTITY:
        if rotation.pending.get(name) != rotation.current.get(name):
            raise IdentityMismatch(f"the pending value has another {name} than the current one")


def _same(stored: Secret, current: Secret) -> bool:
    """Whether a key was stored for this user and service: it must not be sent anywhere else."""
    return all(stored.get(name) == current.get(name) for name in _IDENTITY)


def _key_or_none(stored: Secret) -> str | None:
    """The key of a version; a broken version must not hide the others."""
    with suppress(SecretFormatError):
        return _key(stored)
    return None


def _key(secret: Secret) -> str:
    key = secret.text("api_key")
    if not key.isascii() or not key.isprintable():
        raise SecretFormatError("key 'api_key' of the secret holds a character that no header takes")
    return key


def _call(
    secret: Secret,
    key: str,
    request: str,
    body: object = None,
    confirm: Callable[[], None] = lambda: None,
) -> None:
    """One call of the service; ``confirm`` comes last before it. No error shows a header or a body."""
    host, port, user = secret.text("host"), secret.get("port"), secret.text("username")
    if user != user.strip():
        # A header loses them, and would so name another user.
        raise SecretFormatError("key 'username' of the secret begins or ends with a blank")
    if not isinstance(port, int):
        raise SecretFormatError("key 'port' of the secret must be a number")
    # In production: HTTPSConnection, which verifies the service's certificate by default.
    connection = HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.connect()
        confirm()
        headers = {"X-User": user, "Authorization": f"Bearer {key}"}
        method, path = request.split()
        connection.request(method, path, body=json.dumps(body), headers=headers)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        raise TargetUnavailable(f"no answer from {host}:{port}: {type(error).__name__}") from None
    finally:
        connection.close()
    if status == 401:  # noqa: PLR2004 - HTTP's
        raise CredentialsRejected(f"{host}:{port} rejected a key of {user!r}")
    if status >= 500:  # noqa: PLR2004 - HTTP's
        raise TargetUnavailable(f"{host}:{port} failed with status {status}")
    if status >= 300:  # noqa: PLR2004 - HTTP's
        raise TargetRefused(f"{host}:{port} refused {request} with status {status}")
