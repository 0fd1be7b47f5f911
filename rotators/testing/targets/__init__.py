"""What the suites know of each engine: one module each."""
