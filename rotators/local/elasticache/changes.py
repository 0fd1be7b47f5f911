"""Changes that AWS makes in the background, and the servers that receive them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rotators.local.servers.redis import password_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rotators.local.options import CacheServer, Options
    from rotators.local.replacements import Replacements


@dataclass
class _Change:
    effect: Callable[[], None]
    descriptions: int = 0


class ChangesUnderWay:
    """The running changes of one service of a local AWS.

    Args:
        options: options of the local AWS.
        service: name of the service.

    Attributes:
        credentials: passwords and tokens that moto does not keep, by ARN.
    """

    def __init__(self, options: Options, service: str) -> None:
        self._options, self._service = options, service
        self._under_way: dict[str, _Change] = {}
        self._lock = threading.Lock()
        self.credentials: dict[str, Sequence[str]] = {}

    def install(
        self, replacements: Replacements, owner: type, operations: Mapping[str, Callable[..., Any]]
    ) -> None:
        """Replace operations of moto.

        Args:
            replacements: keeps the originals.
            owner: moto's class of the service's operations.
            operations: functions of these changes, moto's own operation and an object of that class, by their
                names in moto. They run one at a time.
        """
        for name, operation in operations.items():
            replacements.replace(owner, name, self._one_at_a_time, operation, getattr(owner, name, None))

    def _one_at_a_time(self, operation: Callable[..., Any], moto: Callable[..., Any], response: Any) -> Any:
        with self._lock:
            return operation(self, moto, response)

    def begin(self, resource: Any, done: str, effect: Callable[[], None]) -> None:
        """Start a change; without a delay it takes effect now.

        Args:
            resource: moto's record of the changed resource.
            done: its status after the change.
            effect: makes the change, also on the server.
        """

        def end() -> None:
            resource.status = done
            effect()

        resource.status = "modifying"
        self._under_way[resource.arn] = _Change(end)
        if not self._options.cache_delay:
            self._end(resource.arn)

    def describe(self, arn: str) -> None:
        """Count a description of a resource, with which its change may take effect.

        Args:
            arn: the resource.
        """
        if change := self._under_way.get(arn):
            change.descriptions += 1
            if change.descriptions > self._options.cache_delay:
                self._end(arn)

    def under_way(self, arn: str) -> bool:
        """Return True if a change of a resource is running.

        Args:
            arn: the resource.
        """
        return arn in self._under_way

    @property
    def server(self) -> CacheServer | None:
        """The server behind the caches of the service, if there is one."""
        return self._options.caches.get(self._service)

    def create(self, user: str, access: str, passwords: Sequence[str]) -> None:
        """Create a user on the server, if there is one.

        Args:
            user: name of the user.
            access: rights as AWS's access string has them.
            passwords: all passwords; empty to accept every password.
        """
        rules = [password_hash(each) for each in passwords] or ["nopass"]
        self._run("SETUSER", user, "reset", *access.split(), *rules)

    def set_passwords(self, user: str, passwords: Sequence[str]) -> None:
        """Replace the passwords of a user on the server.

        Args:
            user: name of the user.
            passwords: all passwords.
        """
        self._run("SETUSER", user, "resetpass", *map(password_hash, passwords))

    def delete(self, user: str) -> None:
        """Delete a user from the server.

        Args:
            user: name of the user.
        """
        self._run("DELUSER", user)

    def _run(self, command: str, *rules: str) -> None:
        if self.server:
            self.server.acl(command, *rules)

    def _end(self, arn: str) -> None:
        self._under_way.pop(arn).effect()


def acceptable(passwords: Sequence[str]) -> bool:
    """Return True if ElastiCache and MemoryDB accept these passwords for a user.

    Args:
        passwords: all passwords of the user.
    """
    return 1 <= len(passwords) <= 2 and all(  # noqa: PLR2004 - API: ModifyUser
        16 <= len(each) <= 128 and each.isprintable() and not set(each) & set(',"/@')  # noqa: PLR2004 - the same
        for each in passwords
    )
