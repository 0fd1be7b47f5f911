"""The replacements in moto's KMS."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import moto.kms.models
from moto.kms.responses import KmsResponse

from rotators.local.kms import management, operations, rotation
from rotators.local.kms.material import Material
from rotators.local.kms.refusals import KmsRefusal
from rotators.local.kms.requests import Operation, read

if TYPE_CHECKING:
    from rotators.local.moto_patches import Replacements

_PLAINTEXTS = ("Plaintext", "PrivateKeyPlaintext")
_WITHOUT = "WithoutPlaintext"


def install(replacements: Replacements) -> None:
    """Put the replacements in moto's place.

    Args:
        replacements: Keeps the originals.
    """
    replacements.replace(moto.kms.models, "generate_private_key", Material)
    for name, operation in {**operations.OPERATIONS, **management.OPERATIONS, **rotation.OPERATIONS}.items():
        replacements.replace(KmsResponse, _method(name), _answer(name, operation))


def _answer(name: str, operation: Operation) -> Callable[[KmsResponse], str]:
    def answer(response: KmsResponse) -> str:
        params = read(name, response.body)
        found = operation(response.kms_backend, params)
        if name in operations.OPERATIONS and params.get("DryRun"):
            text = "The request would have succeeded, but the DryRun option is set."
            raise KmsRefusal("DryRunOperationException", text)
        if name.endswith(_WITHOUT):
            found = {key: value for key, value in found.items() if key not in _PLAINTEXTS}
        return json.dumps(found, default=_base64)

    return answer


def _method(operation: str) -> str:
    """The name of an operation's method in moto."""
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in operation).lstrip("_")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
