"""The function that reads secrets through a cache."""

from rotators.handlers.retrieve import handler

__all__ = ["handler"]
