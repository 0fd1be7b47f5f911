"""Credential types: one folder each, with everything about it."""
