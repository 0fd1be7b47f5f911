"""The function that sends messages about failed rotations to the alarm topic."""

from rotators.handlers.notify import handler

__all__ = ["handler"]
