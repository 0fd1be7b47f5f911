"""A private Redis server behind the caches of the local ElastiCache, whose API changes its users."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

from rotators.local.servers.redis import RIGHTS, RedisServer

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws


class ElastiCacheServer(RedisServer):
    """A private server whose users the local ElastiCache changes.

    Attributes:
        api: client of the service, after ``use``.
        access: rights of the users, in the form of AWS's access string.
    """

    engine = "elasticache"
    administered = False
    access = " ".join(("on", *RIGHTS))
    api: Any

    def __init__(self) -> None:
        super().__init__()
        self._arns: dict[str, str] = {}

    def use(self, aws: LocalAws) -> None:
        """See DatabaseServer.use. The rotate function gets CACHE_HOSTS, as does this process."""
        aws.caches[self.engine] = self
        environment = {"CACHE_HOSTS": self.host}
        os.environ.update(environment)
        aws.register("rotate", "rotators.handlers.rotate.handler", environment)
        self.api = aws.client(self.engine)

    def create_user(self, name: str, password: str) -> None:
        """See DatabaseServer.create_user."""
        self._arns[name] = self._created(name, password)

    def secret(
        self, username: str | None = None, password: str | None = None, **extra: Any
    ) -> dict[str, Any]:
        """See DatabaseServer.secret."""
        arn = {"user_arn": self._arns[username]} if username and username in self._arns else {}
        return super().secret(username, password, **{**arn, **extra})

    def set_password(self, arn: str, password: str) -> None:
        """Make a password the only one of a user.

        Args:
            arn: ARN of the user.
            password: clear text.
        """
        self.api.modify_user(UserId=arn.rpartition(":")[2], Passwords=[password])

    def delete(self, arn: str) -> None:
        """Delete a user.

        Args:
            arn: ARN of the user.
        """
        self.api.delete_user(UserId=arn.rpartition(":")[2])

    def _created(self, name: str, password: str) -> str:
        """Create a user in a new group, and return its ARN."""
        identity = f"id-{secrets.token_hex(6)}"
        user = self.api.create_user(
            UserId=identity, UserName=name, Engine="redis", AccessString=self.access, Passwords=[password]
        )
        self.api.create_user_group(UserGroupId=f"group-{identity}", Engine="redis", UserIds=[identity])
        return str(user["ARN"])


SERVER = ElastiCacheServer
