"""A private Samba domain controller (Active Directory) on loopback, for this process alone.

Its ports are fixed, so it runs in a separate network (private_network.py), which needs root on Linux. A
new domain takes half a minute, so it is made once and copied (prepared.py).
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rotators.local.errors import LocalStackError, ServerNotFound, ServerStartFailed
from rotators.local.servers import private_network
from rotators.local.servers.files import write_private
from rotators.local.servers.private import PrivateServer, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ldap3 import Connection

DOMAIN = "rot.test"
SUFFIX = "DC=rot,DC=test"
USERS = f"CN=Users,{SUFFIX}"

_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"))
_ADMIN_PASSWORD = re.compile(r"Admin password: +(\S+)")
_PROVISION = (
    "--server-role=dc",
    "--dns-backend=NONE",
    "--host-name=dc",
    "--host-ip=127.0.0.1",
    f"--realm={DOMAIN}",
    f"--domain={DOMAIN.partition('.')[0]}",
)
_RULES = ("--min-pwd-age=0", "--complexity=off")
ENABLED = "512"
"""``userAccountControl`` of an ordinary user, NORMAL_ACCOUNT."""


class ActiveDirectoryServer(PrivateServer):
    """A private domain controller with LDAPS on `port`, and LDAP with StartTLS on `clear_port`.

    Passwords have no minimum age, and the previous password stops working at once.

    Attributes:
        clear_port: port without TLS until StartTLS.

    Args:
        settings: further lines of its configuration.
    """

    engine = "activedirectory"
    superuser = f"Administrator@{DOMAIN}"
    ready_text = "relaying"
    failed_texts = ("the server ended", "Traceback")

    def __init__(self, settings: Sequence[str] = ("old password allowed period = 0",)) -> None:
        super().__init__()
        self._uid = None  # Samba requires that root owns its files
        self._settings = tuple(settings)
        self.clear_port = 0

    @classmethod
    def find(cls) -> tuple[Path, Path]:
        """Find the programs of a domain controller.

        Returns:
            Paths of ``samba`` and ``samba-tool``.

        Raises:
            ServerNotFound: one is missing, or this process cannot make a network namespace.
        """
        if sys.platform != "linux" or os.geteuid() != 0:
            raise ServerNotFound(
                "Samba has fixed ports, and only root on Linux can give it a separate network",
                reason="privilege",
                remedy="Run as root, for example in a container.",
            )
        found = [shutil.which(name, path=_PATH) for name in ("samba", "samba-tool")]
        if None in found or not Path("/usr/share/samba/setup/provision.ldif").exists():
            raise ServerNotFound(
                "no Samba domain controller was found on this machine",
                remedy="Install samba, samba-ad-provision, samba-dsdb-modules and samba-vfs-modules.",
            )
        samba, tool = (Path(str(each)).absolute() for each in found)
        return samba, tool

    def _prepare(self) -> None:
        self._samba, tool = self.find()
        data = self.directory / "data"
        self._fill("data", tool, (*_PROVISION, *_RULES), lambda: self._provision(tool, data))
        self.password = (data / "password").read_text()
        write_private(self.directory / "smb.conf", _configuration(self.directory, self._settings))

    def _provision(self, tool: Path, made: Path) -> None:
        said = self._run(tool, "domain", "provision", *_PROVISION, f"--targetdir={made}")
        found = _ADMIN_PASSWORD.search(said)
        if found is None:
            raise ServerStartFailed("samba-tool did not say the administrator's password")
        write_private(made / "password", found[1])
        self._run(tool, "domain", "passwordsettings", "set", *_RULES, f"--configfile={made}/etc/smb.conf")

    def _command(self) -> list[str]:
        self.clear_port = free_port()
        ports = f"{self.port}:636,{self.clear_port}:389"
        # In interactive mode, it ends with its stdin.
        samba = [str(self._samba), "-i", "-M", "single", "--no-process-group", "-s", "smb.conf"]
        return [sys.executable, "-I", "-S", private_network.__file__, ports, *samba, "--debuglevel=3"]

    def connect(self, user: str | None = None, password: str | None = None) -> Connection:
        """Log in over TLS, without verification of the certificate; the caller unbinds.

        Args:
            user: name as ``username`` in secrets; the administrator when left out.
            password: password of the user; the administrator's when left out.

        Returns:
            The connection; ``bound`` is False if the server rejected the login.
        """
        import ldap3  # noqa: PLC0415 - only clients need the driver

        server = ldap3.Server("127.0.0.1", self.port, use_ssl=True, get_info=ldap3.NONE)
        login: Any = (password or self.password).encode()
        connection = ldap3.Connection(server, user or self.superuser, login, check_names=False)
        connection.bind()
        return connection

    def create_user(self, name: str, password: str) -> None:
        """See DatabaseServer.create_user."""
        connection = self.connect()
        try:
            add_user(connection, upn(name), password)
        finally:
            connection.unbind()

    def secret(
        self, username: str | None = None, password: str | None = None, **extra: Any
    ) -> dict[str, Any]:
        """See DatabaseServer.secret.

        Args:
            username: see there; the domain is appended to a name without one.
            password: see there.
            extra: see there.
        """
        return super().secret(username and upn(username), password, **extra)

    def client(self, user: str) -> tuple[str, str]:
        """See DatabaseServer.client."""
        place = f"LDAPTLS_CACERT={self.ca} ldapsearch -x -H ldaps://{self.host}:{self.port}"
        return "LDAP_PASSWORD", f'{place} -D "{upn(user)}" -w "$LDAP_PASSWORD" -s base'


def upn(name: str) -> str:
    """Return the user principal name of a user; a name with a domain as it is.

    Args:
        name: with or without domain.
    """
    return name if "@" in name else f"{name}@{DOMAIN}"


def encoded(password: str) -> bytes:
    """Return a password as a value of ``unicodePwd``."""
    return f'"{password}"'.encode("utf-16-le")


def add_user(connection: Connection, name: str, password: str) -> str:
    """Create a user.

    Args:
        connection: the administrator's.
        name: user principal name.
        password: clear text.

    Returns:
        Its DN, which does not contain the name.

    Raises:
        LocalStackError: the server refused it.
    """
    account = f"u{secrets.token_hex(8)}"
    entry = {
        "sAMAccountName": account,
        "userPrincipalName": name,
        "userAccountControl": ENABLED,
        "unicodePwd": encoded(password),
    }
    if not connection.add(f"CN={account},{USERS}", ["user"], entry):
        raise LocalStackError(f"the directory did not create {name!r}: {connection.result['message']}")
    return f"CN={account},{USERS}"


def _configuration(place: Path, settings: Sequence[str]) -> str:
    folders = {
        "binddns dir": "data/bind-dns",
        "cache directory": "data/cache",
        "lock directory": "data",
        "ncalrpc dir": "data/ncalrpc",
        "pid directory": "data",
        "private dir": "data/private",
        "state directory": "data/state",
        "tls cafile": "ca.pem",
        "tls certfile": "server.pem",
        "tls keyfile": "server.key",
    }
    lines = [
        "[global]",
        "netbios name = DC",
        f"realm = {DOMAIN}",
        f"workgroup = {DOMAIN.partition('.')[0]}",
        "server role = active directory domain controller",
        "server services = ldap",
        "interfaces = lo",
        "bind interfaces only = yes",
        # Unencrypted connections may set passwords, so that only the rotator ensures the use of TLS.
        "ldap server require strong auth = no",
        *(f"{key} = {place / name}" for key, name in folders.items()),
        *settings,
    ]
    return "\n".join(lines) + "\n"


SERVER = ActiveDirectoryServer
