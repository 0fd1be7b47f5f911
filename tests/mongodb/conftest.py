"""The local AWS with users of MongoDB."""

from __future__ import annotations

from typing import Any

import pytest

from rotators.local.aws import LocalAws
from rotators.local.servers.mongodb import MongoServer
from tests.world import World, new_password, remembered, unique


class MongoWorld(World):
    """The world with a server of MongoDB's protocol."""

    def __init__(self, aws: LocalAws, server: MongoServer) -> None:
        super().__init__(aws, server)
        self.mongodb = server

    def account(self, **members: Any) -> dict[str, Any]:
        """Create a user, and return its value for a secret."""
        name, password = unique("app"), new_password()
        self.mongodb.create_user(name, password)
        return {**self.mongodb.secret(name, password), **members}

    def alternating(self) -> str:
        """Create a secret that rotates with `alternating`, and return its ARN."""
        return self.secret(self.account(strategy="alternating", masterarn=self.admin_secret()))

    def admin(self) -> dict[str, Any]:
        """The administrator's value."""
        return self.mongodb.secret()

    def set_password(self, name: str, password: str) -> None:
        """Change a password on the server without changing the secret."""
        self.mongodb.execute("updateUser", name, pwd=remembered(password))


@pytest.fixture
def mongo_world(aws: LocalAws, mongodb: MongoServer) -> MongoWorld:
    """The local AWS with MongoDB's protocol."""
    return MongoWorld(aws, mongodb)
