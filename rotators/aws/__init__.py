"""Gateways to AWS, based on boto3: clients, errors, addresses, sealed values and logs."""
