"""SCRAM-SHA-256 as PostgreSQL uses it: the proof of a login, and the verifier that a server stores.

libpq computes a proof for any number of iterations that a server names, and cannot be interrupted meanwhile.
A server that names few gets a proof that is cheap to attack; one that names many blocks the process. So the
exchange is made here, and the number is judged before anything is derived from the password.

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
"""RFC 7677, section 4."""
MOST_ITERATIONS = 250_000
"""Half a second of work with the 512 MB that the stack gives a function."""

PLAIN, PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"

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
        iterations: what it named.
    """

    def __init__(self, iterations: int) -> None:
        super().__init__(iterations)
        self.iterations = iterations


class Exchange:
    """One SCRAM exchange, on the client's side.

    Args:
        offered: the mechanisms that the server names.
        binding: digest of the server's certificate; None without TLS, or where none is defined for it.

    Attributes:
        mechanism: the one to use.

    Raises:
        ScramError: none of the mechanisms is one of SCRAM-SHA-256.
    """

    def __init__(self, offered: list[str], binding: bytes | None) -> None:
        if binding is not None and PLUS in offered:
            self.mechanism, self._header = PLUS, b"p=tls-server-end-point,,"
        elif PLAIN in offered:
            # "y": this client could bind and was not asked to. A server that did offer it then refuses,
            # so that nobody in between can hide the offer.
            self.mechanism, self._header = PLAIN, b"n,," if binding is None else b"y,,"
        else:
            raise ScramError(f"the server offers {', '.join(offered)[:80] or 'nothing'}")
        self._binding = self._header + (binding or b"" if self.mechanism == PLUS else b"")
        self._nonce = base64.b64encode(secrets.token_bytes(18)).decode()
        # PostgreSQL takes the user from the start-up message and ignores this one.
        self._bare = f"n=,r={self._nonce}"
        self._expected = b""

    def first(self) -> bytes:
        """The client's first message."""
        return self._header + self._bare.encode()

    def final(self, server_first: bytes, password: str) -> bytes:
        """The client's second message, with the proof.

        Args:
            server_first: the server's first message.
            password: in clear text.

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
        proof, self._expected = _signed(password, _decoded(found[2]), iterations, conversation)
        return f"{without_proof},p={proof}".encode()

    def check(self, server_final: bytes) -> None:
        """Check that the server knows the password's verifier.

        Raises:
            ScramError: it does not.
        """
        if not self._expected or not hmac.compare_digest(server_final, self._expected):
            raise ScramError("the server could not prove that it knows the password")


def verifier(password: str, iterations: int | None = None) -> str:
    """What PostgreSQL stores for a password, so that the password itself is never sent.

    Args:
        password: in clear text.
        iterations: what the server asks for (``scram_iterations``); kept within the bounds of a login.
    """
    count = min(max(iterations or FEWEST_ITERATIONS, FEWEST_ITERATIONS), MOST_ITERATIONS)
    salt = secrets.token_bytes(16)
    stored, server = _stored_keys(_salted(password, salt, count))
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${count}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def md5_verifier(user: str, password: str) -> str:
    """The older form, for servers whose clients understand no SCRAM."""
    return "md5" + _md5(password.encode() + user.encode())


def md5_answer(user: str, password: str, salt: bytes) -> bytes:
    """The answer to a server that asks for an MD5 proof (PostgreSQL manual, AuthenticationMD5Password)."""
    return b"md5" + _md5(_md5(password.encode() + user.encode()).encode() + salt).encode()


def matches(stored: str, user: str, password: str) -> bool | None:
    """Whether a stored verifier is the one of a password.

    Args:
        stored: ``pg_authid.rolpassword``.
        user: whose it is.
        password: in clear text.

    Returns:
        None where that cannot be told: another form, or more iterations than are computed here.
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
    """A password as SCRAM hashes it: SASLprep, or the text itself where that prohibits it, as libpq does."""
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
    """RFC 3454, section 6: right-to-left text holds no left-to-right character, and begins and ends so."""
    if not any(stringprep.in_table_d1(each) for each in text):
        return True
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return ends and not any(stringprep.in_table_d2(each) for each in text)


def _salted(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", prepared(password), salt, iterations)


def _stored_keys(salted: bytes) -> tuple[bytes, bytes]:
    return hashlib.sha256(_hmac(salted, b"Client Key")).digest(), _hmac(salted, b"Server Key")


def _signed(password: str, salt: bytes, iterations: int, conversation: bytes) -> tuple[str, bytes]:
    """The client's proof, and the server's last message as it must be."""
    salted = _salted(password, salt, iterations)
    client = _hmac(salted, b"Client Key")
    stored, server = _stored_keys(salted)
    proof = bytes(a ^ b for a, b in zip(client, _hmac(stored, conversation), strict=True))
    expected = b"v=" + base64.b64encode(_hmac(server, conversation))
    return base64.b64encode(proof).decode(), expected


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ScramError("the server's SCRAM message is malformed") from None
