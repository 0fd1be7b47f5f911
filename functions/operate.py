"""The function that examines and repairs secrets for operators, with a route to the targets."""

from rotators.handlers.operate import handler

__all__ = ["handler"]
