"""A private MySQL server on loopback, for this process alone, where MySQL is installed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from rotators.core.errors import ServerNotFound, ServerStartFailed
from rotators.local.servers.mariadb import MariaDbBinaries, MariaDbServer
from rotators.local.servers.process import identity


def find_mysql() -> MariaDbBinaries:
    """Find a MySQL: ``mysqld`` in the directory that MYSQL_BIN names, else the system's.

    Raises:
        ServerNotFound: there is none; a MariaDB under that name does not count.
    """
    server = Path(os.environ.get("MYSQL_BIN", "/usr/sbin")).resolve() / "mysqld"
    try:
        said = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        said = ""
    version = re.search(r"Ver ([\d.]+)", said)
    if version is None or "MariaDB" in said:
        raise ServerNotFound(
            "no MySQL was found on this machine",
            remedy="Install MySQL, or set MYSQL_BIN to the directory of mysqld.",
        )
    return MariaDbBinaries(server, server, version[1])


class MySqlServer(MariaDbServer):
    """As MariaDbServer; see there. MySQL makes its data directory itself."""

    engine = "mysql"
    defaults = {  # noqa: RUF012 - read only
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
        command: list[Any] = [found.server, "--no-defaults", "--initialize-insecure"]
        command += [f"--datadir={self.directory / 'data'}", "--secure-file-priv=NULL"]
        command += [f"--tmpdir={self.directory / 'tmp'}"]
        done = subprocess.run(
            command, cwd=self.directory, capture_output=True, text=True, check=False, **identity(self._uid)
        )
        if done.returncode != 0:
            raise ServerStartFailed(f"mysqld --initialize-insecure failed: {done.stderr[-400:]}")
        # Readable by the server's user alone, and gone once it is up.
        init = self.directory / "init.sql"
        init.touch(mode=0o600)
        init.write_text(
            f"CREATE USER 'root'@'%' IDENTIFIED BY '{self.password}';\n"
            "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;\n"
            "DROP USER 'root'@'localhost';\n"
        )
        self._own(init)

    def _run(self, found: MariaDbBinaries) -> None:
        super()._run(found)
        (self.directory / "init.sql").unlink()
