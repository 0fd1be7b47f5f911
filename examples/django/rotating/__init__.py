"""A Django database backend that stays connected during rotations."""
