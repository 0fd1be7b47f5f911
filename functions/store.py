"""The function that creates and updates secrets."""

from rotators.handlers.store import handler

__all__ = ["handler"]
