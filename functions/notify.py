"""The function that tells the alarm topic about rotations that did not succeed."""

from rotators.handlers.notify import handler

__all__ = ["handler"]
