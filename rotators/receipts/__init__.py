"""Receipts: signed statements about finished rotations, in one chain per secret."""
