"""Logins of users with a sha256 hash, on a server of the tests that asks for a digest."""

from __future__ import annotations

import hashlib
import struct

import pytest

from rotators.core.errors import CredentialsRejected, TargetRefused
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.engines.redshift import RedshiftEngine
from tests.postgres.hostile import Hostile, message, request
from tests.world import remembered

PASSWORD = remembered("Known-password-4")
REJECTED = message(b"E", b"SFATAL\0C28P01\0Mpassword authentication failed for user\0\0")


def digest_request(algorithm: int) -> bytes:
    return request(13, struct.pack("!ii4si6s", algorithm, 4, b"salt", 6, b"server"))


def login(port: int) -> None:
    value = {"host": "127.0.0.1", "port": port, "username": "app", "password": PASSWORD, "ssl": False}
    with RedshiftEngine().login(Secret(value), Settings()):
        raise AssertionError("the login was accepted")


def test_login_answers_with_a_digest_of_both_nonces() -> None:
    with Hostile([digest_request(0), REJECTED]) as server, pytest.raises(CredentialsRejected):
        login(server.port)
    [answer] = server.received
    length, digest = struct.unpack_from("!i32s", answer)
    nonce = answer[40:]
    inner = hashlib.sha256(PASSWORD.encode() + b"salt").digest()
    assert (length, len(nonce)) == (32, struct.unpack_from("!i", answer, 36)[0])
    assert digest == hashlib.sha256(inner + b"server" + nonce).digest()


def test_login_refuses_another_algorithm() -> None:
    with Hostile([digest_request(1)]) as server, pytest.raises(TargetRefused) as refused:
        login(server.port)
    assert (refused.value.reason, refused.value.retryable) == ("digest", False)
    assert not server.received
    assert "redshift_connector" in str(refused.value)
