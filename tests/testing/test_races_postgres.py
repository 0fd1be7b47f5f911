"""Races and bad moments, survived by our own rotators."""

from __future__ import annotations

from rotators.testing.races import RotatorRacesV1


class TestSingle(RotatorRacesV1):
    strategy = "single"


class TestAlternating(RotatorRacesV1):
    strategy = "alternating"
    with_admin = True
