"""A private server: the parts that all private servers share.

The module of each kind of server adds the search for its program, its files and settings, and the check that
it is up. `redis.py` is the smallest example.
"""

from __future__ import annotations

import functools
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rotators.local.errors import LocalStackError, ServerNotFound, ServerStartFailed
from rotators.local.servers.prepared import prepare
from rotators.local.servers.process import ServerProcess, identity
from rotators.local.servers.supervisor import children
from rotators.local.servers.tls import issue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rotators.local.aws import LocalAws

# Some servers refuse to run as root, so as root every server runs as this unprivileged user.
_NOBODY = 65534
_ATTEMPTS = 3
_LOG_TAIL = 600


class DatabaseServer:
    """A server's address and administrator. Use as a context manager, or start and stop it.

    Attributes:
        engine: Name of its kind, as in secrets.
        host, port: Address on which it listens.
        superuser, password: Login of the administrator.
        ca: File with the certificate of its authority; None without TLS.
        outlives_us: True if it continues after this process, which then has to drop the users that it
            created.
        administered: False if only a service of AWS changes its users, so that no secret names an admin.
        required: False if Debian 12 has no package of it, so that CI skips its tests where it is missing.
    """

    engine: str
    host: str
    port: int
    superuser: str
    password: str
    ca: str | None
    outlives_us = False
    administered = True
    required = True

    @classmethod
    def for_up(cls) -> DatabaseServer:
        """Return the server of `rotators up`, with TLS, not started yet."""
        return cls()

    def use(self, aws: LocalAws) -> None:
        """Use a local AWS, for a server whose users a service of AWS changes.

        Args:
            aws: running local AWS.
        """

    def secret(
        self, username: str | None = None, password: str | None = None, **extra: Any
    ) -> dict[str, Any]:
        """Return a Secrets Manager value for a user of this server.

        Args:
            username: the user; the administrator when left out.
            password: the user's; the administrator's when left out.
            extra: further members, which also replace those above.

        Returns:
            The value, with all that a client needs to log in.
        """
        trust: dict[str, Any] = {"sslrootcert": self.ca} if self.ca else {"ssl": False}
        return {
            "engine": self.engine,
            "host": self.host,
            "port": self.port,
            "username": username or self.superuser,
            "password": password or self.password,
            **trust,
            **extra,
        }

    def create_user(self, name: str, password: str) -> None:
        """Create an ordinary user that may log in.

        Args:
            name: name of the user.
            password: clear text. It is sent as a hash if the server accepts one.
        """
        raise NotImplementedError

    def drop_user(self, name: str) -> None:
        """Drop a user if it exists. Only a server that outlives this process needs it.

        Args:
            name: name of the user.
        """
        raise NotImplementedError

    def client(self, user: str) -> tuple[str, str]:
        """Return the shell command with which a person logs in as a user.

        Args:
            user: user of the server.

        Returns:
            The environment variable for the password, and the command.
        """
        raise NotImplementedError

    def start(self) -> Self:
        """Start the server, and return it; does nothing for one that runs elsewhere."""
        return self

    def stop(self) -> None:
        """Stop the server; does nothing for one that runs elsewhere."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.host}:{self.port})"


class PrivateServer(DatabaseServer):
    """A server on loopback for this process alone: TLS, its own directory and a free port.

    Use as a context manager, or start and stop it. It ends with this process in every case.

    A subclass defines `engine`, `find`, `_prepare` and `_command`, and either `ready_text` or `_is_up`.

    Attributes:
        test_options: arguments of the constructor for the server of `for_tests`.
        directory: all of its files, from its start to its end; the certificates are ``ca.pem``,
            ``server.pem`` and ``server.key`` in it.
        tls: True if it gets certificates.
        ready_text: text in its log as soon as it accepts connections.
        failed_texts: each is in its log if it gave up.
        port_taken_text: in its log if its port was in use.
        ready_seconds: seconds within which it must come up; many, because the machine can be busy.
        stop_signal: ends it at once.
        restart_signal: ends it in order, without waiting for its sessions.
    """

    test_options: Mapping[str, Any] = {}
    superuser = "root"
    tls = True
    ready_text = ""
    failed_texts: tuple[str, ...] = ()
    port_taken_text = "Address already in use"
    ready_seconds = 60.0
    stop_signal = signal.SIGTERM
    restart_signal = signal.SIGTERM
    directory: Path

    def __init__(self) -> None:
        self.host, self.port = "localhost", 0
        self.password = secrets.token_urlsafe(24)
        self.ca: str | None = None
        self._process: ServerProcess | None = None
        self._uid = _NOBODY if hasattr(os, "geteuid") and os.geteuid() == 0 else None

    @classmethod
    def find(cls) -> Any:
        """Find the programs of the server on this machine.

        Returns:
            Their paths, and what is known about them.

        Raises:
            ServerNotFound: they are not there.
        """
        raise NotImplementedError

    @classmethod
    def for_tests(cls) -> Self:
        """Return a server for tests that rotate very often, without TLS where it slows them; not started yet.

        Raises:
            ServerNotFound: its programs are not on this machine.
        """
        cls.find()
        return cls(**cls.test_options)

    def _prepare(self) -> None:
        """Make the files that the server needs, in its directory.

        Raises:
            ServerNotFound: its program is not on this machine.
            ServerStartFailed: a program that makes its files failed.
        """
        raise NotImplementedError

    def _command(self) -> list[str]:
        """Return the command that runs the server on `port`; files that name the port are written here."""
        raise NotImplementedError

    def _is_up(self, log: str) -> bool | None:
        """Check, in the log, whether it accepts connections.

        Args:
            log: Its log since its start.

        Returns:
            True if it does, False if it gave up, None if neither is known yet.
        """
        if self.ready_text in log:
            return True
        return False if any(text in log for text in self.failed_texts) else None

    def start(self) -> Self:
        """Create the server and wait until it accepts connections.

        Returns:
            The server itself.

        Raises:
            ServerNotFound: no binaries.
            ServerStartFailed: it did not come up; the cause has the end of its log.
        """
        self.directory = Path(tempfile.mkdtemp(prefix=f"rotators-{self.engine}-")).resolve()
        try:
            self.ca = str(issue(self.directory).ca) if self.tls else None
            self._own()
            self._prepare()
            self._launch()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server and remove its files. May be called again."""
        if self._process:
            self._process.stop()
            self._process = None
        if hasattr(self, "directory"):
            shutil.rmtree(self.directory, ignore_errors=True)

    def restart(self, down: float = 0.0) -> None:
        """Stop the server as administrators do, ending all sessions, and start it again, until it is up.

        Args:
            down: seconds in between, in which nothing listens on its port.

        Raises:
            ServerStartFailed: it did not come up.
        """
        # Process ids are reused, so only log lines from here on count.
        before = len(self.log())
        self._running().restart(self.restart_signal, down)
        if not self._came_up(before):
            raise self._failure()

    def log(self) -> str:
        """Return the server's log so far."""
        return (self.directory / "log").read_text(errors="replace")

    def pause(self) -> None:
        """Pause all processes of the server: the kernel accepts connections, and no answer comes."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume a paused server."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        server = self._running().pid
        for pid in (server, *children(server)):
            os.kill(pid, number)

    def _running(self) -> ServerProcess:
        if self._process is None:
            raise LocalStackError("the server is not running", remedy="Start it first.")
        return self._process

    def _launch(self) -> None:
        log = self.directory / "log"
        for _ in range(_ATTEMPTS):  # another process may take the port before the server does
            self.port = free_port()
            log.write_text("")
            command = self._command()
            self._own()
            self._process = ServerProcess(
                command, directory=self.directory, log=log, stop_signal=self.stop_signal, uid=self._uid
            )
            if self._came_up():
                return
            if self.port_taken_text not in self.log():
                break
        raise self._failure()

    def _failure(self) -> ServerStartFailed:
        return ServerStartFailed(f"{self.engine} did not start: {self.log()[-_LOG_TAIL:].strip()}")

    def _came_up(self, before: int = 0) -> bool:
        """Wait until it is up.

        Args:
            before: characters of its log that are older than this start.
        """
        deadline = time.monotonic() + self.ready_seconds
        while time.monotonic() < deadline:
            up = self._is_up(self.log()[before:])
            if up is not None:
                return up
            time.sleep(0.02)
        return False

    def _fill(self, folder: str, program: Path, options: Sequence[str], make: Callable[[], object]) -> None:
        """Make a folder with the files of a new server, for the user that it runs as; see ``prepare``."""
        place = self.directory / folder
        prepare(place, program, options, make)
        if self._uid is not None:
            for path in (place, *place.rglob("*")):
                os.chown(path, self._uid, self._uid)

    def _run(self, *command: str | Path, stdin: str = "", **environment: str) -> str:
        """Run a program that makes the server's files, as the server's user, in its directory.

        Args:
            command: the program and its arguments, never a password.
            stdin: its input.
            environment: Variables in addition to those of this process.

        Returns:
            Its output.

        Raises:
            ServerStartFailed: it failed; the cause contains its output.
        """
        done = subprocess.run(
            command,
            cwd=self.directory,
            env={**os.environ, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            **identity(self._uid),
        )
        said: str = done.stdout + done.stderr
        if done.returncode != 0:
            raise ServerStartFailed(f"{Path(command[0]).name} failed: {said[-_LOG_TAIL:].strip()}")
        return said

    def _own(self) -> None:
        """Give the directory and the files in it to the user that the server runs as."""
        if self._uid is not None:
            for path in (self.directory, *self.directory.iterdir()):
                os.chown(path, self._uid, self._uid)


def find_program(program: str, variable: str, places: Sequence[str], missing: ServerNotFound) -> Path:
    """Find a program: in the directory that a variable names, else on PATH or in the usual places.

    Args:
        program: name of its file.
        variable: name of the environment variable.
        places: the usual places.
        missing: the error if it is in none of them.

    Returns:
        Its path, with the name by which it was found, because some programs depend on their name.

    Raises:
        ServerNotFound: there is none, or the variable names a directory without one.
    """
    named = os.environ.get(variable)
    found = shutil.which(program, path=named or os.pathsep.join((os.environ.get("PATH", ""), *places)))
    if found:
        return Path(found).absolute()
    raise ServerNotFound(f"{variable} names {named!r}, which has no {program}") if named else missing


def free_port() -> int:
    """Return a port of loopback on which no process listens now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@functools.lru_cache
def version_of(program: Path, pattern: str) -> str | None:
    """Return the version of a server program; each program is run once.

    Args:
        program: understands ``--version``.
        pattern: finds the version, as its first group, in the output.

    Returns:
        The version; None if the program is missing, cannot run, or has another output.
    """
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(pattern, said)
    return found[1] if found else None
