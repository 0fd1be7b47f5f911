"""Names and hashes, without a server."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.utils.dn import escape_rdn

from rotators.engines.ldap.hashes import SCHEMES, hashed, matches, scheme_of
from rotators.engines.ldap.names import normalized, same_name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("uid=app,dc=org", "UID = App , DC=org"),
        ("cn=a\\2Cb,dc=org", "cn=a\\,b,dc=org"),
        ("cn=two  blanks,dc=org", "cn=two blanks,dc=org"),
        ("cn=a+uid=b,dc=org", "uid=b+cn=a,dc=org"),
        ("cn=\\c3\\a9,dc=org", "cn=é,dc=org"),
    ],
)
def test_spellings_of_a_name_are_equal(one: str, other: str) -> None:
    assert same_name(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("uid=app,dc=org", "uid=app,dc=com"),
        ("cn=a\\,dc=org", "cn=a,dc=org"),
        ("cn=a+uid=b,dc=org", "cn=a,uid=b,dc=org"),
        ("app", "app"),
    ],
)
def test_other_names_differ(one: str, other: str) -> None:
    assert not same_name(one, other)


@pytest.mark.parametrize("text", ["", "app", "uid=app,", "uid=a,,dc=org", "uid=a\\", '="a"', "uid=a;b"])
def test_other_texts_are_not_names(text: str) -> None:
    assert normalized(text) is None


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20))
def test_any_escaped_value_is_one_name(value: str) -> None:
    found = normalized(f"uid={escape_rdn(value)},dc=org")
    assert found is not None
    assert [[kind for kind, _ in pairs] for pairs in found] == [["uid"], ["dc"]]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_hash_matches_its_password_only(scheme: str) -> None:
    value = hashed("pässword", scheme).encode()
    assert scheme_of(value) == scheme
    assert matches(value, "pässword") is True
    assert matches(value, "password") is False
    assert hashed("pässword", scheme).encode() != value


def test_values_of_other_schemes_are_compared() -> None:
    digest = base64.b64encode(hashlib.sha512(b"password" + b"salt").digest() + b"salt")
    assert matches(b"{SSHA512}" + digest, "password") is True
    assert matches(b"{sha}" + base64.b64encode(hashlib.sha1(b"password").digest()), "password") is True  # noqa: S324
    assert matches(b"password", "password") is True
    assert matches(b"password", "other") is False


@pytest.mark.parametrize(
    "value",
    [
        b"{CRYPT}$6$salt$hash",
        b"{SSHA}%%%",
        b"{ARGON2}$argon2id$v=19$m=99999999,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
        b"{ARGON2}$argon2id$v=19$m=999999,t=1,p=1$c2FsdHNhbHQ$" + b"A" * 43,
        b"{ARGON2}$argon2id$v=19$m=1024,t=99,p=1$c2FsdHNhbHQ$" + b"A" * 43,
        b"{PBKDF2-SHA256}99999999$c2FsdA$aGFzaA",
        b"{PBKDF2-NONE}1$c2FsdA$aGFzaA",
    ],
)
def test_unknown_or_expensive_values_are_not_compared(value: bytes) -> None:
    assert matches(value, "password") is None
