"""SCRAM as PostgreSQL and MongoDB use it: the proof of a login, and the verifier that PostgreSQL stores.

libpq computes a proof for any number of iterations that a server names, and cannot be interrupted meanwhile.
With few iterations the server gets a proof that is cheap to attack; with many it blocks the process. So the
exchange is made here, and the number is checked before anything is derived from the password.

Sources: RFC 5802 and RFC 7677 (SCRAM, at least 4096 iterations), RFC 4013 (SASLprep), RFC 5929 (channel
binding ``tls-server-end-point``), PostgreSQL manual, "SASL Authentication".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata

FEWEST_ITERATIONS = 4096
"""Minimum of RFC 7677, section 4."""
MOST_ITERATIONS = 250_000
"""Half a second of computation with the 512 MB that the stack gives a function."""

SHA_256, SHA_256_PLUS, SHA_1 = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1"

_SERVER_FIRST = re.compile(r"r=([!-+\--~]+),s=([A-Za-z0-9+/=]+),i=([0-9]{1,10})")
_VERIFIER = re.compile(r"SCRAM-SHA-256\$([0-9]{1,10}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):[A-Za-z0-9+/=]+")
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


class ScramError(Exception):
    """The server's part of the exchange is malformed, or its signature is wrong."""


class IterationsError(Exception):
    """The server names a number of iterations outside the bounds.

    Attributes:
        iterations: number that the server named.
    """

    def __init__(self, iterations: int) -> None:
        super().__init__(iterations)
        self.iterations = iterations


class Exchange:
    """Client side of one SCRAM exchange.

    Args:
        offered: mechanisms that the server names.
        binding: digest of the server's certificate; None without TLS, or if none is defined for it.
        user: name in the first message; PostgreSQL ignores it.
        digest: ``sha256``, or ``sha1`` for older servers of MongoDB.

    Attributes:
        mechanism: mechanism to use.

    Raises:
        ScramError: none of the mechanisms is a variant of SCRAM with this digest.
    """

    def __init__(
        self, offered: list[str], binding: bytes | None, user: str = "", digest: str = "sha256"
    ) -> None:
        unbound = SHA_256 if digest == "sha256" else SHA_1
        if binding is not None and SHA_256_PLUS in offered:
            self.mechanism, self._header = SHA_256_PLUS, b"p=tls-server-end-point,,"
        elif unbound in offered:
            # "y": this client supports channel binding, and the server did not offer it. A server that did
            # offer it then refuses, so an attacker in between cannot hide the offer.
            self.mechanism, self._header = unbound, b"n,," if binding is None else b"y,,"
        else:
            raise ScramError(f"the server offers {', '.join(offered)[:80] or 'nothing'}")
        self._binding = self._header + (binding or b"" if self.mechanism == SHA_256_PLUS else b"")
        self._nonce = base64.b64encode(secrets.token_bytes(18)).decode()
        name = user.replace("=", "=3D").replace(",", "=2C")
        self._bare, self._digest = f"n={name},r={self._nonce}", digest
        self._expected = b""

    def first(self) -> bytes:
        """Return the client's first message.

        Returns:
            ``client-first-message`` of RFC 5802, in UTF-8.
        """
        return self._header + self._bare.encode()

    def final(self, server_first: bytes, password: str) -> bytes:
        """Return the client's second message, with the proof.

        Args:
            server_first: the server's first message.
            password: in clear text.

        Returns:
            ``client-final-message`` of RFC 5802.

        Raises:
            ScramError: the server's message is malformed or answers another exchange.
            IterationsError: its number of iterations is out of bounds; nothing was derived from the password.
        """
        said = server_first.decode("ascii", "replace")
        found = _SERVER_FIRST.fullmatch(said)
        if found is None or not found[1].startswith(self._nonce) or len(found[1]) == len(self._nonce):
            raise ScramError("the server's first SCRAM message is malformed")
        iterations = int(found[3])
        if not FEWEST_ITERATIONS <= iterations <= MOST_ITERATIONS:
            raise IterationsError(iterations)
        without_proof = f"c={base64.b64encode(self._binding).decode()},r={found[1]}"
        conversation = f"{self._bare},{said},{without_proof}".encode()
        salted = _salted(password, _decoded(found[2]), iterations, self._digest)
        client = hmac.digest(salted, b"Client Key", self._digest)
        stored, server = _stored_keys(salted, self._digest)
        signature = hmac.digest(stored, conversation, self._digest)
        proof = bytes(a ^ b for a, b in zip(client, signature, strict=True))
        self._expected = b"v=" + base64.b64encode(hmac.digest(server, conversation, self._digest))
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def check(self, server_final: bytes) -> None:
        """Check the server's proof that it has the password's verifier.

        Args:
            server_final: the server's last message.

        Raises:
            ScramError: the proof is wrong or missing.
        """
        if not self._expected or not hmac.compare_digest(server_final, self._expected):
            raise ScramError("the server could not prove that it knows the password")


def verifier(password: str, iterations: int | None = None) -> str:
    """Return the verifier that PostgreSQL stores for a password, so that the password itself is never sent.

    Args:
        password: in clear text.
        iterations: the server's setting ``scram_iterations``; kept within the bounds of a login.
    """
    count = min(max(iterations or FEWEST_ITERATIONS, FEWEST_ITERATIONS), MOST_ITERATIONS)
    salt = secrets.token_bytes(16)
    stored, server = _stored_keys(_salted(password, salt, count))
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${count}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def md5_verifier(user: str, password: str) -> str:
    """Return the older form of a verifier, for servers whose clients do not support SCRAM.

    Args:
        user: user of the password.
        password: in clear text.
    """
    return "md5" + _md5(password.encode() + user.encode())


def md5_answer(user: str, password: str, salt: bytes) -> bytes:
    """Return the answer to an MD5 request of a server (PostgreSQL manual, AuthenticationMD5Password).

    Args:
        user: user that logs in.
        password: in clear text.
        salt: four bytes from the server.

    Returns:
        ``md5`` and 32 lower-case hexadecimal digits.
    """
    return b"md5" + _md5(_md5(password.encode() + user.encode()).encode() + salt).encode()


def matches(stored: str, user: str, password: str) -> bool | None:
    """Return True if a stored verifier belongs to a password.

    Args:
        stored: ``pg_authid.rolpassword``.
        user: user of the verifier.
        password: in clear text.

    Returns:
        None if it cannot be determined: another form, or more iterations than are computed here.
    """
    if re.fullmatch("md5[0-9a-f]{32}", stored):
        return hmac.compare_digest(stored, md5_verifier(user, password))
    found = _VERIFIER.fullmatch(stored)
    if found is None or not 0 < int(found[1]) <= MOST_ITERATIONS:
        return None
    try:
        key = _stored_keys(_salted(password, _decoded(found[2]), int(found[1])))[0]
        return hmac.compare_digest(key, _decoded(found[3]))
    except ScramError:
        return None


def prepared(password: str) -> bytes:
    """Return a password as SCRAM hashes it.

    As in libpq: SASLprep, or the text itself if SASLprep prohibits it.

    Args:
        password: in clear text.

    Returns:
        UTF-8.
    """
    if password.isascii():
        return password.encode()
    mapped = "".join(
        " " if stringprep.in_table_c12(each) else each
        for each in password
        if stringprep.in_table_c12(each) or not stringprep.in_table_b1(each)
    )
    text = unicodedata.normalize("NFKC", mapped)
    if not text or any(prohibits(each) for each in text for prohibits in _PROHIBITED):
        return password.encode()
    return (text if _one_direction(text) else password).encode()


def _one_direction(text: str) -> bool:
    """Return True if a text keeps RFC 3454, section 6.

    Right-to-left text has no left-to-right character, and begins and ends with right-to-left characters.
    """
    if not any(stringprep.in_table_d1(each) for each in text):
        return True
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return ends and not any(stringprep.in_table_d2(each) for each in text)


def _salted(password: str, salt: bytes, iterations: int, digest: str = "sha256") -> bytes:
    return hashlib.pbkdf2_hmac(digest, prepared(password), salt, iterations)


def _stored_keys(salted: bytes, digest: str = "sha256") -> tuple[bytes, bytes]:
    client = hmac.digest(salted, b"Client Key", digest)
    return hashlib.new(digest, client).digest(), hmac.digest(salted, b"Server Key", digest)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ScramError("the server's SCRAM message is malformed") from None
