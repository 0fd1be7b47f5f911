"""Runs a server whose ports are fixed in a separate network, and relays ports of loopback into it.

It is run as a file, with the standard library only, as root on Linux: ``PORT:FIXED,… COMMAND…``. Listening
sockets belong to the namespace in which they were made, and everything after `_leave_network` to the new
one, which ends with the last process in it. The server's stdin is a pipe from here, so that it can end with
this process.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_SET_FLAGS, _UP = 0x8914, 1  # SIOCSIFFLAGS, IFF_UP
_CHUNK = 65536


def main() -> None:
    """Start the server and relay until SIGTERM, or until the server ends."""
    ports, command = sys.argv[1], sys.argv[2:]
    pairs = [tuple(map(int, pair.split(":"))) for pair in ports.split(",")]
    # The second address is for another host name.
    hosts = ("127.0.0.1", "127.0.0.2")
    listening = {socket.create_server((host, port)): fixed for port, fixed in pairs for host in hosts}
    _leave_network()
    server = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        asyncio.run(_serve(listening, server))
    finally:
        server.terminate()
        server.wait()


def _leave_network() -> None:
    """Move this process to a new network namespace, which has loopback only."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "a network namespace cannot be created")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        fcntl.ioctl(channel, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP))


async def _serve(listening: dict[socket.socket, int], server: subprocess.Popen[bytes]) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    for fixed in listening.values():
        while not _listens(fixed):
            if stopped.is_set() or server.poll() is not None:
                print("the server ended", flush=True)
                return
            await asyncio.sleep(0.05)
    for channel, fixed in listening.items():
        await asyncio.start_server(_relay_to(fixed), sock=channel)
    print("relaying", flush=True)
    await stopped.wait()


def _listens(port: int) -> bool:
    with socket.socket() as channel:
        return channel.connect_ex(("127.0.0.1", port)) == 0


def _relay_to(port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            theirs = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, theirs[1]), _copy(theirs[0], writer))

    return relay


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        return  # one side has gone; the other one is closed too
    finally:
        writer.close()


if __name__ == "__main__":
    os.umask(0o077)
    main()
