"""The rotator that combines an engine with a strategy."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from rotators.core.errors import SecretFormatError
from rotators.core.registry import did_you_mean
from rotators.strategies.engine import own_members
from rotators.strategies.identity import check_allowed, check_shape, lacks_address

if TYPE_CHECKING:
    from rotators.core.contracts import Rotator
    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.strategies.engine import Engine, Strategy


def engine_of(rotator: Rotator | None) -> Engine | None:
    """Return the engine of a rotator; None for a rotator that does not use an engine.

    Args:
        rotator: any rotator, or None.
    """
    return rotator.engine if isinstance(rotator, EngineRotator) else None


def strategy_of(value: Secret, engine: Engine) -> str:
    """Return the name of the strategy that rotates a value.

    AWS's rule: the value's ``strategy``, otherwise ``alternating`` with ``masterarn``, otherwise ``single``.
    If the key is missing and the engine does not offer the strategy of this rule, the engine's first strategy
    is used.

    Args:
        value: the current value.
        engine: its engine.

    Raises:
        SecretFormatError: ``strategy`` is not a string.
    """
    if "strategy" in value:
        return value.text("strategy")
    offered = [each.name for each in engine.strategies]
    usual = "single" if value.get("masterarn") is None else "alternating"
    return usual if usual in offered else offered[0]


def lacks_admin(value: Secret, engine: Engine) -> bool:
    """Return True if the strategy of a value needs an admin and the value names none.

    Args:
        value: the current value.
        engine: its engine.

    Raises:
        SecretFormatError: ``strategy`` is not a string.
    """
    needing = {each.name for each in engine.strategies if each.needs_admin}
    return strategy_of(value, engine) in needing and "masterarn" not in value


class EngineRotator:
    """The Rotator of an engine.

    Args:
        engine: the credential type.
        driver: top-level package of the driver; empty if the engine needs none.

    Raises:
        ModuleNotFoundError: the driver is not installed; the registry turns this into a BrokenRotator. It is
            not imported here, but without it a rotation must stop before it stores a value.
    """

    def __init__(self, engine: Engine, driver: str = "") -> None:
        if driver and find_spec(driver) is None:
            raise ModuleNotFoundError(f"No module named {driver!r}", name=driver)
        self.engine = engine

    def propose(self, rotation: Rotation) -> Secret:
        """See Rotator.propose."""
        self.check_value(rotation.current, rotation.settings)
        if lacks_address(rotation.current, self.engine):
            rotation.current.text("host")  # the store does not know this engine's identifiers
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

        Args:
            value: the current value, or one that is to be stored.
            settings: settings of the function.

        Raises:
            SecretFormatError: a key is missing or of the wrong type, or names something that this engine does
                not offer.
            IdentityMismatch: ALLOWED_TARGETS does not name the target.
        """
        self._check_engine(value)
        check_shape(value, self.engine)
        self._strategy(value)
        if not lacks_address(value, self.engine):
            check_allowed(value, self.engine, settings)

    @property
    def public_members(self) -> frozenset[str]:
        """See DeclaresMembers."""
        return own_members(self.engine)

    @property
    def credential_members(self) -> tuple[str, ...]:
        """See DeclaresCredential."""
        return self.engine.credential.fields

    def strategy_of(self, value: Secret) -> str:
        """See HasStrategies.strategy_of."""
        return strategy_of(value, self.engine)

    def _strategy(self, current: Secret) -> Strategy:
        name = strategy_of(current, self.engine)
        strategies = {each.name: each for each in self.engine.strategies}
        if name not in strategies:
            meant = did_you_mean(name, strategies)
            # A text that is unlike any strategy may be a secret's value in the wrong place, so it is not
            # shown.
            written = f"is {name!r}{meant}" if meant else "is not a strategy of this engine"
            raise SecretFormatError(
                f"key 'strategy' {written}; this engine offers: {', '.join(sorted(strategies))}"
            )
        return strategies[name]

    def _check_engine(self, current: Secret) -> None:
        """Refuse a secret that names another engine.

        A secret without the key is accepted: ROTATOR chose this rotator.
        """
        if "engine" in current and current.text("engine") not in self.engine.names:
            raise SecretFormatError(
                f"engine {current.text('engine')[:40]!r} is not supported by this rotator"
            )
