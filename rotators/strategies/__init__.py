"""Strategies: who changes whose password. They work on any engine that offers the moves of ``engine.py``."""
