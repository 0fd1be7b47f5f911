"""Values of ``userPassword``: ``{SCHEME}`` and a hash, as slapd and its modules read them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

SCHEMES = ("ssha", "argon2", "pbkdf2-sha256", "pbkdf2-sha512")
"""Schemes of new values, as the secret's ``password_hash`` names them. Every server has the first one."""

_PBKDF2_ITERATIONS = 100_000
_ARGON2_MEMORY = 19_456  # KiB
_SCHEME = re.compile(rb"\{([^}]+)\}(.*)", re.DOTALL)
_SALTED = re.compile(r"s?(md5|sha(?:256|384|512)?)")
# Bounds of the work that a stored value can ask for. A function of the template has 256 MB of memory, and
# RFC 9106 recommends 64 MiB with three iterations where memory is limited.
_PBKDF2 = re.compile(rb"([0-9]{1,6})\$([^$]+)\$([^$]+)")
_ARGON2ID = re.compile(r"\$argon2id\$v=19\$m=([0-9]{1,6}),t=([0-9]{1,2}),p=[0-9]{1,2}\$.*")
_ARGON2_MOST_MEMORY = 65_536  # KiB
_ARGON2_MOST_ITERATIONS = 8


def hashed(password: str, scheme: str) -> str:
    """Return a value for a password, with a new salt.

    Args:
        password: clear text.
        scheme: one of SCHEMES.
    """
    octets, salt = password.encode(), secrets.token_bytes(16)
    if scheme == "argon2":
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # noqa: PLC0415 - where it is used

        function = Argon2id(salt=salt, length=32, iterations=2, lanes=1, memory_cost=_ARGON2_MEMORY)
        return "{ARGON2}" + function.derive_phc_encoded(octets)
    if scheme.startswith("pbkdf2-"):
        digest = hashlib.pbkdf2_hmac(scheme.removeprefix("pbkdf2-"), octets, salt, _PBKDF2_ITERATIONS)
        return f"{{{scheme.upper()}}}{_PBKDF2_ITERATIONS}${_adapted(salt)}${_adapted(digest)}"
    digest = hashlib.sha1(octets + salt, usedforsecurity=False).digest()
    return "{SSHA}" + base64.b64encode(digest + salt).decode()


def scheme_of(value: bytes) -> str:
    """Return the scheme of a value in lower case; empty for clear text.

    Args:
        value: as the server stores it.
    """
    found = _SCHEME.fullmatch(value)
    return found[1].decode(errors="replace").lower() if found else ""


def matches(value: bytes, password: str) -> bool | None:
    """Return True if a value is that of a password.

    Args:
        value: as the server stores it.
        password: clear text.

    Returns:
        True or False; None if the scheme is unknown here or the value is damaged.
    """
    found = _SCHEME.fullmatch(value)
    if found is None:
        return hmac.compare_digest(value, password.encode())
    scheme, stored = scheme_of(value), found[2]
    try:
        if scheme == "argon2":
            return _matches_argon2(stored.decode(), password.encode())
        if scheme.startswith("pbkdf2"):
            return _matches_pbkdf2(scheme, stored, password.encode())
        return _matches_salted(scheme, base64.b64decode(stored, validate=True), password.encode())
    except ValueError:
        return None


def _matches_salted(scheme: str, stored: bytes, password: bytes) -> bool | None:
    found = _SALTED.fullmatch(scheme)
    if found is None:
        return None
    name = "sha1" if found[1] == "sha" else found[1]
    size = hashlib.new(name, usedforsecurity=False).digest_size
    digest = hashlib.new(name, password + stored[size:], usedforsecurity=False).digest()
    return hmac.compare_digest(digest, stored[:size])


def _matches_pbkdf2(scheme: str, stored: bytes, password: bytes) -> bool | None:
    found = _PBKDF2.fullmatch(stored)
    if found is None:
        return None
    name = scheme.partition("-")[2] or "sha1"
    salt, digest = _octets(found[2]), _octets(found[3])
    return hmac.compare_digest(hashlib.pbkdf2_hmac(name, password, salt, int(found[1]), len(digest)), digest)


def _matches_argon2(stored: str, password: bytes) -> bool | None:
    from cryptography.exceptions import InvalidKey  # noqa: PLC0415 - where it is used
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # noqa: PLC0415 - where it is used

    found = _ARGON2ID.fullmatch(stored)
    if found is None or int(found[1]) > _ARGON2_MOST_MEMORY or int(found[2]) > _ARGON2_MOST_ITERATIONS:
        return None
    try:
        Argon2id.verify_phc_encoded(password, stored)
    except InvalidKey:
        return False
    return True


def _adapted(octets: bytes) -> str:
    """Base64 as the module pw-pbkdf2 writes it: a full stop for a plus sign, and no padding."""
    return base64.b64encode(octets, b"./").decode().rstrip("=")


def _octets(adapted: bytes) -> bytes:
    return base64.b64decode(adapted + b"=" * (-len(adapted) % 4), b"./")
