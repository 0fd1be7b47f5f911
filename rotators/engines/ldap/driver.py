"""The driver ldap3 in applications."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Mapping
from typing import Any

from rotators.core.secret import AWS_NAMES, Secret
from rotators.engines.ldap.messages import MESSAGES
from rotators.logins.arguments import application_settings
from rotators.logins.connecting import SYSTEM_ROOTS, trusted_roots, wants_start_tls
from rotators.logins.driver import ClientSide, Driver, judge_of
from rotators.logins.target import host_of, port_of

_PORT = 636


def _parameters(secret: Secret, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``ldap3.Connection``, which binds at once and follows no referrals."""
    import ldap3  # noqa: PLC0415 - the driver, when first needed

    user = secret.text("username")
    if secret.get("engine") == "activedirectory" or AWS_NAMES.keys() & secret.stored().keys():
        from rotators.engines.ldap.principals import login_name, require_tls  # noqa: PLC0415 - few need it

        require_tls(secret)
        user = login_name(secret)
    start_tls = wants_start_tls(secret)
    found: dict[str, Any] = {
        "user": user,
        # Octets: the driver would normalize text.
        "password": secret.text("password").encode(),
        "auto_bind": ldap3.AUTO_BIND_TLS_BEFORE_BIND if start_tls else ldap3.AUTO_BIND_NO_TLS,
        "auto_referrals": False,
    }
    if "server" not in given:
        found["server"] = _server(secret, start_tls=start_tls)
    return found


def _server(secret: Secret, *, start_tls: bool) -> Any:
    import ldap3  # noqa: PLC0415 - the driver, when first needed

    roots = trusted_roots(secret, application_settings(), "LDAPTLS_CACERT")
    file = None if roots == SYSTEM_ROOTS else roots
    tls = None if roots is None else ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=file)
    use_ssl = roots is not None and not start_tls
    port = port_of(secret, _PORT)
    return ldap3.Server(
        host_of(secret), port, use_ssl=use_ssl, tls=tls, get_info=ldap3.NONE, connect_timeout=5
    )


def _limit(seconds: float) -> dict[str, Any]:
    return {"receive_timeout": max(1, int(seconds))}


def _settled(connection: Any, given: Mapping[str, Any]) -> None:
    if "receive_timeout" not in given:
        connection.receive_timeout = None
        connection.socket.settimeout(None)
        # The driver also sets the kernel's time limit of the socket.
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("LL", 0, 0))


LDAP3 = Driver(
    "ldap3",
    _parameters,
    judge_of(MESSAGES),
    engine="ldap",
    limit=_limit,
    settle=_settled,
    shortest=1.0,
    port=_PORT,
)
CLIENT_SIDE = ClientSide(
    engines={"ldap": "ldap"},
    port=_PORT,
    messages=MESSAGES,
    drivers=(LDAP3,),
)
