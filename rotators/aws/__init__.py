"""Gateways to AWS on boto3: clients, their errors in our words, telemetry, storing and retrieving."""
