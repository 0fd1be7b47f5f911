"""Django's PostgreSQL backend; `rotators.client.Credentials` opens each new connection."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base

from rotators.client import Attempt, Credentials, driver_named

# Shared by all threads, because each thread of Django has a separate DatabaseWrapper.
credentials = cache(Credentials)
PSYCOPG = driver_named("psycopg")


class DatabaseWrapper(base.DatabaseWrapper):
    """The backend. Host, port, user and password in DATABASES are not used."""

    def get_connection_params(self) -> dict[str, Any]:
        """Return Django's parameters without the secret's name and the members of the secret."""
        ours = {"host", "port", "user", "password", "rotators_secret"}
        return {name: value for name, value in super().get_connection_params().items() if name not in ours}

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return Django's connection, opened with the stored version that works."""
        connect = super().get_new_connection
        secret_id = self.settings_dict["OPTIONS"].get("rotators_secret") or settings.ROTATORS_SECRET

        def login(attempt: Attempt) -> Any:
            return connect(PSYCOPG.arguments(attempt.secret, attempt.seconds, conn_params))

        return credentials(secret_id).login(login, PSYCOPG)
