"""The function that examines and repairs secrets for operators, where the targets can be reached."""

from rotators.handlers.operate import handler

__all__ = ["handler"]
