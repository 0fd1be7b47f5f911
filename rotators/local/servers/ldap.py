"""A private OpenLDAP server on loopback, for this process alone."""

from __future__ import annotations

import base64
import hashlib
import secrets
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rotators.local.errors import LocalStackError, ServerNotFound
from rotators.local.servers.files import write_private
from rotators.local.servers.private import PrivateServer, find_program, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ldap3 import Connection

SUFFIX = "dc=example,dc=org"
PEOPLE = f"ou=people,{SUFFIX}"
ADMINS = f"cn=admins,ou=groups,{SUFFIX}"

_SYSTEM = ("/usr/sbin", "/usr/bin", "/usr/local/libexec", "/opt/homebrew/opt/openldap/libexec")
_MODULES = "/usr/lib/ldap"
_SCHEMAS = "/etc/ldap/schema"

_ACCESS = f"""\
access to filter="(description=barred)" attrs=userPassword
  by dn.exact="cn=admin,{SUFFIX}" manage
  by * none
access to attrs=userPassword
  by dn.exact="cn=admin,{SUFFIX}" manage
  by group.exact="{ADMINS}" manage
  by dn.exact="cn=writer,{SUFFIX}" write
  by self =xw
  by anonymous auth
access to *
  by dn.exact="cn=admin,{SUFFIX}" manage
  by users read
"""


class LdapServer(PrivateServer):
    """A private server with LDAPS on `port`, and LDAP (with StartTLS if it has TLS) on `clear_port`.

    Its administrator is an entry with the right ``manage``. ``cn=writer`` has ``write`` on passwords only.

    Attributes:
        clear_port: port without TLS until StartTLS.

    Args:
        settings: further lines of the configuration of its database.
        modules: modules to load, such as ``argon2``.
        policy: attributes of the default password policy; None for a server without the overlay.
        tls: False for a server without TLS, whose `port` is `clear_port`.
    """

    engine = "ldap"
    superuser = f"cn=admin,{SUFFIX}"
    ready_text = "slapd starting"
    failed_texts = ("slapd stopped", "bad configuration")

    def __init__(
        self,
        settings: Sequence[str] = (),
        *,
        modules: Sequence[str] = (),
        policy: dict[str, str] | None = None,
        tls: bool = True,
    ) -> None:
        super().__init__()
        self.tls = tls
        self.clear_port = 0
        self._settings, self._modules, self._policy = tuple(settings), tuple(modules), policy

    @classmethod
    def find(cls) -> Path:
        """Return the path of ``slapd``. See find_program."""
        missing = ServerNotFound(
            "no OpenLDAP was found on this machine",
            remedy="Install slapd, or set SLAPD_BIN to the directory of slapd.",
        )
        return find_program("slapd", "SLAPD_BIN", _SYSTEM, missing)

    def _prepare(self) -> None:
        program = self.find()
        for module in self._modules:
            if not Path(_MODULES, f"{module}.so").exists():
                raise ServerNotFound(f"the module {module} of OpenLDAP was not found on this machine")
        # Copies, because AppArmor (Ubuntu) denies the installed program files outside of its own folders.
        for name in ("slapd", "slapadd"):
            shutil.copy(program, self.directory / name)
        (self.directory / "data").mkdir()
        self._own()
        write_private(self.directory / "slapd.conf", self._configuration())
        write_private(self.directory / "entries.ldif", "\n".join(self._entries()))
        self._own()
        self._run(self.directory / "slapadd", "-q", "-f", "slapd.conf", "-l", "entries.ldif")
        (self.directory / "entries.ldif").unlink()

    def _configuration(self) -> str:
        schemas = [f"include {_SCHEMAS}/{name}.schema" for name in ("core", "cosine", "inetorgperson")]
        modules = ["back_mdb", *self._modules, *(["ppolicy"] if self._policy is not None else [])]
        overlay = [
            "overlay ppolicy",
            f'ppolicy_default "cn=default,ou=policies,{SUFFIX}"',
            "ppolicy_use_lockout",
        ]
        lines = [
            *schemas,
            f"modulepath {_MODULES}",
            *(f"moduleload {name}" for name in modules),
            *(["TLSCertificateFile server.pem", "TLSCertificateKeyFile server.key"] if self.tls else []),
            "database mdb",
            f'suffix "{SUFFIX}"',
            f'rootdn "cn=root,{SUFFIX}"',
            f"rootpw {password_hash(self.password)}",
            "directory data",
            # The data is deleted with the process.
            "dbnosync",
            _ACCESS,
            *self._settings,
            *(overlay if self._policy is not None else []),
        ]
        return "\n".join(lines) + "\n"

    def _entries(self) -> Iterator[str]:
        yield f"dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: example\n"
        for name in ("people", "groups", "policies"):
            yield f"dn: ou={name},{SUFFIX}\nobjectClass: organizationalUnit\n"
        for name in ("admin", "writer"):
            yield f"dn: cn={name},{SUFFIX}\nobjectClass: person\nsn: {name}"
            yield f"userPassword: {password_hash(self.password)}\n"
        yield f"dn: {ADMINS}\nobjectClass: groupOfNames\nmember: {self.superuser}\n"
        if self._policy is not None:
            yield f"dn: cn=default,ou=policies,{SUFFIX}\nobjectClass: person"
            yield "objectClass: pwdPolicy\nsn: default\npwdAttribute: userPassword"
            yield from (f"{name}: {value}" for name, value in self._policy.items())
            yield ""

    def _is_up(self, log: str) -> bool | None:
        up = super()._is_up(log)
        # It begins to listen after this log line, last on the Unix socket.
        return None if up and not self._listens() else up

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as channel:
            return channel.connect_ex(str(self.directory / "socket")) == 0

    @property
    def _socket(self) -> str:
        return f"ldapi://{quote(str(self.directory / 'socket'), safe='')}"

    def _command(self) -> list[str]:
        self.clear_port = free_port() if self.tls else self.port
        # A second address, for another host name.
        secure = [f"ldaps://127.0.0.{number}:{self.port}/" for number in (1, 2)] if self.tls else []
        addresses = [*secure, f"ldap://127.0.0.1:{self.clear_port}/", self._socket]
        # Level 256 logs connections, operations and results.
        return [str(self.directory / "slapd"), "-d", "256", "-f", "slapd.conf", "-h", " ".join(addresses)]

    def connect(self, user: str | None = None, password: str | None = None) -> Connection:
        """Log in through the server's Unix socket; the caller unbinds.

        Args:
            user: DN; the administrator when left out.
            password: password of the user; the administrator's when left out.

        Returns:
            The connection; ``bound`` is False if the server rejected the password.
        """
        import ldap3  # noqa: PLC0415 - only its clients need the driver

        server = ldap3.Server(self._socket, get_info=ldap3.NONE)
        login: Any = (password or self.password).encode()
        connection = ldap3.Connection(server, user or self.superuser, login, check_names=False)
        connection.bind()
        return connection

    def secret(
        self, username: str | None = None, password: str | None = None, **extra: Any
    ) -> dict[str, Any]:
        """See DatabaseServer.secret.

        Args:
            username: DN, or the name of a user of `create_user`.
            password: see there.
            extra: see there.
        """
        return super().secret(username and _dn(username), password, **extra)

    def create_user(self, name: str, password: str) -> None:
        """See DatabaseServer.create_user. The password is sent as a hash."""
        entry = {"sn": name, "cn": name, "userPassword": password_hash(password)}
        connection = self.connect()
        try:
            if not connection.add(_dn(name), ["inetOrgPerson"], entry):
                raise LocalStackError(
                    f"the directory did not create {name!r}: {connection.result['description']}"
                )
        finally:
            connection.unbind()

    def client(self, user: str) -> tuple[str, str]:
        """See DatabaseServer.client."""
        place = f"LDAPTLS_CACERT={self.ca} ldapwhoami -x -H ldaps://{self.host}:{self.port}"
        return "LDAP_PASSWORD", f'{place} -D "{_dn(user)}" -w "$LDAP_PASSWORD"'


def _dn(name: str) -> str:
    return name if "=" in name else f"uid={name},{PEOPLE}"


def password_hash(password: str) -> str:
    """Return a password as a value of ``userPassword`` with the scheme that every server has."""
    salt = secrets.token_bytes(8)
    digest = hashlib.sha1(password.encode() + salt, usedforsecurity=False).digest()
    return "{SSHA}" + base64.b64encode(digest + salt).decode()


SERVER = LdapServer
