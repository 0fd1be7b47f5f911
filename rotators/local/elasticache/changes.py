"""Changes that AWS makes in the background, and the servers that get them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rotators.local.servers.redis import password_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rotators.local.moto_patches import Replacements
    from rotators.local.options import Options


@dataclass
class _Change:
    effect: Callable[[], None]
    descriptions: int = 0


class Changes:
    """The changes of one local AWS that are under way.

    Args:
        options: of the local AWS.

    Attributes:
        credentials: passwords and tokens that moto does not keep, by ARN.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._under_way: dict[str, _Change] = {}
        self._lock = threading.Lock()
        self.credentials: dict[str, Sequence[str]] = {}

    def install(
        self, replacements: Replacements, owner: type, operations: Mapping[str, Callable[[Any], Any]]
    ) -> None:
        """Replace operations of moto.

        Args:
            replacements: keeps the originals.
            owner: moto's class of the service's operations.
            operations: functions of an object of that class, by their names in moto. They run one at a time.
        """
        for name, operation in operations.items():
            replacements.replace(owner, name, self._one_at_a_time(operation))

    def _one_at_a_time(self, operation: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def locked(response: Any) -> Any:
            with self._lock:
                return operation(response)

        return locked

    def begin(self, arn: str, effect: Callable[[], None]) -> None:
        """Start a change; without a delay it takes effect now.

        Args:
            arn: the resource that is changed.
            effect: makes the change on the server.
        """
        self._under_way[arn] = _Change(effect)
        if not self._options.cache_delay:
            self._end(arn)

    def describe(self, arn: str) -> bool:
        """Count a description of a resource, with which its change may take effect.

        Args:
            arn: the resource.

        Returns:
            True if a change is still under way.
        """
        if change := self._under_way.get(arn):
            change.descriptions += 1
            if change.descriptions > self._options.cache_delay:
                self._end(arn)
        return self.under_way(arn)

    def under_way(self, arn: str) -> bool:
        """Return True if a change of a resource is under way.

        Args:
            arn: the resource.
        """
        return arn in self._under_way

    def host(self, service: str) -> str | None:
        """The host of the server behind the caches of a service; None if there is no server.

        Args:
            service: name of the service.
        """
        server = self._options.caches.get(service)
        return server.host if server else None

    def create(self, service: str, user: str, access: str, passwords: Sequence[str]) -> None:
        """Create a user on the server behind the caches of a service, if there is one.

        Args:
            service: name of the service.
            user: name of the user.
            access: rights as AWS's access string has them.
            passwords: all passwords; none means that every password is accepted.
        """
        rules = [password_hash(each) for each in passwords] or ["nopass"]
        self._run(service, "SETUSER", user, "reset", *access.split(), *rules)

    def set_passwords(self, service: str, user: str, passwords: Sequence[str]) -> None:
        """Replace the passwords of a user on the server.

        Args:
            service: name of the service.
            user: name of the user.
            passwords: all passwords.
        """
        self._run(service, "SETUSER", user, "resetpass", *map(password_hash, passwords))

    def delete(self, service: str, user: str) -> None:
        """Delete a user from the server.

        Args:
            service: name of the service.
            user: name of the user.
        """
        self._run(service, "DELUSER", user)

    def _run(self, service: str, command: str, *rules: str) -> None:
        server = self._options.caches.get(service)
        if server is not None:
            server.acl(command, *rules)

    def _end(self, arn: str) -> None:
        self._under_way.pop(arn).effect()


def acceptable(passwords: Sequence[str]) -> bool:
    """Return True if ElastiCache and MemoryDB take these passwords for a user.

    Args:
        passwords: all passwords of the user.
    """
    return 1 <= len(passwords) <= 2 and all(  # noqa: PLR2004 - API: ModifyUser
        16 <= len(each) <= 128 and each.isprintable() and not set(each) & set(',"/@')  # noqa: PLR2004 - the same
        for each in passwords
    )
