"""The kit's target for rotators of MongoDB: users of a private server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pymongo.errors import OperationFailure
from pymongo.saslprep import saslprep

from rotators.testing._recorder import Hook, Kind
from rotators.testing._target import HOSTILE_PASSWORDS, ServerTarget, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymongo

    from rotators.local.servers.mongodb import MongoServer

_REJECTED = 18
_NO_USER = 11
_ELSEWHERE = [{"clientSource": ["192.0.2.1"]}]

MONGODB_OPERATIONS = (
    Hook("rotators.engines.mongodb.connection:MongoConnection.log_in", Kind.CONNECT, lambda _: "connect"),
    Hook(
        "rotators.engines.mongodb.connection:MongoConnection.run",
        Kind.STATEMENT,
        lambda called: str(called[1]),
    ),
)


class MongoTarget(ServerTarget):
    """Users of a server with MongoDB's protocol.

    Args:
        server: a running server.
    """

    operations: ClassVar[Sequence[Hook]] = MONGODB_OPERATIONS
    commits: ClassVar[str] = "updateUser"
    hostile_names: ClassVar[Sequence[str]] = (
        "o'brien",
        'dou"ble',
        "per%cent%s",
        "CamelCase with space",
        "ünïcødé-日本語",
        "back\\slash;--",
        "comma,equals=",
        "$dollar.dot",
    )
    hostile_passwords: ClassVar[Sequence[str]] = (
        *HOSTILE_PASSWORDS,
        "line\r\nbreaks",
        "$where {a: 1}",
    )

    _server: MongoServer
    _client: pymongo.MongoClient[dict[str, Any]] | None = None

    def close(self) -> None:
        """See Target.close."""
        if self._client is not None:
            self._client.close()

    def logs_in(self, value: Mapping[str, Any]) -> bool:
        """See Target.logs_in."""
        try:
            with self._server.connect(value) as client:
                client.admin.command("connectionStatus")
        except OperationFailure as error:
            if error.code == _REJECTED:
                return False
            raise
        return True

    def remove(self, value: Mapping[str, Any]) -> None:
        """See Target.remove."""
        for name in self._pair(value):
            try:
                self._command("dropUser", name)
            except OperationFailure as error:
                if error.code != _NO_USER:
                    raise

    def footprint(self, value: Mapping[str, Any]) -> object:
        """See Target.footprint."""
        return [
            str(user).replace(self._original(value), "~")
            for name in self._pair(value)
            for user in self._command("usersInfo", {"user": name, "db": "admin"})["users"]
        ]

    def sessions(self, value: Mapping[str, Any]) -> int:
        """See Target.sessions."""
        return sum(int(self._command("testSessions", name)["n"]) for name in self._pair(value))

    def takes_password(self, password: str) -> bool:
        """See Target.takes_password. The server refuses what SASLprep (RFC 4013) prohibits."""
        try:
            saslprep(password)
        except ValueError:
            return False
        return True

    def make_administrator(self, value: Mapping[str, Any]) -> None:
        """See Target.make_administrator."""
        self._command("updateUser", value["username"], roles=[{"role": "root", "db": "admin"}])

    def obstruct(self, value: Mapping[str, Any]) -> bool:
        """See Target.obstruct. A user at another address is rejected as if its password were wrong."""
        self._command("updateUser", value["username"], authenticationRestrictions=_ELSEWHERE)
        return True

    def admit(self, value: Mapping[str, Any]) -> None:
        """See Target.admit."""
        self._command("updateUser", value["username"], authenticationRestrictions=[])

    def _create(self, name: str, password: str) -> Value:
        roles = [{"role": "readWrite", "db": "shop"}]
        self._command("createUser", name, pwd=password, roles=roles)
        return self._server.secret(name, password)

    def _set_password(self, value: Mapping[str, Any], password: str) -> None:
        self._command("updateUser", value["username"], pwd=password)

    def _pair(self, value: Mapping[str, Any]) -> tuple[str, str]:
        original = self._original(value)
        return original, f"{original}_clone"

    def _command(self, command: str, value: object, **fields: Any) -> dict[str, Any]:
        if self._client is None:
            self._client = self._server.connect()
        return self._client.admin.command(command, value, **fields)


TARGET = MongoTarget
