"""Benchmarks: counts of calls, and times as ratios to a minimum that is measured in the same run."""
