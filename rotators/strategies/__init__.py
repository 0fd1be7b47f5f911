"""Strategies: which user changes which credential, on any engine that has the methods of `engine.py`."""
