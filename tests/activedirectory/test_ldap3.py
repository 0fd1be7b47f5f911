"""ldap3 on a real domain controller, as applications use it."""

from __future__ import annotations

from typing import Any

import ldap3
import pytest

from rotators.client import Credentials, SecretCache
from rotators.core.errors import SecretFormatError
from rotators.local.servers.activedirectory import DOMAIN
from tests.activedirectory.conftest import DomainWorld
from tests.client.conftest import DAY, Switch

pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")


def credentials_of(world: DomainWorld, value: dict[str, Any]) -> tuple[Credentials, str]:
    arn = world.secret(value)
    return Credentials(arn, cache=SecretCache(source=Switch(world), ttl=DAY)), arn


def test_a_rejected_login_reads_the_secret_again(domain: DomainWorld) -> None:
    credentials, arn = credentials_of(domain, domain.entry())
    credentials.connect(ldap3.Connection).unbind()
    domain.rotate(arn)
    credentials.connect(ldap3.Connection).unbind()
    assert credentials.counts()["logins"] == 2


def test_a_name_without_domain_logs_in(domain: DomainWorld) -> None:
    value = domain.entry()
    account = domain.read(value["username"], "sAMAccountName")[0].decode()
    credentials, _ = credentials_of(domain, {**value, "username": account, "domain": DOMAIN})
    connection = credentials.connect(ldap3.Connection)
    assert connection.socket.version() == "TLSv1.3"
    connection.unbind()


def test_an_application_uses_tls_too(domain: DomainWorld) -> None:
    value = {**domain.entry(), "ssl": False, "port": domain.controller.clear_port}
    credentials, _ = credentials_of(domain, value)
    with pytest.raises(SecretFormatError, match="TLS"):
        credentials.connect(ldap3.Connection)


def test_the_shape_of_aws_logs_in(domain: DomainWorld) -> None:
    user = domain.entry()
    shape = {
        "awsSeamlessDomainUsername": domain.read(user["username"], "sAMAccountName")[0].decode(),
        "awsSeamlessDomainPassword": user["password"],
        **{key: user[key] for key in ("host", "port", "sslrootcert")},
        "domain": DOMAIN,
    }
    credentials, _ = credentials_of(domain, shape)
    credentials.connect(ldap3.Connection).unbind()
    plain, _ = credentials_of(domain, {**shape, "ssl": False, "port": domain.controller.clear_port})
    with pytest.raises(SecretFormatError, match="TLS"):
        plain.connect(ldap3.Connection)
