"""The Lambda functions: one thin module each, whose `handler` parses, loads, calls and returns."""
