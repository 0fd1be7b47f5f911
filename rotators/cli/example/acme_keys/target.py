"""The service as a target of the conformance kit: create, try, reset and remove a credential."""

from __future__ import annotations

import itertools
import secrets
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, ClassVar

from rotators.testing import Hook, Kind, Target, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from acme_keys.service import Service


class AcmeKeysTarget(Target):
    """Users of the example's service.

    Args:
        service: running service.
    """

    # Calls that leave the process. The crash matrix stops before and after each of them.
    operations: ClassVar[Sequence[Hook]] = (
        Hook("http.client:HTTPConnection.connect", Kind.CONNECT, lambda _: "connect"),
        Hook("http.client:HTTPConnection.request", Kind.STATEMENT, lambda call: f"{call[1]} {call[2]}"),
    )

    def __init__(self, service: Service) -> None:
        self._service = service
        self._numbers = itertools.count(1)

    def create(self, name: str | None = None, password: str | None = None) -> Value:
        """See Target.create."""
        return self._create(f"{name or 'kit'}-{next(self._numbers)}", password)

    def create_named(self, name: str) -> Value:
        """See Target.create_named."""
        return self._create(name, None)

    def logs_in(self, value: Mapping[str, Any]) -> bool:
        """See Target.logs_in."""
        connection = HTTPConnection(value["host"], value["port"], timeout=5)
        headers = {"X-User": value["username"], "Authorization": f"Bearer {value['api_key']}"}
        connection.request("GET", "/whoami", headers=headers)
        status = connection.getresponse().status
        connection.close()
        return status == 200  # noqa: PLR2004 - HTTP's

    def reset(self, value: Mapping[str, Any]) -> Value:
        """See Target.reset."""
        key = secrets.token_urlsafe(32)
        self._service.set_keys(value["username"], key)
        return {**value, "api_key": key}

    def wrong(self, value: Mapping[str, Any]) -> Value:
        """See Target.wrong."""
        return {**value, "api_key": secrets.token_urlsafe(32)}

    def remove(self, value: Mapping[str, Any]) -> None:
        """See Target.remove."""
        self._service.users.pop(value["username"], None)

    def footprint(self, value: Mapping[str, Any]) -> object:
        """See Target.footprint."""
        return len(self._service.users.get(value["username"], ()))

    def port(self, value: Mapping[str, Any]) -> int:
        """See Target.port."""
        return int(value["port"])

    def _create(self, name: str, key: str | None) -> Value:
        key = key or secrets.token_urlsafe(32)
        self._service.set_keys(name, key)
        address = {"engine": "acme-keys", "host": "127.0.0.1", "port": self._service.port, "ssl": False}
        return {**address, "username": name, "api_key": key}
