"""Rotation of the material of symmetric keys.

Sources: KMS API reference (EnableKeyRotation, GetKeyRotationStatus, RotateKeyOnDemand, ListKeyRotations);
Developer Guide, rotate-keys; answers recorded on AWS in LocalStack's tests. GetKeyRotationStatus also answers
for keys that cannot rotate, as https://github.com/floci-io/floci/pull/618 reports.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from moto.core.utils import unix_time

from rotators.local.kms.keys import (
    PENDING_DELETION,
    check_enabled,
    find,
    is_replica,
    is_symmetric,
    manager,
    material,
)
from rotators.local.kms.material import AutomaticRotation, MaterialVersion
from rotators.local.kms.refusals import KmsRefusal, unsupported
from rotators.local.kms.requests import Answer, Operation, Params

if TYPE_CHECKING:
    from moto.kms.models import Key, KmsBackend

_ON_DEMAND_LIMIT = 25
_DEFAULT_PERIOD = 365
_DAY = 86_400
_PAGE = 100
_KEY_BYTES = 32
_ALL = "ALL_KEY_MATERIAL"


def _enable_key_rotation(backend: KmsBackend, params: Params) -> Answer:
    key = _changeable(backend, params)
    period = params.get("RotationPeriodInDays", _DEFAULT_PERIOD)
    material(key).automatic = AutomaticRotation(period, unix_time())
    return {}


def _disable_key_rotation(backend: KmsBackend, params: Params) -> Answer:
    material(_changeable(backend, params)).automatic = None
    return {}


def _get_key_rotation_status(backend: KmsBackend, params: Params) -> Answer:
    key = find(backend, params["KeyId"], aliases=False)
    automatic = material(key).automatic
    if manager(key) == "AWS":  # always true (API reference, GetKeyRotationStatus)
        automatic = AutomaticRotation(_DEFAULT_PERIOD, key.creation_date)
    if automatic is None or key.key_state == PENDING_DELETION:
        return {"KeyId": key.arn, "KeyRotationEnabled": False}
    return {
        "KeyId": key.arn,
        "KeyRotationEnabled": True,
        "RotationPeriodInDays": automatic.period,
        "NextRotationDate": automatic.enabled + automatic.period * _DAY,
    }


def _rotate_key_on_demand(backend: KmsBackend, params: Params) -> Answer:
    key = _changeable(backend, params)
    rotated = material(key)
    with rotated.lock:
        if len(rotated.versions) > _ON_DEMAND_LIMIT:
            raise KmsRefusal(
                "LimitExceededException",
                "The on-demand rotations limit has been reached for the given keyId. No more on-demand "
                f"rotations can be performed for this key: {key.arn}",
            )
        rotated.versions.append(MaterialVersion(os.urandom(_KEY_BYTES), unix_time()))
    return {"KeyId": key.arn}


def _list_key_rotations(backend: KmsBackend, params: Params) -> Answer:
    key = _rotatable(find(backend, params["KeyId"], aliases=False))
    versions = material(key).versions
    shown = versions if params.get("IncludeKeyMaterial") == _ALL else versions[1:]
    marker = params.get("Marker", "0")
    if not marker.isdecimal() or int(marker) > len(shown):
        raise KmsRefusal("InvalidMarkerException")
    start = int(marker)
    end = start + params.get("Limit", _PAGE)
    more = {"NextMarker": str(end)} if end < len(shown) else {}
    page = [_entry(key, version) for version in shown[start:end]]
    return {"Rotations": page, "Truncated": bool(more), **more}


def _entry(key: Key, version: MaterialVersion) -> Answer:
    current = material(key).current is version
    made = {} if version.since is None else {"RotationDate": version.since, "RotationType": "ON_DEMAND"}
    state = "CURRENT" if current else "NON_CURRENT"
    return {"KeyId": key.arn, "KeyMaterialId": version.id, "KeyMaterialState": state, **made}


def _changeable(backend: KmsBackend, params: Params) -> Key:
    key = find(backend, params["KeyId"], aliases=False)
    check_enabled(key)
    if is_replica(key):  # each operation is for the primary (API reference); the code is not documented
        raise unsupported(f"{key.arn} is a replica key.")
    return _rotatable(key)


def _rotatable(key: Key) -> Key:
    if not is_symmetric(key):
        raise unsupported()
    return key


OPERATIONS: dict[str, Operation] = {
    "DisableKeyRotation": _disable_key_rotation,
    "EnableKeyRotation": _enable_key_rotation,
    "GetKeyRotationStatus": _get_key_rotation_status,
    "ListKeyRotations": _list_key_rotations,
    "RotateKeyOnDemand": _rotate_key_on_demand,
}
"""The operations by their names in the API."""
