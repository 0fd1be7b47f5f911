"""Hashes and rules of passwords, and the digest by which a user with a sha256 hash logs in."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import psycopg
import pytest

from rotators.core.errors import ConfigurationError, TargetRefused
from rotators.core.settings import Settings
from rotators.engines.postgres.digest import DigestError, digest_answer
from rotators.engines.postgres.messages import MESSAGES
from rotators.engines.redshift import RedshiftEngine
from rotators.engines.redshift.passwords import HashedPassword, HashForm, follows_rules, stored_form
from rotators.logins.causes import advising


def request(algorithm: int, *fields: bytes) -> bytes:
    parts = b"".join(struct.pack("!i", len(field)) + field for field in fields)
    return struct.pack("!i", algorithm) + parts


def test_md5_hash_covers_password_and_user() -> None:
    assert (
        stored_form(HashForm.MD5, "user1", "Mypassword1")
        == "md5" + hashlib.md5(b"Mypassword1user1", usedforsecurity=False).hexdigest()
    )


def test_sha256_hash_covers_the_bytes_of_the_salt() -> None:
    name, digest, salt = stored_form(HashForm.SHA256, "user1", "Mypassword1").split("|")
    assert (name, len(salt)) == ("sha256", 64)
    assert digest == hashlib.sha256(b"Mypassword1" + bytes.fromhex(salt)).hexdigest()


@pytest.mark.parametrize(
    "password",
    ["Short1", "x" * 62 + "X1y", "nouppercase1", "NOLOWERCASE1", "NoDigitsHere", "With blank1", "Qu'ote123"]
    + [f"Forbidden1{each}" for each in "'\"\\/@é"],
)
def test_password_against_the_rules_is_not_hashed(password: str) -> None:
    with pytest.raises(TargetRefused, match="breaks Redshift's rules") as refused:
        stored_form(HashForm.MD5, "user1", password)
    assert password not in str(refused.value)


def test_generated_passwords_follow_the_rules() -> None:
    loose = Settings(password=replace(Settings().password, require_each=False))
    for _ in range(50):
        assert follows_rules(str(HashedPassword().new(loose)["password"]))


def test_excluded_classes_leave_no_password() -> None:
    lower = Settings(password=replace(Settings().password, uppercase=False))
    with pytest.raises(ConfigurationError, match="upper-case"):
        HashedPassword().new(lower)


def test_digest_answer_proves_the_password() -> None:
    inner = hashlib.sha256(b"Mypassword1" + b"salt").digest()
    digest = hashlib.sha256(inner + b"server" + b"client").digest()
    expected = struct.pack("!i", 32) + digest + struct.pack("!i", 6) + b"client"
    assert digest_answer("Mypassword1", request(0, b"salt", b"server"), b"client") == expected


@pytest.mark.parametrize(
    "asked",
    [
        b"",
        request(1, b"salt", b"nonce"),
        request(0, b"salt"),
        request(0, b"", b"nonce"),
        request(0, b"a", b"b") + b"x",
    ]
    + [struct.pack("!ii", 0, length) for length in (-1, 2**31 - 1)],
)
def test_other_digest_requests_are_not_answered(asked: bytes) -> None:
    with pytest.raises(DigestError):
        digest_answer("Mypassword1", asked)


def test_libpqs_refusal_of_a_digest_is_not_retryable() -> None:
    error = psycopg.OperationalError("connection failed: authentication method 13 not supported")
    with pytest.raises(TargetRefused) as refused, advising(RedshiftEngine.remedies):
        raise MESSAGES.failure(error, "host")
    assert (refused.value.reason, refused.value.retryable) == ("digest", False)
    assert "redshift_connector" in str(refused.value)
