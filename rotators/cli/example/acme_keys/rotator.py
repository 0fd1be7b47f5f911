"""The rotator: the new key is added beside the current one, which works until the next rotation."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from rotators.core.errors import (
    AccessDenied,
    CredentialsRejected,
    IdentityMismatch,
    SecretFormatError,
    TargetRefused,
    TargetUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        for key in _stored(rotation):
            with suppress(CredentialsRejected):
                _call(rotation.current, key, "PUT", "/keys", {"keys": keys})
                return
        raise CredentialsRejected("the service rejected every stored key")

    def verify(self, rotation: Rotation) -> None:
        """Use the pending key."""
        _check_identity(rotation)
        _call(rotation.pending, _key(rotation.pending), "GET", "/whoami")


def _check_identity(rotation: Rotation) -> None:
    """A pending value for another user or service must not be promoted, even if it works."""
    for name in _IDENTITY:
        if rotation.pending.get(name) != rotation.current.get(name):
            raise IdentityMismatch(f"the pending value has another {name} than the current one")


def _stored(rotation: Rotation) -> Iterator[str]:
    """The stored keys, the likeliest first; older versions are read only if these fail."""
    yield _key(rotation.current)
    yield _key(rotation.pending)
    if rotation.previous is not None:
        yield from _older_key(rotation.previous, rotation.current)
    with suppress(AccessDenied):  # without the right to list versions, go on without them
        for older in rotation.history:
            yield from _older_key(older, rotation.current)


def _older_key(older: Secret, current: Secret) -> Iterator[str]:
    """The key of an older version, if it is this user's; a broken one must not hide the others."""
    if older.get("username") == current.get("username"):
        with suppress(SecretFormatError):
            yield _key(older)


def _key(secret: Secret) -> str:
    key = secret.text("api_key")
    if not key.isascii() or not key.isprintable():
        raise SecretFormatError("key 'api_key' of the secret holds a character that no header takes")
    return key


def _call(secret: Secret, key: str, method: str, path: str, body: object = None) -> None:
    """One call of the service. Not one error of it shows a header or a body."""
    host, port, user = secret.text("host"), secret.get("port"), secret.text("username")
    if not isinstance(port, int):
        raise SecretFormatError("key 'port' of the secret must be a number")
    # In production: HTTPSConnection, which verifies the service's certificate by default.
    connection = HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.connect()
        headers = {"X-User": user, "Authorization": f"Bearer {key}"}
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
        raise TargetRefused(f"{host}:{port} refused {method} {path} with status {status}")
