"""Servers that accept no login and record what clients send, like an attacker."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Self

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_SSL_REQUEST = 80877103
_ENCRYPTED = 64  # smallest length of an encrypted password in bytes
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_KEY = _KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


class Recorder:
    """A server on loopback; use as a context manager.

    Attributes:
        port: port on which it listens.
        heard: everything that clients sent, as far as an attacker can read it.
        logins: number of clients that connected.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.heard = b""
        self.logins = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # the socket may not be connected
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                channel = self._listener.accept()[0]
            except OSError:
                return
            self.logins += 1
            threading.Thread(target=self._talk_on, args=(channel,), daemon=True).start()

    def _talk_on(self, channel: socket.socket) -> None:
        with channel, contextlib.suppress(OSError, EOFError, ValueError):
            self.talk(channel)

    def talk(self, channel: socket.socket) -> None:
        """Serve one connection."""
        raise NotImplementedError

    def read(self, channel: socket.socket, size: int) -> bytes:
        """Receive bytes from the client, and record them."""
        found = b""
        while len(found) < size:
            block = channel.recv(size - len(found))
            if not block:
                raise EOFError
            found += block
        self.heard += found
        return found


class PostgresRecorder(Recorder):
    """Has no TLS, and requests the password in clear text."""

    def talk(self, channel: socket.socket) -> None:
        size, code = struct.unpack("!II", self.read(channel, 8))
        if code == _SSL_REQUEST:
            channel.sendall(b"N")
            size, _ = struct.unpack("!II", self.read(channel, 8))
        self.read(channel, size - 8)
        channel.sendall(b"R" + struct.pack("!II", 8, 3))
        _, size = struct.unpack("!cI", self.read(channel, 5))
        self.read(channel, size - 4)
        text = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0\0"
        channel.sendall(b"E" + struct.pack("!I", len(text) + 4) + text)


class MySqlRecorder(Recorder):
    """Has no TLS, and requests the password with one of MySQL's plugins.

    Args:
        plugin: ``mysql_clear_password``, ``dialog``, ``caching_sha2_password`` or ``sha256_password``.
        greeted: the plugin that the server names first; by default the same.
    """

    def __init__(self, plugin: str, greeted: str | None = None) -> None:
        super().__init__()
        self._plugin, self._greeted = plugin, greeted or plugin
        self._number = 0

    def talk(self, channel: socket.socket) -> None:
        self._number = 0
        salt = b"\1" * 20
        capabilities = 0x000FA200 | 0x00080000 | 0x00200000  # 4.1 protocol, plugins, long answers
        self._send(
            channel,
            b"\x0a8.0.30\0"
            + struct.pack("<I", 1)
            + salt[:8]
            + b"\0"
            + struct.pack("<HBHHB", capabilities & 0xFFFF, 45, 2, capabilities >> 16, 21)
            + b"\0" * 10
            + salt[8:]
            + b"\0"
            + self._greeted.encode()
            + b"\0",
        )
        answer = self._receive(channel)
        if self._plugin != self._greeted:
            self._send(channel, b"\xfe" + self._plugin.encode() + b"\0" + self._asking(salt))
            answer = self._receive(channel)
        if self._plugin == "caching_sha2_password":
            self._send(channel, b"\x01\x04")
            answer = self._receive(channel)
        if self._plugin in {"caching_sha2_password", "sha256_password"}:
            if len(answer) < _ENCRYPTED or self._plugin == self._greeted == "sha256_password":
                self._send(channel, b"\x01" + PUBLIC_KEY)
                answer = self._receive(channel)
            self.heard += _decrypted(answer, salt)
        self._send(channel, b"\xff" + struct.pack("<H", 1045) + b"#28000Access denied")

    def _asking(self, salt: bytes) -> bytes:
        return b"\x02Password: " if self._plugin == "dialog" else salt + b"\0"

    def _send(self, channel: socket.socket, body: bytes) -> None:
        channel.sendall(struct.pack("<I", len(body))[:3] + bytes([self._number]) + body)

    def _receive(self, channel: socket.socket) -> bytes:
        head = self.read(channel, 4)
        self._number = head[3] + 1
        return self.read(channel, int.from_bytes(head[:3], "little"))


def _decrypted(encrypted: bytes, salt: bytes) -> bytes:
    """The password that a client encrypted with ``PUBLIC_KEY``.

    Raises:
        ValueError: it was encrypted with another key.
    """
    digest = hashes.SHA1()  # noqa: S303 - MySQL's protocol uses it
    hidden = _KEY.decrypt(encrypted, padding.OAEP(mgf=padding.MGF1(digest), algorithm=digest, label=None))
    return bytes(byte ^ salt[position % len(salt)] for position, byte in enumerate(hidden))
