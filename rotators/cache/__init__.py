"""The cache that the functions and the client share."""
