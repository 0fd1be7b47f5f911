"""Addresses of hosts."""

from __future__ import annotations

import socket

import pytest

from rotators.logins.connecting import resolved


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_an_address_does_not_need_the_resolver(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "getaddrinfo")
    assert resolved(address, 5432) == [address]


def test_a_name_is_resolved() -> None:
    assert "127.0.0.1" in resolved("localhost", 5432)
