"""A private MySQL server on loopback, for this process alone, where MySQL is installed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rotators.local.errors import ServerNotFound
from rotators.local.servers.mariadb import MariaDbBinaries, MariaDbServer
from rotators.local.servers.private import version_of


class MySqlServer(MariaDbServer):
    """See MariaDbServer. MySQL creates its data directory itself."""

    engine = "mysql"
    required = False
    clearing = "DROP USER 'root'@'localhost';"
    test_options: Mapping[str, Any] = {}
    defaults: Mapping[str, str] = {
        "bind-address": "127.0.0.1",
        "socket": "socket",
        "skip-name-resolve": "1",
        "disable-log-bin": "1",
        "mysqlx": "OFF",
        "secure-file-priv": "NULL",
        "innodb-flush-log-at-trx-commit": "0",
        "innodb-buffer-pool-size": "32M",
        "loose-innodb-redo-log-capacity": "8M",  # unknown to releases before 8.0.30
    }
    # Without certificates, because servers get their own, and a cache should not have a private key.
    install_options = (
        "--no-defaults",
        "--initialize-insecure",
        "--secure-file-priv=NULL",
        f"--loose-innodb-redo-log-capacity={defaults['loose-innodb-redo-log-capacity']}",
        "--auto-generate-certs=0",
        "--caching-sha2-password-auto-generate-rsa-keys=0",
        "--loose-sha256-password-auto-generate-rsa-keys=0",
    )

    @classmethod
    def find(cls) -> MariaDbBinaries:
        """Find a MySQL: ``mysqld`` in the directory that MYSQL_BIN names, else the system's.

        Returns:
            Its program and version.

        Raises:
            ServerNotFound: there is no MySQL; a MariaDB under that name does not count.
        """
        server = Path(os.environ.get("MYSQL_BIN", "/usr/sbin")).resolve() / "mysqld"
        version = version_of(server, r"Ver ([\d.]+)(?!.*MariaDB)")
        if version is None:
            raise ServerNotFound(
                "no MySQL was found on this machine",
                remedy="Install MySQL, or set MYSQL_BIN to the directory of mysqld.",
            )
        return MariaDbBinaries(server, server, version)

    def identified(self, password: str) -> str:
        """See MariaDbServer.identified. The server keeps the password out of its logs itself."""
        from pymysql.converters import escape_string  # noqa: PLC0415 - only its clients need the driver

        return f"IDENTIFIED WITH caching_sha2_password BY '{escape_string(password)}'"

    @property
    def _client_trust(self) -> str:
        return f"--ssl-ca={self.ca} --ssl-mode=VERIFY_IDENTITY"

    def _launch(self) -> None:
        super()._launch()
        # It contains the password; MariaDB's contains only a hash.
        (self.directory / "init.sql").unlink()


SERVER = MySqlServer
