"""The bodies of the Lambda functions, and what they report."""
