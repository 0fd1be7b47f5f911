"""KMS in the local AWS: real keys, signatures and ciphertexts, states of keys, and rotation.

moto keeps the records of keys, aliases, grants and tags. docs/reference/local-kms.md names the sources, and
the remaining differences from AWS.
"""
