"""Secrets Manager: rotation, versions and events, as in the service."""
