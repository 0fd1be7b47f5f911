"""Additional requirements of a server: a module that validates passwords, a client certificate."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rotators.core.errors import RotatorsError
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.postgres import PostgresEngine
from rotators.local.servers.postgres import PostgresServer
from tests.world import new_password, remembered

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.processes

CERTIFICATE_RULE = "hostssl all certified 127.0.0.1/32 scram-sha-256 clientcert=verify-ca"


@pytest.fixture(scope="module")
def client() -> Iterator[tuple[Path, Path]]:
    """A self-signed client certificate and its key."""
    with tempfile.TemporaryDirectory() as place:
        yield identity(Path(place))


@pytest.fixture(scope="module")
def strict(client: tuple[Path, Path]) -> Iterator[PostgresServer]:
    """A server with a module that validates passwords; it requires a certificate from one user."""
    settings = {"shared_preload_libraries": "passwordcheck", "ssl_ca_file": str(client[0])}
    with PostgresServer(settings=settings, hba=[CERTIFICATE_RULE]) as running:
        running.execute("CREATE ROLE app LOGIN")
        yield running


def identity(place: Path) -> tuple[Path, Path]:
    place.chmod(0o755)  # the server's user must read the certificate
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "certified")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    files = place / "client.pem", place / "client.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def change(server: PostgresServer, new: str, **login: Any) -> None:
    secret = Secret({**server.secret(), **login})
    with PostgresEngine().login(secret, Settings()) as session:
        session.set_credential("app", remembered(new))


@pytest.mark.parametrize(
    ("password", "clear"),
    [("app", False), ("onlyletters" * 2, True), ("short1!", True), ("my-app-1-2-3", True)],
)
def test_a_validation_error_names_the_module(strict: PostgresServer, password: str, clear: bool) -> None:
    with pytest.raises(RotatorsError) as caught:
        change(strict, password, clear_text=clear)
    assert caught.value.full_code == "target-refused/validation"
    assert "passwordcheck" in str(caught.value)
    assert "PASSWORD_LENGTH" in caught.value.remedy


@pytest.mark.parametrize("clear", [True, False])
def test_a_password_that_a_module_accepts_is_set(strict: PostgresServer, clear: bool) -> None:
    new = new_password()
    change(strict, new, clear_text=clear)
    change(strict, new_password(), username="app", password=new)


def test_an_unreadable_client_certificate_is_reported(
    strict: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGSSLCERT", str(tmp_path / "missing.pem"))
    with pytest.raises(RotatorsError) as caught:
        change(strict, new_password())
    assert caught.value.full_code == "target-unavailable/tls-client-certificate"


def test_a_client_certificate_comes_from_the_environment(
    strict: PostgresServer, client: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    strict.execute("CREATE ROLE certified LOGIN")
    password = new_password()
    with PostgresEngine().login(Secret(strict.secret()), Settings()) as session:
        session.set_credential("certified", password)
    login = Secret(strict.secret("certified", password))
    with pytest.raises(RotatorsError) as caught, PostgresEngine().login(login, Settings()):
        pass
    assert caught.value.full_code == "target-refused/needs-certificate"
    monkeypatch.setenv("PGSSLCERT", str(client[0]))
    monkeypatch.setenv("PGSSLKEY", str(client[1]))
    with PostgresEngine().login(login, Settings()) as session:
        session.check()
