"""What makes the connections of other libraries outlive rotations; each module needs its library.

A module that is named after a driver whose clients reconnect by themselves has ``connected``, with which
``Credentials.connect`` makes such a client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rotators.client.calls import Call
    from rotators.client.credentials import Credentials


def connected(credentials: Credentials, call: Call) -> Any:
    """A client that has logged in once, and logs in by the credentials whenever it reconnects.

    Args:
        credentials: whose.
        call: the driver's function and what the caller passes to it.

    Raises:
        Exception: what the driver raises.
    """
    module = import_module(f"{__name__}.{call.driver.name}")
    return module.connected(credentials, call.connect, *call.args, **call.given)
