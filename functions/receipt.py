"""The function that writes signed receipts of rotations."""

from rotators.handlers.receipt import handler

__all__ = ["handler"]
