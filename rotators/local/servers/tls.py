"""A private certificate authority, and server certificates for the local servers.

Local servers talk TLS for the same reason as the real ones: a rotator that is only ever tried in clear has
never been tried. The authority's key stays in memory; once the process ends, nobody can issue with it.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
"""The names by which a local server is reached."""


class Validity(NamedTuple):
    """When a certificate is valid, counted from now.

    Attributes:
        begins: the first moment; negative for the past.
        ends: the last moment.
    """

    begins: timedelta
    ends: timedelta


# A container's clock may lag behind its host's; a certificate from the future is refused.
VALID = Validity(timedelta(minutes=-5), timedelta(days=30))
EXPIRED = Validity(timedelta(days=-30), timedelta(days=-1))
NOT_YET_VALID = Validity(timedelta(days=1), timedelta(days=30))

_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True)
class Certificates:
    """What a server needs to speak TLS, and a client to trust it; all files are PEM.

    Attributes:
        ca: the authority's certificate, for clients.
        certificate: the server's certificate.
        key: the server's private key, readable by its owner only.
    """

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """A certificate authority that lives as long as this object.

    Attributes:
        ca: the authority's certificate, a PEM file.
    """

    ca: Path
    _certificate: x509.Certificate = field(repr=False)
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    def issue(
        self, names: Sequence[str] = LOOPBACK_NAMES, *, stem: str = "server", validity: Validity = VALID
    ) -> Certificates:
        """Issue a server certificate beside the authority's.

        Args:
            names: host names and IP addresses that the certificate is for, at least one.
            stem: the files' name without its ending, ``.pem`` for the certificate, ``.key`` for the key.
            validity: from when until when; 30 days when left out.

        Returns:
            The paths of the authority's certificate, the new certificate and its key.

        Raises:
            FileExistsError: a key of this name was issued before.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_name(names[0]), self._certificate.subject, key.public_key(), validity)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage("digital_signature"), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
            )
            .add_extension(_issuer_identifier(self._certificate), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        files = Certificates(self.ca, self.ca.with_name(f"{stem}.pem"), self.ca.with_name(f"{stem}.key"))
        _write_private(files.key, key)
        files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return files


def make_authority(directory: Path) -> Authority:
    """Make a new certificate authority, valid for 30 days.

    Args:
        directory: an existing directory; the certificate becomes ``ca.pem`` in it.

    Returns:
        The authority; its private key is never written to disk.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own: clients that trust two local authorities must not mistake one for the other.
    name = _name(f"rotators local CA {secrets.token_hex(4)}")
    certificate = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "ca.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(path, certificate, key)


def issue(
    directory: Path, names: Sequence[str] = LOOPBACK_NAMES, *, validity: Validity = VALID
) -> Certificates:
    """Make an authority and one server certificate of it.

    Args:
        directory: an existing directory; gets ``ca.pem``, ``server.pem`` and ``server.key``.
        names: host names and IP addresses that the certificate is for, at least one.
        validity: of the server's certificate; the authority's is valid in any case.

    Returns:
        The paths of the three files.
    """
    return make_authority(directory).issue(names, validity=validity)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    validity: Validity = VALID,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + validity.begins)
        .not_valid_after(now + validity.ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    # X.520 allows a common name of 64 characters; clients look at the alternative names anyway.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*wanted: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in wanted for usage in _USAGES})


def _issuer_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _write_private(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # Opened with its mode: a chmod afterwards would leave a moment in which others can read.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
