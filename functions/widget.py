"""The function that CloudWatch calls for the widget of the dashboard."""

from rotators.handlers.widget import handler

__all__ = ["handler"]
