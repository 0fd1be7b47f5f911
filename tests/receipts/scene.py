"""A secret with rotations, the log of its rotation function, and bucket and key of its receipts."""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from rotators.local.aws import LocalAws
from rotators.receipts.keys import verifier
from rotators.receipts.statement import Receipt
from rotators.receipts.storage import Bucket, StoredReceipt, folder_of, place_of
from rotators.receipts.verification import Chain, verified
from rotators.receipts.writing import ReceiptSettings, write_receipts
from tests.world import new_password, unique

if TYPE_CHECKING:
    import pytest

Client = Callable[[str], Any]
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


class Scene:
    """A secret with its rotations, the rotate function's log, and bucket and key of the receipts.

    Attributes:
        arn, name: of the secret.
        environment: of the receipt function.
        tokens: of its rotations.
        on_wait: called while the handler waits for the log.
    """

    def __init__(
        self, aws: LocalAws, client: Client, function: str, patch: pytest.MonkeyPatch, name: str = ""
    ) -> None:
        self.secrets, self._logs, self.kms, self._s3 = map(client, ("secretsmanager", "logs", "kms", "s3"))
        self._aws, self._short, self.function = aws, function, aws.function_arn(function)
        self._group = f"/aws/lambda/rotators-{function}"
        self.bucket = unique("receipts").replace("_", "-")
        self._s3.create_bucket(Bucket=self.bucket, ObjectLockEnabledForBucket=True)
        self.key = self.new_key()
        self.environment = {
            "RECEIPTS_BUCKET": self.bucket,
            "RECEIPTS_KEY_ARN": self.key,
            "ROTATE_FUNCTION_ARN": self.function,
        }
        for variable, value in self.environment.items():
            patch.setenv(variable, value)
        self.tokens: list[str] = []
        self.on_wait: Callable[[], object] = lambda: None
        self.name = name or unique("app/db")
        self.create()

    def new_key(self) -> str:
        """Create a key that signs; return its ARN."""
        made = self.kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
        return str(made["Arn"])

    def create(self) -> None:
        """Create the secret, also again after its deletion."""
        value = json.dumps({"password": new_password()})
        self.arn = str(self.secrets.create_secret(Name=self.name, SecretString=value)["ARN"])
        self._aws.enable_rotation(self.arn, self._short)

    def rotate(self, *, logged: tuple[str, ...] = STEPS) -> dict[str, Any]:
        """Rotate; return the event. The function's lines come from here, so they can be late or missing."""
        token = str(uuid.uuid4())
        self.secrets.rotate_secret(SecretId=self.arn, ClientRequestToken=token)
        assert self._aws.wait_for_rotation(self.arn, token).ok
        self.tokens.append(token)
        self.log(token, logged)
        return self.event()

    def log(self, token: str, steps: tuple[str, ...] = STEPS) -> None:
        """Write the lines of steps into the function's log, in the form of telemetry."""
        now = int(time.time() * 1000)
        lines = [
            {
                "secret": self.arn,
                "token": token,
                "step": step,
                "outcome": "done",
                "rotator": "postgres",
                "strategy": "single",
                "duration_ms": 1.5,
            }
            for step in steps
        ]
        self.log_messages(*map(json.dumps, lines), since=now)

    def log_messages(self, *messages: str, since: int) -> None:
        """Write lines into the function's log, a millisecond apart."""
        events = [{"timestamp": since + at, "message": message} for at, message in enumerate(messages)]
        if events:
            self._logs.put_log_events(logGroupName=self._group, logStreamName="all", logEvents=events)

    def event(self, **detail: Any) -> dict[str, Any]:
        now = dt.datetime.now(dt.UTC)
        return {
            "id": str(uuid.uuid4()),
            "source": "aws.secretsmanager",
            "detail-type": "AWS Service Event via CloudTrail",
            "detail": {
                "eventName": "RotationSucceeded",
                "eventTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
                "additionalEventData": {"SecretId": self.arn},
                **detail,
            },
        }

    def write(self, event: dict[str, Any], *, late: bool = False) -> list[str] | None:
        """Handle an event without pauses."""
        moment = dt.datetime.fromisoformat(event["detail"]["eventTime"])
        settings = ReceiptSettings.from_environment()
        return write_receipts(self.arn, moment, settings, late=late, wait=self._wait)

    def _wait(self, _seconds: float) -> None:
        self.on_wait()

    def pem(self, key: str) -> bytes:
        der = self.kms.get_public_key(KeyId=key)["PublicKey"]
        return load_der_public_key(der).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def chain(self, *keys: str) -> Chain:
        """The secret's receipts, verified with the scene's key, or others."""
        pems = [self.pem(key) for key in keys or (self.key,)]
        found = verified(Bucket(self.bucket).read(), verifier(pems), {})
        return next(each for each in found if each.folder == folder_of(self.arn))

    def receipts(self) -> tuple[Receipt, ...]:
        chain = self.chain()
        assert chain.findings == ()
        return chain.receipts

    def put(self, number: int, data: bytes) -> None:
        """Write a file as a caller who can write into the bucket, but not sign."""
        self._s3.put_object(Bucket=self.bucket, Key=place_of(self.arn, number), Body=data)

    @contextmanager
    def denied(self, arn: str) -> Iterator[None]:
        """Let the bucket's policy refuse the receipts of a secret."""
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{self.bucket}/{folder_of(arn)}/*",
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        self._s3.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(policy))
        yield
        self._s3.delete_bucket_policy(Bucket=self.bucket)

    def hide(self, place: str) -> None:
        self._s3.delete_object(Bucket=self.bucket, Key=place)

    def files(self) -> list[StoredReceipt]:
        return list(Bucket(self.bucket).read())


def registered(aws: LocalAws, client: Client) -> str:
    """Register a rotation function without a target; return its short name."""
    name = unique("receipt")
    aws.register(name, "tests.local.handlers.rotate")
    client("logs").create_log_group(logGroupName=f"/aws/lambda/rotators-{name}")
    client("logs").create_log_stream(logGroupName=f"/aws/lambda/rotators-{name}", logStreamName="all")
    return name
