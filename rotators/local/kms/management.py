"""Management of keys: creation, states, deletion, policies and aliases.

Sources: KMS API reference of each operation; Developer Guide, key-state; answers recorded on AWS in
LocalStack's tests.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from moto.core.utils import unix_time, utcnow
from moto.kms.models import Key, KmsBackend

from rotators.iam.documents import statements_of
from rotators.iam.errors import PolicyUnsupported
from rotators.local.kms.keys import (
    ALIAS,
    ALIAS_OF_AWS,
    DISABLED,
    ENABLED,
    PENDING_DELETION,
    arn_of,
    check_enabled,
    check_kept,
    described,
    find,
    is_symmetric,
)
from rotators.local.kms.refusals import KmsRefusal, invalid, invalid_state, not_found, unsupported
from rotators.local.kms.requests import Answer, Operation, Params
from rotators.local.kms.specs import SYMMETRIC, checked_usage

_WINDOW = range(7, 31)
_ORIGIN = "AWS_KMS"


def _create_key(backend: KmsBackend, params: Params) -> Answer:
    spec = params.get("KeySpec") or params.get("CustomerMasterKeySpec") or SYMMETRIC
    usage = checked_usage(spec, params.get("KeyUsage"))
    if params.get("Origin", _ORIGIN) != _ORIGIN:
        raise unsupported(f"The local AWS has no keys of origin {params['Origin']}.")
    if "Policy" in params:
        _check_policy(params["Policy"])
    key = Key(  # type: ignore[abstract] # as moto's own create_key, which refuses the newer key specs
        params.get("Policy"),
        usage,
        spec,
        params.get("Description", ""),
        backend.account_id,
        backend.region_name,
        bool(params.get("MultiRegion")),
    )
    backend.keys[key.id] = key
    if params.get("Tags"):
        backend.tagger.tag_resource(key.id, params["Tags"])
    return described(key)


def _describe_key(backend: KmsBackend, params: Params) -> Answer:
    return described(find(backend, params["KeyId"]))


def _put_key_policy(backend: KmsBackend, params: Params) -> Answer:
    key = find(backend, params["KeyId"], aliases=False)
    if params.get("PolicyName", "default") != "default":
        raise not_found("No such policy exists")
    _check_policy(params["Policy"])
    key.policy = params["Policy"]
    return {}


def _schedule_key_deletion(backend: KmsBackend, params: Params) -> Answer:
    key = find(backend, params["KeyId"], aliases=False)
    check_kept(key)
    window = params.get("PendingWindowInDays", _WINDOW[-1])
    if window not in _WINDOW:
        raise invalid("PendingWindowInDays must be between 7 and 30.")
    key.deletion_date = utcnow() + timedelta(days=window)
    _set_state(key, PENDING_DELETION)
    return {
        "KeyId": key.arn,
        "DeletionDate": unix_time(key.deletion_date),
        "KeyState": PENDING_DELETION,
        "PendingWindowInDays": window,
    }


def _cancel_key_deletion(backend: KmsBackend, params: Params) -> Answer:
    key = find(backend, params["KeyId"], aliases=False)
    if key.key_state != PENDING_DELETION:
        raise invalid_state(f"{key.arn} is not pending deletion.")
    key.deletion_date = None
    _set_state(key, DISABLED)
    return {"KeyId": key.arn}


def _create_alias(backend: KmsBackend, params: Params) -> Answer:
    name = params["AliasName"]
    _check_alias(name)
    key = _target(backend, params)
    check_kept(key)
    if backend.alias_exists(name):
        raise KmsRefusal(
            "AlreadyExistsException", f"An alias with the name {arn_of(backend, name)} already exists"
        )
    backend.create_alias(key.id, name)
    return {}


def _update_alias(backend: KmsBackend, params: Params) -> Answer:
    name = params["AliasName"]
    _check_alias(name)
    if not backend.alias_exists(name):
        raise not_found(f"Alias {arn_of(backend, name)} is not found.")
    key, before = _target(backend, params), find(backend, name)
    check_kept(key)
    if (key.key_usage, is_symmetric(key)) != (before.key_usage, is_symmetric(before)):
        raise invalid("An alias keeps to keys of one type and key usage.")
    backend.update_alias(key.id, name)
    return {}


def _target(backend: KmsBackend, params: Params) -> Key:
    if ALIAS in params["TargetKeyId"]:
        raise invalid("Aliases must refer to keys. Not aliases")
    return find(backend, params["TargetKeyId"], aliases=False)


def _create_grant(backend: KmsBackend, params: Params) -> Answer:
    key = find(backend, params["KeyId"], aliases=False)
    check_enabled(key)
    # moto stores None for members that the request omits, and then omits them in responses.
    names = ("Name", "GranteePrincipal", "Operations", "Constraints", "RetiringPrincipal")
    given: Any = [params.get(name) for name in names]
    grant = key.add_grant(*given)
    return {"GrantId": grant.id, "GrantToken": grant.token}


def _in_state(backend: KmsBackend, params: Params, state: str) -> Answer:
    key = find(backend, params["KeyId"], aliases=False)
    check_kept(key)
    _set_state(key, state)
    return {}


def _set_state(key: Key, state: str) -> None:
    key.key_state, key.enabled = state, state == ENABLED


def _check_policy(policy: str) -> None:
    try:
        statements_of(policy)
    except PolicyUnsupported:
        raise KmsRefusal("MalformedPolicyDocumentException") from None


def _check_alias(name: str) -> None:
    if not name.startswith(ALIAS):
        raise invalid(
            'Alias must start with the prefix "alias/". Please see '
            "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
        )
    if ":" in name:  # which botocore's model allows
        raise invalid(f"{name} contains invalid characters for an alias")
    if name.startswith(ALIAS_OF_AWS):
        raise KmsRefusal("NotAuthorizedException")


OPERATIONS: dict[str, Operation] = {
    "CancelKeyDeletion": _cancel_key_deletion,
    "CreateAlias": _create_alias,
    "CreateGrant": _create_grant,
    "CreateKey": _create_key,
    "DescribeKey": _describe_key,
    "DisableKey": partial(_in_state, state=DISABLED),
    "EnableKey": partial(_in_state, state=ENABLED),
    "PutKeyPolicy": _put_key_policy,
    "ScheduleKeyDeletion": _schedule_key_deletion,
    "UpdateAlias": _update_alias,
}
"""The operations by their names in the API."""
