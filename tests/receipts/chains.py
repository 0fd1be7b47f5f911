"""Chains of receipts for the tests, signed with keys that are made here."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rotators.receipts.envelope import Envelope, digest_of, signed_bytes
from rotators.receipts.statement import Code, Receipt, ReceiptStep, encoded
from rotators.receipts.storage import StoredReceipt, place_of

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:rotators-rotate"
KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/0b6c2f9e-0000-4000-8000-000000000001"
NOON = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Key:
    """A key pair in place of KMS's."""

    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def pem(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, receipt: Receipt) -> bytes:
        """The file of a receipt."""
        payload = encoded(receipt)
        signature = self.private.sign(signed_bytes(payload), ec.ECDSA(SHA256()))
        return Envelope(payload, receipt.signing_key, signature).encoded()


def receipt(number: int, previous: str | None, before: str | None, **changes: Any) -> Receipt:
    start = NOON + dt.timedelta(days=number)
    moments = [start + dt.timedelta(seconds=second) for second in range(5)]
    names = ("createSecret", "setSecret", "testSecret", "finishSecret")
    values: dict[str, Any] = {
        "secret": ARN,
        "number": number,
        "previous": previous,
        "version": str(uuid.uuid4()),
        "replaced_version": before,
        "rotated": moments[-1],
        "steps": tuple(
            ReceiptStep(name=name, started=begin, ended=end, outcome="done")
            for name, begin, end in zip(names, moments, moments[1:], strict=False)
        ),
        "failed_steps": 0,
        "passed_tests": ("testSecret",),
        "rotator": "postgres",
        "strategy": "single",
        "function": FUNCTION,
        "code": Code(sha256="ab" * 32),
        "signing_key": KEY_ARN,
        "written": moments[-1],
        "filled_later": False,
        "unknown": (),
    }
    return Receipt(**{**values, **changes})


def chain(key: Key, count: int, arn: str = ARN) -> list[StoredReceipt]:
    """An intact chain."""
    files: list[StoredReceipt] = []
    before: str | None = str(uuid.uuid4())
    for number in range(1, count + 1):
        made = receipt(number, digest_of(files[-1].data) if files else None, before, secret=arn)
        before = made.version
        files.append(StoredReceipt(place_of(arn, number), key.sign(made)))
    return files


def changed(files: list[StoredReceipt], at: int, change: Callable[[bytes], bytes]) -> list[StoredReceipt]:
    """The files with another content of one."""
    return [
        replace(file, data=change(file.data)) if index == at else file for index, file in enumerate(files)
    ]
