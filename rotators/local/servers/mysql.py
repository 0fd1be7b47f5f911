"""A private MySQL server on loopback, for this process alone, where MySQL is installed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from rotators.core.errors import ServerNotFound
from rotators.local.servers.mariadb import MariaDbBinaries, MariaDbServer
from rotators.local.servers.private import version_of


def find_mysql() -> MariaDbBinaries:
    """Find a MySQL: ``mysqld`` in the directory that MYSQL_BIN names, else the system's.

    Raises:
        ServerNotFound: there is none; a MariaDB under that name does not count.
    """
    server = Path(os.environ.get("MYSQL_BIN", "/usr/sbin")).resolve() / "mysqld"
    version = version_of(server, r"Ver ([\d.]+)(?!.*MariaDB)")
    if version is None:
        raise ServerNotFound(
            "no MySQL was found on this machine",
            remedy="Install MySQL, or set MYSQL_BIN to the directory of mysqld.",
        )
    return MariaDbBinaries(server, server, version)


class MySqlServer(MariaDbServer):
    """As MariaDbServer; see there. MySQL makes its data directory itself."""

    engine = "mysql"
    defaults: Mapping[str, str] = {
        "bind-address": "127.0.0.1",
        "socket": "socket",
        "skip-name-resolve": "1",
        "disable-log-bin": "1",
        "mysqlx": "OFF",
        "secure-file-priv": "NULL",
        "innodb-flush-log-at-trx-commit": "0",
        "innodb-buffer-pool-size": "32M",
    }

    def _find(self) -> MariaDbBinaries:
        return find_mysql()

    def _initialise(self, found: MariaDbBinaries) -> None:
        self._run(
            found.server,
            "--no-defaults",
            "--initialize-insecure",
            f"--datadir={self._settings['datadir']}",
            "--secure-file-priv=NULL",
            f"--tmpdir={self._settings['tmpdir']}",
        )

    def _init(self) -> str:
        return (
            f"CREATE USER 'root'@'%' IDENTIFIED BY '{self.password}';\n"
            "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;\n"
            "DROP USER 'root'@'localhost';\n"
        )

    def _launch(self) -> None:
        super()._launch()
        # It holds the password. MariaDB's holds a hash only.
        (self.directory / "init.sql").unlink()
