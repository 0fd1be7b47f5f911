"""Processes that fork: every child can use its parent's objects, and answers are not exchanged."""

from __future__ import annotations

import functools
import json
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from rotators.aws import clients
from rotators.aws.secrets import SecretsManager, SecretVersion
from rotators.client import Credentials, SecretCache
from rotators.core.errors import ServiceUnavailable
from tests.client.conftest import enters, single
from tests.world import World, unique

# Since Python 3.12, a fork of a process with threads causes a warning. Servers do this, so it is tested.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def in_a_child(act: Callable[[], object]) -> Any:
    """The result of a function in a forked child; None if it fails or does not return there."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        threading.Timer(10, os._exit, [1]).start()
        os.write(writes, json.dumps(act()).encode())
        os._exit(0)
    os.close(writes)
    os.waitpid(child, 0)
    with os.fdopen(reads) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def test_children_read_by_connections_of_their_own(world: World) -> None:
    names = []
    for number in range(6):
        names.append(unique("forked"))
        world.secrets.create_secret(Name=names[-1], SecretString=str(number))
    cache = SecretCache(source=SecretsManager())
    assert cache.get_secret_string(names[0]) == "0"
    before = clients.secrets_reader()
    assert in_a_child(lambda: clients.secrets_reader() is before) is False
    found = [in_a_child(functools.partial(cache.get_secret_string, name)) for name in names]
    assert found == ["0", "1", "2", "3", "4", "5"]
    assert clients.secrets_reader() is before


def test_credentials_made_before_a_fork_log_in(world: World) -> None:
    credentials = Credentials(single(world), cache=SecretCache(source=SecretsManager()))
    user = enters(credentials)
    # The worst case: another thread holds each lock.
    with credentials._lock, credentials._results._lock, credentials.cache.cache._lock:
        assert in_a_child(lambda: enters(credentials)) == user
    assert enters(credentials) == user


def test_an_answer_about_another_secret_is_not_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = unique("mine"), unique("other")
    for name in (mine, other):
        world.secrets.create_secret(Name=name, SecretString=name)
    answer = SecretVersion.of(world.secrets.get_secret_value(SecretId=other))
    monkeypatch.setattr(SecretVersion, "of", lambda _: answer)
    with pytest.raises(ServiceUnavailable, match="mixed-up"):
        SecretCache(client=world.secrets, timeout=5.0).get_secret_string(mine)
