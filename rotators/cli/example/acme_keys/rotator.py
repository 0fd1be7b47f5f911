"""The engine: the API keys of an HTTP service.

Differences from other targets: a user has at most two keys, and both are valid. One request sets the pair, so
the current key is valid until the next rotation. Each key of a user may set the pair, so no admin is needed.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, ClassVar

from rotators import CredentialsRejected, SecretFormatError, TargetRefused, TargetUnavailable
from rotators.engines import Dual, EngineRotator, Password, PasswordRules, host_of, port_of, wants_tls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators import Secret, Settings

_SECONDS = 5.0


def rotator() -> EngineRotator:
    """Return the rotator of these keys; the entry point."""
    return EngineRotator(AcmeKeysEngine())


class AcmeKeysEngine:
    """Declarations and login of the credential type; see rotators/strategies/engine.py."""

    names = frozenset({"acme-keys"})
    default_port = 443
    target_defaults: ClassVar[dict[str, str]] = {}
    longest_username = 64
    credential = Password(PasswordRules(shortest=32, longest=128), key="api_key")
    strategies = (Dual(),)

    @contextmanager
    def login(self, secret: Secret, settings: Settings) -> Iterator[AcmeKeysSession]:
        """See Engine.login."""
        del settings
        user, key = _header(secret, "username"), _header(secret, "api_key")
        kind = HTTPSConnection if wants_tls(secret) else HTTPConnection
        connection = kind(host_of(secret), port_of(secret, self.default_port), timeout=_SECONDS)
        try:
            session = AcmeKeysSession(connection, user, key)
            session.open()
            yield session
        finally:
            connection.close()


class AcmeKeysSession:
    """One connection; see Session and KeepsTwo. No error shows a header or a body."""

    def __init__(self, connection: HTTPConnection, user: str, key: str) -> None:
        self.account = user
        self._connection = connection
        self._address = f"{connection.host}:{connection.port}"
        self._headers = {"X-User": user, "Authorization": f"Bearer {key}"}

    def open(self) -> None:
        """Connect, and log in with the key."""
        with self._answered():
            self._connection.connect()
        # A change must use this connection: while another one is opened, a later rotation could begin.
        self._connection.auto_open = 0
        self.check()

    def check(self, other: str = "") -> None:
        """See Session.check."""
        del other
        self._call("GET", "/whoami")

    def set_pair(self, user: str, old: str, new: str) -> None:
        """See KeepsTwo.set_pair. The service reads the user from the header."""
        del user
        self._call("PUT", "/keys", {"keys": [old, new]})

    def _call(self, method: str, path: str, body: object = None) -> None:
        content = None if body is None else json.dumps(body)
        address, user = self._address, self.account
        with self._answered():
            self._connection.request(method, path, body=content, headers=self._headers)
            answer = self._connection.getresponse()
            answer.read()
        if answer.status == 401:  # noqa: PLR2004 - HTTP's
            raise CredentialsRejected(f"{address} rejected a key of {user!r}")
        if answer.status >= 500:  # noqa: PLR2004 - HTTP's
            raise TargetUnavailable(f"{address} failed with status {answer.status}")
        if answer.status >= 300:  # noqa: PLR2004 - HTTP's
            raise TargetRefused(f"{address} refused {method} {path} with status {answer.status}")

    @contextmanager
    def _answered(self) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException) as error:
            raise TargetUnavailable(f"no answer from {self._address}: {type(error).__name__}") from None


def _header(secret: Secret, key: str) -> str:
    """Return a member of the secret as a header's value: ASCII without blanks at the ends."""
    text = secret.text(key)
    if not text.isascii() or not text.isprintable() or text != text.strip():
        raise SecretFormatError(
            f"key {key!r} of the secret contains a character that a header cannot contain"
        )
    return text
