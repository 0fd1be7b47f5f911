from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rotators.local.errors import ServerNotFound
from rotators.local.servers.mariadb import MariaDbServer
from tests.waiting import until


def test_as_root_it_runs_as_another_user() -> None:
    try:
        MariaDbServer.find()
    except ServerNotFound:
        if os.environ.get("CI"):
            raise
        pytest.skip("no MariaDB here")
    with MariaDbServer() as server:
        assert server.execute("SELECT @@have_ssl, @@bind_address") == [("YES", "127.0.0.1")]
        assert server.execute("SELECT User, Host FROM mysql.user WHERE User <> 'mariadb.sys'") == [
            ("root", "%")
        ]
        assert server._process is not None
        assert Path(f"/proc/{server._process.pid}").stat().st_uid != 0 or os.geteuid() != 0
        assert server.password not in repr(server)
        directory = server.directory
    assert not directory.exists()


def test_it_ends_with_a_killed_parent(maria: MariaDbServer) -> None:
    code = (
        "import sys, time\nfrom rotators.local.servers.mariadb import MariaDbServer\n"
        "s = MariaDbServer().start()\nprint(s._process.pid, s.directory, flush=True)\ntime.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, directory = parent.stdout.readline().split()
        parent.kill()
    until(lambda: not Path(directory).exists())
    assert not Path(f"/proc/{pid}").exists()
    assert maria.execute("SELECT 1") == [(1,)]


def test_a_named_directory_without_server_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MARIADB_BIN", str(tmp_path))
    with pytest.raises(ServerNotFound, match="MARIADB_BIN"):
        MariaDbServer.find()
