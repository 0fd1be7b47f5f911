"""Writes the receipts of a secret that are missing: facts, signature by KMS, and a place in the chain."""

from __future__ import annotations

import base64
import datetime as dt
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from botocore.exceptions import ClientError

from rotators.aws import clients
from rotators.aws.failures import LoggedStep, logged_steps
from rotators.aws.faults import translated
from rotators.aws.secrets import describe, list_versions
from rotators.core.errors import ConfigurationError, SecretDeleted, SecretNotFound
from rotators.core.request import Step
from rotators.receipts.envelope import Envelope, digest_of, signed_bytes
from rotators.receipts.errors import ReceiptChainBusy, ReceiptUnreadable, calling
from rotators.receipts.facts import ReceiptGap, Rotated, gap, latest
from rotators.receipts.statement import Code, Receipt, decoded, encoded, now
from rotators.receipts.storage import Bucket, StoredReceipt, place_of

# A log line can be found only some seconds after it was written; the event may arrive earlier.
_WAITS = (1.0, 2.0, 4.0, 8.0)
_FRESH = dt.timedelta(minutes=15)  # the log of an older rotation is complete
_TRIES = 5
_MOST_FOREIGN = 100
_ALGORITHM = "ECDSA_SHA_256"
_REMEDY = "Enable the key that signs receipts, and permit the receipt function to sign and verify with it."


@dataclass(frozen=True)
class ReceiptSettings:
    """The bucket of the receipts, and the key that signs them.

    Attributes:
        bucket: bucket of the receipts.
        key_arn: KMS key that signs.
        function_arn: rotation function whose rotations get receipts.
    """

    bucket: Bucket
    key_arn: str
    function_arn: str

    @classmethod
    def from_environment(cls) -> Self:
        """Return the settings of the function.

        Raises:
            ConfigurationError: a variable is not set.
        """
        bucket, key, function = map(_required, ("RECEIPTS_BUCKET", "RECEIPTS_KEY_ARN", "ROTATE_FUNCTION_ARN"))
        return cls(Bucket(bucket), key, function)


def _required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigurationError(f"{name} is not set", remedy=f"Set {name} on the receipt function.")
    return value


@dataclass(frozen=True)
class _Head:
    """The end of a chain.

    Attributes:
        number: the last number that is taken; 0 for a chain without receipts.
        digest: digest of the file with this number.
        receipt: the newest receipt that the key signed for this place.
    """

    number: int = 0
    digest: str | None = None
    receipt: Receipt | None = None


@dataclass(frozen=True)
class _Found:
    """A secret's ARN, the end of its chain, and its rotations without a receipt, oldest first."""

    arn: str
    head: _Head
    rotations: list[Rotated]


def write_receipts(
    secret: str,
    event: dt.datetime,
    settings: ReceiptSettings,
    *,
    late: bool,
    wait: Callable[[float], None] = time.sleep,
) -> list[str] | None:
    """Write the receipts of a secret that are missing when a rotation has succeeded.

    Args:
        secret: name or ARN of the secret.
        event: time of the event RotationSucceeded.
        settings: settings of the function.
        late: True if the handled event is not the rotation's own.
        wait: waits for so many seconds, when the log does not have the rotation yet.

    Returns:
        The places of the receipts; None if the secret has another function, or was deleted.

    Raises:
        ReceiptChainBusy: other writers took the number each time; repeat the call later.
        StoreError: a service refused a call; the call can be repeated.
    """
    places: list[str] = []
    for _ in range(_TRIES):
        found = _examined(secret, event, settings, wait)
        if found is None:
            return None
        if _written(found, settings, places, late=late):
            return places
    raise ReceiptChainBusy(f"the receipts of {secret} were continued by other functions {_TRIES} times")


def missing_receipts(secret: str, event: dt.datetime, settings: ReceiptSettings) -> int:
    """Return the number of receipts that `write_receipts` would write.

    Args:
        secret: name or ARN of the secret.
        event: time of its last rotation.
        settings: settings of the function.

    Returns:
        The number; 0 also for a secret with another function.

    Raises:
        StoreError: a service refused a call.
    """
    found = _examined(secret, event, settings, None)
    return len(found.rotations) if found else 0


def _examined(
    secret: str, event: dt.datetime, settings: ReceiptSettings, wait: Callable[[float], None] | None
) -> _Found | None:
    try:
        described = describe(secret)
        if described.get("RotationLambdaARN") != settings.function_arn:
            return None
        arn = str(described["ARN"])
        versions = list_versions(arn)
    except (SecretNotFound, SecretDeleted):
        return None
    head = _head(arn, settings)
    missing = gap(versions, head.receipt, event, described.get("LastRotatedDate"))
    logged = _logged(arn, missing, settings, wait) if missing else []
    return _Found(arn, head, missing.rotations(logged) if missing else [])


def _head(arn: str, settings: ReceiptSettings) -> _Head:
    """Find the end of a chain.

    Anyone who can write into the bucket but not sign can take numbers. Verification reports
    their files; the function does not use their content.
    """
    bucket, listed, receipt = settings.bucket, settings.bucket.numbered(arn), None
    for number in sorted(listed, reverse=True)[:_MOST_FOREIGN]:
        receipt = _own_receipt(bucket.file(listed[number]), arn, number, settings.key_arn)
        if receipt:
            break
    last = receipt.number if receipt else 0
    while last + 1 in listed:
        last += 1
    digest = digest_of(bucket.file(listed[last]).data) if last else None
    return _Head(last, digest, receipt)


def _own_receipt(stored: StoredReceipt, arn: str, number: int, key_arn: str) -> Receipt | None:
    """Return the receipt in a file, if the key signed it for this place."""
    try:
        envelope = Envelope.decoded(stored.data)
        receipt = decoded(envelope.payload)
    except ReceiptUnreadable:
        return None
    if (receipt.secret, receipt.number, envelope.key_id) != (arn, number, key_arn):
        return None
    return receipt if _is_signed(envelope, key_arn) else None


def _logged(
    arn: str, found: ReceiptGap, settings: ReceiptSettings, wait: Callable[[float], None] | None
) -> list[LoggedStep]:
    """Read the log, and wait while lines of the event's rotation may still appear."""
    since = found.since.timestamp()
    logged = logged_steps(settings.function_arn, arn, since)
    for seconds in _WAITS if now() - found.end < _FRESH else ():
        if wait is None or found.is_logged(logged):
            break
        wait(seconds)
        logged = logged_steps(settings.function_arn, arn, since)
    return logged


def _written(found: _Found, settings: ReceiptSettings, places: list[str], *, late: bool) -> bool:
    """Write receipts after a head, and add their places; False if another writer was faster."""
    configuration = _configuration(settings.function_arn) if found.rotations else {}
    number, previous = found.head.number, found.head.digest
    for rotation in found.rotations:
        number += 1
        code = _code(configuration, rotation)
        receipt = Receipt(
            secret=found.arn,
            number=number,
            previous=previous,
            version=rotation.version,
            replaced_version=rotation.replaced,
            rotated=rotation.time,
            steps=rotation.steps,
            failed_steps=rotation.failed_steps,
            passed_tests=rotation.passed_tests,
            rotator=rotation.rotator,
            strategy=rotation.strategy,
            function=settings.function_arn,
            code=code,
            signing_key=settings.key_arn,
            written=now(),
            filled_later=late or not rotation.own_event,
            unknown=(*rotation.unknown, *(() if code else ("code",))),
        )
        data = _signed(encoded(receipt), settings.key_arn)
        place = place_of(found.arn, number)
        if not settings.bucket.create(place, data):
            return False
        previous = digest_of(data)
        places.append(place)
    return True


def _configuration(function_arn: str) -> dict[str, Any]:
    with translated("GetFunctionConfiguration", function_arn):
        found: dict[str, Any] = dict(
            clients.functions().get_function_configuration(FunctionName=function_arn)
        )
    return found


def _code(configuration: dict[str, Any], rotation: Rotated) -> Code | None:
    """Return the digest of the code if it ran all steps, so that it has not changed since the first step."""
    changed = latest(dt.datetime.fromisoformat(configuration["LastModified"]))
    if len(rotation.steps) < len(Step) or rotation.steps[0].started < changed:
        return None
    return Code(sha256=base64.b64decode(configuration["CodeSha256"]).hex())


def _message(payload: bytes, key_arn: str) -> dict[str, Any]:
    """Return the parameters of Sign and Verify.

    RAW: KMS computes the digest itself. It accepts 4,096 bytes, so the statement's members are bounded.
    """
    return {
        "KeyId": key_arn,
        "Message": signed_bytes(payload),
        "MessageType": "RAW",
        "SigningAlgorithm": _ALGORITHM,
    }


def _signed(payload: bytes, key_arn: str) -> bytes:
    with calling("Sign", key_arn, _REMEDY):
        answer = clients.kms().sign(**_message(payload, key_arn))
    return Envelope(payload, key_arn, answer["Signature"]).encoded()


def _is_signed(envelope: Envelope, key_arn: str) -> bool:
    with calling("Verify", key_arn, _REMEDY):
        try:
            answer = clients.kms().verify(**_message(envelope.payload, key_arn), Signature=envelope.signature)
        except ClientError as error:
            if error.response["Error"]["Code"] != "KMSInvalidSignatureException":
                raise
            return False
    return bool(answer["SignatureValid"])
