"""The rotation function, which Secrets Manager invokes once for each step."""

from rotators.handlers.rotate import handler

__all__ = ["handler"]
