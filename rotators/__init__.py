"""Secret rotation on AWS that never locks a user out."""

__version__ = "0.1.0"
