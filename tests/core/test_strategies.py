"""Selection of the strategy for a value."""

from __future__ import annotations

from typing import ClassVar

import pytest

from rotators.core.errors import SecretFormatError
from rotators.core.rotation import Rotation
from rotators.core.secret import Secret
from rotators.engines.postgres import PostgresEngine
from rotators.strategies.dual import Dual
from rotators.strategies.engine import Strategy
from rotators.strategies.rotator import EngineRotator, strategy_of

VALUE = {"engine": "postgres", "host": "db", "username": "app", "password": "password"}


class DualOnly(PostgresEngine):
    """An engine that offers one strategy."""

    strategies: ClassVar[tuple[Strategy, ...]] = (Dual(),)  # type: ignore[assignment,misc]


def test_the_strategy_is_named_or_follows_the_admin() -> None:
    engine = PostgresEngine()
    assert strategy_of(Secret({}), engine) == "single"
    assert strategy_of(Secret({"masterarn": "arn"}), engine) == "alternating"
    assert strategy_of(Secret({"masterarn": "arn", "strategy": "single"}), engine) == "single"


@pytest.mark.parametrize("more", [{}, {"masterarn": "arn"}])
def test_an_engines_first_strategy_replaces_a_missing_default(more: dict[str, str]) -> None:
    assert strategy_of(Secret(more), DualOnly()) == "dual"
    rotation = Rotation(Secret({**VALUE, **more}))
    assert EngineRotator(DualOnly()).propose(rotation)["username"] == "app"


def test_a_strategy_not_offered_is_refused() -> None:
    with pytest.raises(SecretFormatError, match="this engine offers: dual"):
        EngineRotator(DualOnly()).propose(Rotation(Secret({**VALUE, "strategy": "single"})))
