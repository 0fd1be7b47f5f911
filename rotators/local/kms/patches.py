"""The replacements in moto's KMS."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import moto.kms.models
from moto.core.utils import camelcase_to_underscores
from moto.kms.models import Key
from moto.kms.responses import KmsResponse

from rotators.local.kms import management, operations, rotation
from rotators.local.kms.keys import check_enabled, check_kept, described, find
from rotators.local.kms.material import Material
from rotators.local.kms.refusals import KmsRefusal
from rotators.local.kms.requests import Operation, read

if TYPE_CHECKING:
    from rotators.local.replacements import Replacements

_OF_MOTO: dict[str, Callable[[Key], None] | None] = {
    "GetKeyPolicy": None,
    "ListGrants": None,
    "ListKeyPolicies": None,
    "ListResourceTags": None,
    "ReplicateKey": check_enabled,
    "RevokeGrant": None,
    "TagResource": check_kept,
    "UntagResource": check_kept,
    "UpdateKeyDescription": check_kept,
}
"""Operations that moto handles, with the check of the key's state (KMS guide, key-state)."""

_ACROSS_ACCOUNTS = ("ListGrants", "RevokeGrant")
"""Those that another account may call (API reference of each operation, Cross-account use)."""

_PLAINTEXTS = ("Plaintext", "PrivateKeyPlaintext")
_WITHOUT = "WithoutPlaintext"


def install(replacements: Replacements) -> None:
    """Replace functions of moto.

    Args:
        replacements: Keeps the originals.
    """
    replacements.replace(moto.kms.models, "generate_private_key", Material)
    replacements.replace(Key, "to_dict", described)
    for name, operation in {**operations.OPERATIONS, **management.OPERATIONS, **rotation.OPERATIONS}.items():
        replacements.replace(KmsResponse, camelcase_to_underscores(name), _answer, name, operation)
    for name, check in _OF_MOTO.items():
        replacements.wrap(KmsResponse, camelcase_to_underscores(name), _with_key, name, check)


def _answer(name: str, operation: Operation, response: KmsResponse) -> str:
    params = read(name, response.body)
    found = operation(response.kms_backend, params)
    if name in operations.OPERATIONS and params.get("DryRun"):
        text = "The request would have succeeded, but the DryRun option is set."
        raise KmsRefusal("DryRunOperationException", text)
    if name.endswith(_WITHOUT):
        found = {key: value for key, value in found.items() if key not in _PLAINTEXTS}
    return json.dumps(found, default=lambda value: base64.b64encode(value).decode())


def _with_key(
    original: Callable[[KmsResponse], str],
    name: str,
    check: Callable[[Key], None] | None,
    response: KmsResponse,
) -> str:
    """Call moto's operation with the id of an existing key, which moto requires."""
    key = find(response.kms_backend, read(name, response.body)["KeyId"], aliases=False)
    if key.account_id != response.current_account:
        if name not in _ACROSS_ACCOUNTS:
            raise KmsRefusal("AccessDeniedException")
        response.current_account = key.account_id
    if check is not None:
        check(key)
    response.body = json.dumps({"PolicyName": "default", **json.loads(response.body), "KeyId": key.id})
    return original(response)
