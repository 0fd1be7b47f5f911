"""Secrets Manager: rotation, versions and events as the service has them."""
