"""Certificates of the local servers, from their own certificate authority.

Local servers use TLS like real ones, so that tests of rotators include TLS.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import trustme

from rotators.local.servers.files import write_private

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
"""The host names of a local server."""


class Validity(NamedTuple):
    """Validity of a certificate, relative to now.

    Attributes:
        begins: the first moment; negative for the past.
        ends: the last moment.
    """

    begins: timedelta
    ends: timedelta


# A container's clock may be behind its host's, and a certificate from the future is refused.
VALID = Validity(timedelta(minutes=-5), timedelta(days=30))


@dataclass(frozen=True)
class Certificates:
    """PEM files with which a server uses TLS and a client trusts it.

    Attributes:
        ca: Certificate of the authority, for clients.
        certificate: Certificate of the server.
        key: Private key of the server, readable by its owner only.
    """

    ca: Path
    certificate: Path
    key: Path


def issue(
    directory: Path, names: Sequence[str] = LOOPBACK_NAMES, *, validity: Validity = VALID
) -> Certificates:
    """Create a certificate authority, and one server certificate by it.

    The authority's key is never written, so that no other certificate can be issued.

    Args:
        directory: an existing directory; gets ``ca.pem``, ``server.pem`` and ``server.key``.
        names: host names and IP addresses that the certificate is for, at least one.
        validity: validity of the server's certificate; the authority's is valid in any case.

    Returns:
        The paths of the three files.
    """
    # trustme gives each authority a random name, so that clients which trust two can distinguish them.
    authority = trustme.CA(path_length=0)
    now = datetime.now(UTC)
    issued = authority.issue_cert(*names, not_before=now + validity.begins, not_after=now + validity.ends)
    files = Certificates(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    write_private(files.key, issued.private_key_pem.bytes().decode())
    issued.cert_chain_pems[0].write_to_path(files.certificate)
    authority.cert_pem.write_to_path(files.ca)
    return files
