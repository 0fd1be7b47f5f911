"""A random order of the tests, which finds tests that rely on the effects of others."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")

_IN_ORDER = "tests/examples/"
"""The tests of an example follow its README."""


def shuffled(items: Iterable[pytest.Item], seed: str) -> list[pytest.Item]:
    """Return the tests in an order that depends on the seed only, the same in every process.

    The tests of a module stay together, and so do those of a class, engine and strategy: they share fixtures.
    """
    order = random.Random(seed)  # noqa: S311 - no secret
    modules: dict[str, dict[Hashable, list[pytest.Item]]] = {}
    for item in items:
        module = item.nodeid.partition("::")[0]
        modules.setdefault(module, {}).setdefault(_group(item, module), []).append(item)
    found: list[pytest.Item] = []
    for module in _mixed(order, list(modules)):
        for group in _mixed(order, list(modules[module].values())):
            found += group if module.startswith(_IN_ORDER) else _mixed(order, group)
    return found


def _group(item: pytest.Item, module: str) -> Hashable:
    if not isinstance(item, pytest.Function) or module.startswith(_IN_ORDER):
        return None
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return item.cls, str(parameters.get("engine")), str(parameters.get("strategy"))


def _mixed(order: random.Random, given: Sequence[T]) -> list[T]:
    return order.sample(given, len(given))
