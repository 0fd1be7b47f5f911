"""Django's PostgreSQL backend, with each new connection made by `rotators.client.Credentials`."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base

from rotators.client import Credentials
from rotators.client.drivers import driver_named
from rotators.client.messages import Attempt

# One for all threads: each thread of Django has a DatabaseWrapper of its own.
credentials = cache(Credentials)
PSYCOPG = driver_named("psycopg")


class DatabaseWrapper(base.DatabaseWrapper):
    """The backend. Host, port, user and password in DATABASES are not used."""

    def get_connection_params(self) -> dict[str, Any]:
        """Django's parameters without what the secret says, and without the secret's name."""
        ours = {"host", "port", "user", "password", "rotators_secret"}
        return {name: value for name, value in super().get_connection_params().items() if name not in ours}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Django's connection, logged in with what works now."""
        connect = super().get_new_connection
        secret_id = self.settings_dict["OPTIONS"].get("rotators_secret") or settings.ROTATORS_SECRET

        def login(attempt: Attempt) -> Any:
            return connect(PSYCOPG.arguments(attempt.secret, attempt.seconds, conn_params))

        return credentials(secret_id).login(login, PSYCOPG)
