"""Remembers, for one process, what it did in each rotation."""

from __future__ import annotations

_MOST_TOKENS = 256


class Progress:
    """The rotations that this process took part in; a new container starts without any.

    It saves work and improves the order of tries. Nothing is unsafe when it is empty.
    """

    def __init__(self) -> None:
        self._stored: dict[tuple[str, str], bool] = {}
        self._tested: dict[tuple[str, str], bool] = {}

    def stored(self, arn: str, token: str) -> None:
        """Note that this process stored the pending value of a rotation."""
        _remember(self._stored, (arn, token))

    def begin_set(self, arn: str, token: str) -> bool:
        """Note that setSecret begins.

        Returns:
            Whether this process stored the pending value and has not begun a setSecret for it before.
        """
        return self._stored.pop((arn, token), False)

    def tested(self, arn: str, token: str) -> None:
        """Note that testSecret passed with the pending value."""
        _remember(self._tested, (arn, token))

    def passed(self, arn: str, token: str) -> bool:
        """Whether this process saw testSecret pass."""
        return self._tested.get((arn, token), False)

    def clear(self) -> None:
        """Forget everything, as a new container would."""
        self._stored.clear()
        self._tested.clear()


def _remember(known: dict[tuple[str, str], bool], key: tuple[str, str]) -> None:
    known[key] = True
    while len(known) > _MOST_TOKENS:
        del known[next(iter(known))]


progress = Progress()
"""Of this process."""
