"""Private database servers: one module each."""
