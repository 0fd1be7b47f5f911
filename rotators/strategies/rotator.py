"""A rotator is engine × strategy: this joins the two."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from rotators.core.errors import SecretFormatError
from rotators.core.registry import did_you_mean, strategy_name
from rotators.strategies.identity import check_allowed, check_shape

if TYPE_CHECKING:
    from rotators.core.contracts import Rotator
    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.strategies.engine import Engine, Strategy


def require_driver(module: str) -> None:
    """Look for a driver without importing it, so that a rotation without one stops before it stores a value.

    Args:
        module: its top-level package.

    Raises:
        ModuleNotFoundError: it is not installed; the registry turns this into a BrokenRotator.
    """
    if find_spec(module) is None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)


def engine_of(rotator: Rotator | None) -> Engine | None:
    """The engine of a rotator; None for a rotator that was written without one."""
    return rotator.engine if isinstance(rotator, EngineRotator) else None


class EngineRotator:
    """The Rotator of an engine.

    Args:
        engine: the credential type.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def propose(self, rotation: Rotation) -> Secret:
        """See Rotator.propose."""
        self.check_value(rotation.current, rotation.settings)
        return self._strategy(rotation.current).propose(self.engine, rotation)

    def apply(self, rotation: Rotation) -> None:
        """See Rotator.apply."""
        self._check_engine(rotation.current)
        check_allowed(rotation.current, self.engine, rotation.settings)
        self._strategy(rotation.current).apply(self.engine, rotation)

    def verify(self, rotation: Rotation) -> None:
        """See Rotator.verify."""
        self._check_engine(rotation.current)
        check_allowed(rotation.current, self.engine, rotation.settings)
        self._strategy(rotation.current).verify(self.engine, rotation)

    def check_value(self, value: Secret, settings: Settings) -> None:
        """Check all of a value that can be checked without a login.

        Raises:
            SecretFormatError: a key is missing, of the wrong kind, or names what this engine does not offer.
            IdentityMismatch: ALLOWED_TARGETS does not name the target.
        """
        self._check_engine(value)
        check_shape(value, self.engine)
        self._strategy(value)
        check_allowed(value, self.engine, settings)

    def _strategy(self, current: Secret) -> Strategy:
        name = strategy_name(current)
        strategies = {each.name: each for each in self.engine.strategies}
        if name not in strategies:
            offered = ", ".join(sorted(strategies))
            raise SecretFormatError(
                f"key 'strategy' is {name[:40]!r}{did_you_mean(name, strategies)};"
                f" this engine offers: {offered}"
            )
        return strategies[name]

    def _check_engine(self, current: Secret) -> None:
        """A secret chosen by ROTATOR may lack the engine key; one that names another engine is a mistake."""
        if "engine" in current and current.text("engine") not in self.engine.names:
            raise SecretFormatError(f"engine {current.text('engine')[:40]!r} is not served by this rotator")
