"""Rotates the API keys of an HTTP service that takes two at once."""
