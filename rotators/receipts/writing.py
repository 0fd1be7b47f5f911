"""Writes the receipts of a secret that are missing: facts, signature by KMS, and a place in the chain."""

from __future__ import annotations

import base64
import datetime as dt
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

from rotators.aws import clients
from rotators.aws.failures import LoggedStep, logged_steps
from rotators.aws.faults import translated
from rotators.aws.secrets import describe, list_versions
from rotators.core.errors import ConfigurationError, SecretDeleted, SecretNotFound
from rotators.core.request import Step as StepName
from rotators.core.states import Stage
from rotators.receipts.envelope import Envelope, digest_of, signed_bytes
from rotators.receipts.errors import ReceiptChainBusy, ReceiptUnreadable
from rotators.receipts.facts import Rotated, is_logged, logged_since, without_receipt
from rotators.receipts.statement import Code, Receipt, decoded, encoded, now
from rotators.receipts.storage import Bucket, Stored, number_in, place_of

# A log line can be found some seconds after it was written; the event may be here earlier.
_WAITS = (1.0, 2.0, 4.0, 8.0)
_TRIES = 5


@dataclass(frozen=True)
class Settings:
    """Where receipts go, and who signs them.

    Attributes:
        bucket: of the receipts.
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
    """The end of a chain; number 0 for a chain without receipts."""

    number: int = 0
    digest: str | None = None
    receipt: Receipt | None = None


def write_receipts(
    secret: str,
    event: dt.datetime,
    settings: Settings,
    *,
    late: bool,
    wait: Callable[[float], None] = time.sleep,
) -> list[str] | None:
    """Write the receipts of a secret that are missing when a rotation has succeeded.

    Args:
        secret: name or ARN of the secret.
        event: time of the event RotationSucceeded.
        settings: settings of the function.
        late: True if the event is old; then no receipt is on time, and the log is complete.
        wait: waits for so many seconds, when the log does not have the rotation yet.

    Returns:
        The places of the receipts; None if the secret has another function, or is gone.

    Raises:
        ReceiptChainBusy: other writers were faster each time.
        StoreError: a service refused a call; the call can be repeated.
    """
    try:
        described = describe(secret)
        if described.get("RotationLambdaARN") != settings.function_arn:
            return None
        arn = str(described["ARN"])
        for _ in range(_TRIES):
            head = _head(settings.bucket.newest(arn))
            if head.receipt and _reaches(head.receipt, event, described.get("VersionIdsToStages", {})):
                return []
            rotations = _missing(arn, event, head.receipt, settings, None if late else wait)
            written = _written(arn, head, rotations, settings, late=late)
            if written is not None:
                return written
    except (SecretNotFound, SecretDeleted):
        return None
    raise ReceiptChainBusy(f"the receipts of {arn} were continued by others {_TRIES} times")


def _reaches(head: Receipt, event: dt.datetime, stages: Mapping[str, Collection[str]]) -> bool:
    """True if a chain certainly has the rotation of an event, whose time is in whole seconds."""
    return Stage.CURRENT in stages.get(head.version, ()) or head.rotated >= event + dt.timedelta(seconds=1)


def _head(stored: Stored | None) -> _Head:
    if stored is None:
        return _Head()
    try:
        receipt = decoded(Envelope.decoded(stored.data).payload)
    except ReceiptUnreadable:  # the chain goes on; its verification names the file
        receipt = None
    return _Head(number_in(stored.place) or 0, digest_of(stored.data), receipt)


def _missing(
    arn: str,
    event: dt.datetime,
    head: Receipt | None,
    settings: Settings,
    wait: Callable[[float], None] | None,
) -> list[Rotated]:
    """Find the rotations without a receipt; wait for the log if it may still come."""
    versions = list_versions(arn)
    since = logged_since(versions, head, event).timestamp()
    logged: list[LoggedStep] = []
    for seconds in (0.0, *_WAITS) if wait else (0.0,):
        if wait and seconds:
            wait(seconds)
        logged = logged_steps(settings.function_arn, arn, since)
        if is_logged(logged, event):
            break
    return without_receipt(versions, logged, head, event)


def _written(
    arn: str, head: _Head, rotations: list[Rotated], settings: Settings, *, late: bool
) -> list[str] | None:
    """Write receipts after a head; None if another writer was faster."""
    configuration = _configuration(settings.function_arn) if rotations else {}
    number, previous, places = head.number, head.digest, list[str]()
    for rotation in rotations:
        number += 1
        code = _code(configuration, rotation)
        receipt = Receipt(
            secret=arn,
            number=number,
            previous=previous,
            version=rotation.version,
            replaced_version=rotation.replaced,
            rotated=rotation.time,
            steps=rotation.steps,
            failed_steps=rotation.failed_steps,
            passed_tests=tuple(step.name for step in rotation.steps if step.name == "testSecret"),
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
        place = place_of(arn, number)
        if not settings.bucket.create(place, data):
            return None
        previous = digest_of(data)
        places.append(place)
    return places


def _configuration(function_arn: str) -> dict[str, Any]:
    with translated("GetFunctionConfiguration", function_arn):
        found: dict[str, Any] = dict(
            clients.functions().get_function_configuration(FunctionName=function_arn)
        )
    return found


def _code(configuration: dict[str, Any], rotation: Rotated) -> Code | None:
    """The digest of the code, if that code ran all steps: the function was not changed since the first."""
    changed = dt.datetime.fromisoformat(configuration["LastModified"])
    if len(rotation.steps) < len(StepName) or rotation.steps[0].started < changed:
        return None
    return Code(sha256=base64.b64decode(configuration["CodeSha256"]).hex())


def _signed(payload: bytes, key_arn: str) -> bytes:
    # RAW: KMS makes the digest itself. It takes 4,096 bytes; the statement's members are bounded accordingly.
    with translated("Sign", key_arn):
        answer = clients.kms().sign(
            KeyId=key_arn,
            Message=signed_bytes(payload),
            MessageType="RAW",
            SigningAlgorithm="ECDSA_SHA_256",
        )
    return Envelope(payload, key_arn, answer["Signature"]).encoded()
