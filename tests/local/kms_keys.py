"""Keys and refusals for the tests of the local KMS."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

MISSING = "00000000-0000-4000-8000-000000000000"
ARN = "arn:aws:kms:us-east-1:123456789012:key/"


def new_key(kms: Any, spec: str = "SYMMETRIC_DEFAULT", usage: str = "ENCRYPT_DECRYPT", **more: Any) -> str:
    """Create a key; return its ARN."""
    return str(kms.create_key(KeySpec=spec, KeyUsage=usage, **more)["KeyMetadata"]["Arn"])


@cache
def signing_key(kms: Any, spec: str) -> str:
    """Return the signing key of these tests with a key spec: RSA pairs take long to make."""
    return new_key(kms, spec, "SIGN_VERIFY")


@cache
def rsa_key(kms: Any, spec: str) -> str:
    """Return the encryption key of these tests with a key spec."""
    return new_key(kms, spec)


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    """Return code and message of a refused call; KMS leaves some messages out."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def openssl(folder: Path, *arguments: str, **files: bytes) -> bytes:
    """Run the program openssl in a folder with some files; return what it prints."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
