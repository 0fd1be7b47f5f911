"""A private Redis server behind the clusters of the local MemoryDB, whose API changes its users."""

from __future__ import annotations

from typing import Any

from rotators.local.servers.elasticache import ElastiCacheServer


class MemoryDbServer(ElastiCacheServer):
    """A private server whose users the local MemoryDB changes; see ElastiCacheServer."""

    engine = "memorydb"

    def set_password(self, arn: str, password: str) -> None:
        """See ElastiCacheServer.set_password."""
        self.api.update_user(UserName=arn.rpartition("/")[2], AuthenticationMode=_mode(password))

    def delete(self, arn: str) -> None:
        """See ElastiCacheServer.delete."""
        self.api.delete_user(UserName=arn.rpartition("/")[2])

    def _created(self, name: str, password: str) -> str:
        user = self.api.create_user(
            UserName=name, AuthenticationMode=_mode(password), AccessString=self.access
        )
        self.api.create_acl(ACLName=f"acl-{name}", UserNames=[name])
        return str(user["User"]["ARN"])


def _mode(password: str) -> dict[str, Any]:
    return {"Type": "password", "Passwords": [password]}


SERVER = MemoryDbServer
