"""The environment of the tests: a local AWS, a real PostgreSQL, and access to their public interfaces."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from rotators.core.errors import RotatorsError, TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.local.errors import ServerNotFound
from rotators.local.servers.private import PrivateServer
from rotators.testing import _targets
from rotators.testing._case import STEPS, Case, Kit

if TYPE_CHECKING:
    import psycopg

    from rotators.local.aws import LocalAws
    from rotators.strategies.engine import Engine
    from rotators.testing._target import Target

Server = TypeVar("Server", bound=PrivateServer)

_made: dict[str, Target] = {}
"""The kit's targets, by the server's password; each server has a different one."""

_numbers = itertools.count(1)
_run = secrets.token_hex(3)

known_passwords: set[str] = set()
"""Every password that a test has set. clear_text.py searches all logs and outputs for them."""

SHORTEST = 8
"""Fewest characters of a password that is searched for; a shorter one can be part of any text."""


def unique(name: str) -> str:
    """Return a name that is unique in this run."""
    return f"{name}_{_run}_{next(_numbers)}"


def new_password() -> str:
    """An unused password."""
    return remembered(f"pw-{secrets.token_hex(12)}")


def remembered(password: str) -> str:
    """Record a password that must not appear in a log or output, and return it."""
    known_passwords.add(password)
    return password


def passwords_in(text: str) -> list[str]:
    """The known passwords that a text contains."""
    return [password for password in known_passwords if len(password) >= SHORTEST and password in text]


def in_one_piece(usable: list[bool]) -> bool:
    """True if a value worked first and then failed only at consecutive places."""
    changes = sum(before != after for before, after in itertools.pairwise(usable))
    return usable[0] and changes <= 1 + usable[-1]


def is_here(server: type[PrivateServer]) -> bool:
    """True if the programs of a server are on this machine. See skipping_without."""
    try:
        server.find()
    except ServerNotFound as error:
        _require_optional(server, error)
        return False
    return True


@contextmanager
def skipping_without(server: PrivateServer | type[PrivateServer]) -> Iterator[None]:
    """Skip the test if the programs of a server are not installed.

    In CI a missing package is a failure. A server that only root can run is left out by other users.
    """
    try:
        yield
    except ServerNotFound as error:
        _require_optional(server, error)
        pytest.skip(f"no server of {server.engine} here: {error}")


def _require_optional(server: PrivateServer | type[PrivateServer], missing: ServerNotFound) -> None:
    if os.environ.get("CI") and server.required and missing.reason != "privilege":
        raise missing


def started(server: Server) -> Server:
    """A private server after its start. See skipping_without."""
    with skipping_without(server):
        return server.start()


def small_server(engine: str) -> Any:
    """The kit's server of an engine, not started. See skipping_without."""
    with skipping_without(_targets.server_of(engine)):
        return _targets.small_server(engine)


def log_in(engine: Engine, value: dict[str, Any], **settings: Any) -> None:
    """Log in like a rotation, and run a statement."""
    with engine.login(Secret(value), Settings(**settings)) as session:
        session.check()


def login_failure(engine: Engine, value: dict[str, Any], **settings: Any) -> RotatorsError:
    """The error of a login, which names a remedy and shows no password."""
    with pytest.raises(RotatorsError) as caught:
        log_in(engine, value, **settings)
    assert str(value["password"]) not in str(caught.value)
    assert caught.value.remedy
    return caught.value


def failed_check(document: dict[str, Any]) -> str:
    """The name of the first failed check in a document of `rotators check`."""
    return str(next(each["name"] for each in document["checks"] if each["result"] == "failed"))


def ask(engine: Engine, value: dict[str, Any], question: str, *arguments: Any, **named: Any) -> Any:
    """Log in with a value, and call a method of the session."""
    with engine.login(Secret(value), Settings()) as session:
        return getattr(session, question)(*arguments, **named)


def reason(
    engine: Engine, value: dict[str, Any], question: str = "check", *arguments: Any, **named: Any
) -> str | None:
    """Log in with a value, and return the reason why the login or a method of the session fails."""
    with pytest.raises(RotatorsError) as caught:
        ask(engine, value, question, *arguments, **named)
    return caught.value.reason


class World(Kit):
    """The kit's secrets and rotations, with arrangements and inspections of one PostgreSQL.

    Args:
        aws: the running local AWS; the process's environment names it.
        server: the running database server.
    """

    def __init__(self, aws: LocalAws, server: PrivateServer) -> None:
        # One target for all tests of a process, because its login as the administrator is slow.
        if server.password not in _made:
            _made[server.password] = _targets.target_on(server.engine, server)
        super().__init__(aws, _made[server.password])
        self.server: Any = server
        self.secrets = self.client

    def user(
        self, name: str | None = None, *, password: str | None = None, options: str = ""
    ) -> dict[str, Any]:
        """Create a user on the server; return the secret's value for it."""
        name = name or unique("app")
        password = remembered(password) if password else new_password()
        self.create_user(name, password, options=options)
        return {**self.server.secret(name, password), "sslrootcert": self.server.ca}

    def create_user(
        self,
        name: str,
        password: str,
        *,
        options: str = "",
        connection: psycopg.Connection[Any] | None = None,
    ) -> None:
        """Create a user with a verifier, so that the tests do not write a password into SQL either."""
        admin = connection or self._as_admin()
        create = f"CREATE ROLE {{}} LOGIN {options} PASSWORD {{}}"
        admin.execute(self.server.with_verifier(create, name, password, admin))

    def set_password(self, name: str, password: str) -> None:
        """Change a password on the server without changing the secret."""
        admin = self._as_admin()
        change = "ALTER ROLE {} PASSWORD {}"
        admin.execute(self.server.with_verifier(change, name, remembered(password), admin))

    def admin(self) -> dict[str, Any]:
        """The superuser's value."""
        return {**self.server.secret(), "sslrootcert": self.server.ca}

    def admin_secret(self, **changes: Any) -> str:
        """Store an admin's secret; return its ARN."""
        return self.store({**self.admin(), **changes})

    def secret(self, value: dict[str, Any]) -> str:
        """Store a value in a new secret whose rotation is on and has not run; return its ARN."""
        arn = self.store(value)
        self.aws.enable_rotation(arn)
        return arn

    def of(self, arn: str) -> Case:
        """The kit's operations on a secret."""
        return Case(self, arn, {})

    def begin(self, arn: str) -> str:
        """See Case.begin."""
        return self.of(arn).begin()

    def begun(self, arn: str) -> str:
        """Begin a rotation and run its createSecret; return its token."""
        token = self.begin(arn)
        self.step("createSecret", arn, token)
        return token

    def refused(self, value: dict[str, Any], *steps: str) -> RotatorsError:
        """Store a value, and run steps of a rotation; return the error of the last one.

        By default the steps are createSecret and setSecret.
        """
        arn = self.secret(value)
        token = self.begin(arn)
        *before, last = steps or STEPS[:2]
        for step in before:
            self.step(step, arn, token)
        with pytest.raises(RotatorsError) as caught:
            self.step(last, arn, token)
        return caught.value

    def refusal(self, arn: str, match: str = ".") -> TargetRefused:
        """Run setSecret in a new rotation; return its error, which names a remedy."""
        token = self.begun(arn)
        with pytest.raises(TargetRefused, match=match) as caught:
            self.step("setSecret", arn, token)
        assert caught.value.remedy
        return caught.value

    def put_pending(self, arn: str, token: str, value: dict[str, Any]) -> None:
        """Store a pending value."""
        remembered(value["password"])
        self.of(arn).put(value, token, "AWSPENDING")

    def step(self, step: str, arn: str, token: str) -> None:
        """Call the rotation function with one step; what it prints is printed."""
        self.function.invoke(self.of(arn).event(step, token))

    def rotate(self, arn: str) -> dict[str, Any]:
        """Run a complete rotation, step by step; return the new current value."""
        token = self.begin(arn)
        for step in STEPS:
            self.step(step, arn, token)
        return self.value(arn)

    def value(self, arn: str, stage: str = "AWSCURRENT") -> dict[str, Any]:
        """The value of the version with a stage."""
        value = self.of(arn)._value(VersionStage=stage)
        remembered(value.get("password") or value["awsSeamlessDomainPassword"])
        return value

    def stages(self, arn: str) -> dict[str, set[str]]:
        """Version ids with their stages."""
        return {version: set(held) for version, held in self.of(arn).stages().items()}

    def login(self, value: dict[str, Any]) -> Any:
        """Open a connection with a value, without using the product's code."""
        return self.server.connect({**value, "sslrootcert": self.server.ca})

    def logs_in(self, value: dict[str, Any]) -> bool:
        """True if the server accepts a value's user and password."""
        return self.target.logs_in({**value, "sslrootcert": self.server.ca})

    def logins(self) -> int:
        """Number of connection requests that the server has received so far."""
        return str(self.server.log()).count("connection received")

    def sql(self, statement: str, *params: object) -> list[Any]:
        """Run a statement as the superuser."""
        admin = self._as_admin()
        cursor = admin.execute(statement.encode(), params or None)
        rows = cursor.fetchall() if cursor.description else []
        admin.execute("RESET ALL")
        return rows

    def _as_admin(self) -> psycopg.Connection[Any]:
        """The superuser's session, one for all tests of a process, because a login is slow."""
        target: Any = self.target
        session: psycopg.Connection[Any] = target._session()
        return session

    def exists(self, name: str) -> bool:
        """True if a user exists."""
        return bool(self.sql("SELECT 1 FROM pg_roles WHERE rolname = %s", name))

    def role(self, name: str) -> dict[str, Any]:
        """A user's attributes and settings, except the ``role`` that makes a clone act as its original."""
        rows = self.sql(
            "SELECT rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,"
            " rolbypassrls,"
            " rolconnlimit, rolvaliduntil,"
            " (SELECT array_agg(coalesce(d.datname, '') || ' ' || c ORDER BY 1) FROM pg_db_role_setting s"
            "  LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c"
            "  WHERE s.setrole = r.oid AND c NOT LIKE 'role=%%')"
            " FROM pg_roles r WHERE rolname = %s",
            name,
        )
        return {"role": rows[0]}

    def some_authority(self) -> str:
        """A readable file of certificates; the server of these tests has no certificate."""
        import ssl  # noqa: PLC0415 - one use

        return ssl.get_default_verify_paths().cafile or ""
