"""The calls of KMS's own API as IAM sees them: the key, its properties, and the parameters of the request.

Sources: Service Authorization Reference, list_awskeymanagementservice; KMS Developer Guide, conditions-kms
and alias-access; API reference, ReEncrypt (two permissions) and CreateKey (Tags).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from moto.kms.models import kms_backends

from rotators.iam.calls import account_of
from rotators.local.kms import ciphertexts
from rotators.local.kms.keys import find
from rotators.local.kms.refusals import KmsRefusal
from rotators.local.kms.specs import SYMMETRIC

if TYPE_CHECKING:
    from moto.kms.models import Key

    from rotators.iam.calls import ApiCall
    from rotators.local.iam.requests import SignedRequest

_WITHOUT_KEY = ("CreateKey", "GenerateRandom", "ListAliases", "ListKeys", "ListRetirableGrants")
_PARAMETERS = {
    "BypassPolicyLockoutSafetyCheck": "BypassPolicyLockoutSafetyCheck",
    "GranteePrincipal": "GranteePrincipal",
    "KeyPairSpec": "DataKeyPairSpec",
    "MacAlgorithm": "MacAlgorithm",
    "Operations": "GrantOperations",
    "PendingWindowInDays": "ScheduleKeyDeletionPendingWindowInDays",
    "RetiringPrincipal": "RetiringPrincipal",
    "RotationPeriodInDays": "RotationPeriodInDays",
    "SigningAlgorithm": "SigningAlgorithm",
}
"""Condition keys of parameters, both without their prefix."""

_ENCRYPTING = ("Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair", "ReEncrypt")
_SIGNING = ("Sign", "Verify")
_NEW_KEY = "00000000-0000-0000-0000-000000000000"

_Context = dict[str, str | tuple[str, ...]]


def key_calls(request: SignedRequest) -> list[ApiCall]:
    """List the calls that IAM decides about for a request to KMS.

    Args:
        request: The request.

    Returns:
        The calls; empty for a ciphertext that cannot be read, which KMS refuses for every caller.
    """
    operation, params = request.operation, request.params
    if operation in _WITHOUT_KEY:
        return list(_without_key(request))
    if operation.endswith("Alias"):
        return list(_alias_calls(request))
    if operation != "ReEncrypt":
        named = params.get("KeyId") or _sealed_for(request)
        return [_named_call(request, operation, str(named), _asked(request))] if named else []
    source, destination = params.get("SourceKeyId") or _sealed_for(request), params.get("DestinationKeyId")
    if source is None:
        return []
    return [
        _named_call(request, "ReEncryptFrom", str(source), _encryption(params, "Source")),
        _named_call(request, "ReEncryptTo", str(destination), _encryption(params, "Destination")),
    ]


def _without_key(request: SignedRequest) -> Iterator[ApiCall]:
    params = request.params
    context = _asked(request)
    if request.operation == "CreateKey":
        spec = params.get("KeySpec") or params.get("CustomerMasterKeySpec") or SYMMETRIC
        context["kms:KeySpec"] = spec
        context["kms:KeyUsage"] = params.get("KeyUsage") or "ENCRYPT_DECRYPT"
        context["kms:KeyOrigin"] = params.get("Origin") or "AWS_KMS"
        context["kms:MultiRegion"] = _boolean(params.get("MultiRegion"))
    own = request.call(f"kms:{request.operation}", "*", context)
    yield own
    if request.operation == "CreateKey" and params.get("Tags"):
        yield replace(own, action="kms:TagResource", resource=_arn(request, f"key/{_NEW_KEY}"))


def _alias_calls(request: SignedRequest) -> Iterator[ApiCall]:
    """Yield an alias and its keys: those before and after a change."""
    name, operation = str(request.params.get("AliasName", "")), request.operation
    yield request.call(f"kms:{operation}", _arn(request, name), {"kms:CallerAccount": request.account})
    before = name if operation != "CreateAlias" else None
    for named in (before, request.params.get("TargetKeyId")):
        if named:
            yield _key_call(request, operation, str(named), {})


def _named_call(request: SignedRequest, operation: str, named: str, context: _Context) -> ApiCall:
    """Return a call on a key that a parameter names, possibly by an alias."""
    _, slash, alias = named.rpartition("alias/")
    asked: _Context = {"kms:RequestAlias": slash + alias} if slash else {}
    return _key_call(request, operation, named, {**asked, **context})


def _key_call(request: SignedRequest, operation: str, named: str, context: _Context) -> ApiCall:
    try:
        key = find(kms_backends[request.account][request.region], named)
    except KmsRefusal:
        arn = named if named.startswith("arn:") else _arn(request, f"key/{named}")
        return request.call(f"kms:{operation}", arn, context)
    return request.call(f"kms:{operation}", key.arn, {**_of_key(key, request.account), **context})


def _of_key(key: Key, caller: str) -> _Context:
    tags = kms_backends[key.account_id][key.region].list_resource_tags(key.id)["Tags"]
    return {
        "aws:ResourceAccount": account_of(key.arn),
        "kms:CallerAccount": caller,
        "kms:KeyOrigin": key.origin,
        "kms:KeySpec": key.key_spec,
        "kms:KeyUsage": key.key_usage,
        "kms:MultiRegion": _boolean(key.multi_region),
        **({"kms:ResourceAliases": tuple(key.aliases)} if key.aliases else {}),
        **{f"aws:ResourceTag/{tag['TagKey']}": tag["TagValue"] for tag in tags},
    }


def _asked(request: SignedRequest) -> _Context:
    """Return the condition keys of the parameters."""
    operation, params = request.operation, request.params
    found: _Context = {
        f"kms:{key}": _text(params[name]) for name, key in _PARAMETERS.items() if name in params
    }
    if operation.removesuffix("WithoutPlaintext") in _ENCRYPTING:
        found |= _encryption(params, "")
    if operation in _SIGNING:
        found["kms:MessageType"] = str(params.get("MessageType", "RAW"))
    if tags := params.get("Tags"):
        found["aws:TagKeys"] = tuple(tag["TagKey"] for tag in tags)
        found |= {f"aws:RequestTag/{tag['TagKey']}": tag["TagValue"] for tag in tags}
    elif removed := params.get("TagKeys"):
        found["aws:TagKeys"] = tuple(removed)
    return found


def _encryption(params: Mapping[str, Any], prefix: str) -> _Context:
    context = params.get(f"{prefix}EncryptionContext") or {}
    return {
        "kms:EncryptionAlgorithm": str(params.get(f"{prefix}EncryptionAlgorithm", SYMMETRIC)),
        **({"kms:EncryptionContextKeys": tuple(context)} if context else {}),
        **{f"kms:EncryptionContext:{name}": str(value) for name, value in context.items()},
    }


def _sealed_for(request: SignedRequest) -> str | None:
    """Return the ARN of the key that encrypted the ciphertext of a request."""
    try:
        sealed = ciphertexts.parse(base64.b64decode(str(request.params.get("CiphertextBlob", ""))))
    except (KmsRefusal, ValueError):
        return None
    return f"arn:aws:kms:{request.region}:{sealed.key}"


def _arn(request: SignedRequest, name: str) -> str:
    return f"arn:aws:kms:{request.region}:{request.account}:{name}"


def _text(value: Any) -> str | tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else _boolean(value)


def _boolean(value: Any) -> str:
    """Return a value in the form of conditions, in which booleans are ``true`` and ``false``."""
    return str(bool(value)).lower() if value is None or isinstance(value, bool) else str(value)
