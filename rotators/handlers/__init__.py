"""Bodies of the Lambda functions, and their reports."""
