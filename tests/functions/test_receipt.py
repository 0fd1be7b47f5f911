"""The receipt handler: receipts on time, filled gaps, concurrent writers, and failures of AWS."""

from __future__ import annotations

import datetime as dt
import functools
import json
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from functions.receipt import handler
from rotators.core.errors import ConfigurationError, InvalidEvent, StoreError
from rotators.local.aws import LocalAws
from rotators.receipts.keys import verifier
from rotators.receipts.statement import Receipt
from rotators.receipts.storage import Bucket, folder_of
from rotators.receipts.verification import Chain, verified
from rotators.receipts.writing import Settings, write_receipts
from tests.world import new_password, unique

EVENTS = Path(__file__).parents[2] / "events"
Client = Callable[[str], Any]
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


class Scene:
    """A secret with its rotations, the rotate function's log, and bucket and key of the receipts.

    Attributes:
        arn: of the secret.
        tokens: of its rotations.
        on_wait: called while the handler waits for the log.
    """

    def __init__(self, aws: LocalAws, client: Client, patch: pytest.MonkeyPatch) -> None:
        self.secrets, self._logs, self.kms, self._s3 = map(client, ("secretsmanager", "logs", "kms", "s3"))
        name = unique("receipt")
        self.function = aws.register(f"{name}-rotate", "functions.rotate.handler")
        self._group = f"/aws/lambda/rotators-{name}-rotate"
        self._logs.create_log_group(logGroupName=self._group)
        self._logs.create_log_stream(logGroupName=self._group, logStreamName="all")
        self.bucket = name.replace("_", "-")
        self._s3.create_bucket(Bucket=self.bucket, ObjectLockEnabledForBucket=True)
        key = self.kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
        self.key: str = key["Arn"]
        der = self.kms.get_public_key(KeyId=self.key)["PublicKey"]
        pem = load_der_public_key(der).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self._verify = verifier([pem])
        for variable, value in (
            ("RECEIPTS_BUCKET", self.bucket),
            ("RECEIPTS_KEY_ARN", self.key),
            ("ROTATE_FUNCTION_ARN", self.function),
        ):
            patch.setenv(variable, value)
        self._enable = functools.partial(aws.enable_rotation, function=f"{name}-rotate")
        self.arn = self.secret()
        self.tokens: list[str] = []
        self.on_wait: Callable[[], object] = lambda: None

    def secret(self) -> str:
        """Create a secret that the function rotates; return its ARN."""
        value = json.dumps({"password": new_password()})
        arn = str(self.secrets.create_secret(Name=unique("app/db"), SecretString=value)["ARN"])
        self._enable(arn)
        return arn

    def rotate(self, *, logged: tuple[str, ...] = STEPS) -> dict[str, Any]:
        """Rotate as the service and the function do; return the event."""
        token = str(uuid.uuid4())
        value = json.dumps({"password": new_password()})
        self.secrets.put_secret_value(
            SecretId=self.arn, ClientRequestToken=token, SecretString=value, VersionStages=["AWSPENDING"]
        )
        stages = self.secrets.describe_secret(SecretId=self.arn)["VersionIdsToStages"]
        current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
        self.secrets.update_secret_version_stage(
            SecretId=self.arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
        )
        self.tokens.append(token)
        self.log(token, logged)
        return self.event()

    def log(self, token: str, steps: tuple[str, ...] = STEPS) -> None:
        """Write the lines of steps into the function's log, as telemetry does."""
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
        events = [{"timestamp": now + at, "message": json.dumps(line)} for at, line in enumerate(lines)]
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
        settings = Settings.from_environment()
        return write_receipts(self.arn, moment, settings, late=late, wait=self._wait)

    def _wait(self, _seconds: float) -> None:
        self.on_wait()

    def chain(self) -> Chain:
        """The secret's receipts, verified."""
        found = verified(Bucket(self.bucket).read(), self._verify, {})
        return next(each for each in found if each.folder == folder_of(self.arn))

    def receipts(self) -> tuple[Receipt, ...]:
        chain = self.chain()
        assert chain.findings == ()
        return chain.receipts

    def place_over(self, place: str) -> None:
        """Write over a receipt, and hide another version of it."""
        self._s3.put_object(Bucket=self.bucket, Key=place, Body=b"{}")
        self._s3.delete_object(Bucket=self.bucket, Key=place)


@pytest.fixture(scope="module")
def client(aws: LocalAws) -> Client:
    """A function that returns clients; each is created once, because this takes half a second."""
    return functools.cache(aws.client)


@pytest.fixture
def scene(aws: LocalAws, client: Client, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(aws, client, monkeypatch)


def test_each_rotation_gets_a_receipt(scene: Scene) -> None:
    for number in range(1, 4):
        written = handler(scene.rotate())["Receipts"]
        assert written == [f"{folder_of(scene.arn)}/{number:09}.json"]
    receipts = scene.receipts()
    assert [each.version for each in receipts] == scene.tokens
    assert [each.replaced_version for each in receipts[1:]] == scene.tokens[:-1]
    newest = receipts[-1]
    assert [step.name for step in newest.steps] == [*STEPS]
    assert newest.passed_tests == ("testSecret",)
    assert (newest.secret, newest.function, newest.signing_key) == (scene.arn, scene.function, scene.key)
    assert (newest.rotator, newest.strategy) == ("postgres", "single")
    assert (newest.filled_later, newest.unknown, newest.code is None) == (False, (), False)


def test_a_receipt_contains_no_value(scene: Scene) -> None:
    handler(scene.rotate())
    (file,) = Bucket(scene.bucket).read()
    for stage in ("AWSCURRENT", "AWSPREVIOUS"):
        value = scene.secrets.get_secret_value(SecretId=scene.arn, VersionStage=stage)["SecretString"]
        assert json.loads(value)["password"] not in str(scene.receipts())
        assert value.encode() not in file.data


def test_a_repeated_event_writes_nothing(scene: Scene) -> None:
    event = scene.rotate()
    assert [len(handler(event)["Receipts"]) for _ in range(3)] == [1, 0, 0]
    assert len(scene.receipts()) == 1


def test_a_late_log_line_is_awaited(scene: Scene) -> None:
    event = scene.rotate(logged=())
    scene.on_wait = lambda: scene.log(scene.tokens[-1])
    scene.write(event)
    (receipt,) = scene.receipts()
    assert (len(receipt.steps), receipt.unknown) == (4, ())


def test_a_rotation_without_log_names_unknown_facts(scene: Scene) -> None:
    scene.write(scene.rotate(logged=()))
    (receipt,) = scene.receipts()
    assert (receipt.version, receipt.steps, receipt.passed_tests) == (scene.tokens[0], (), ())
    assert receipt.unknown == ("rotator", "steps", "code")


def test_a_lost_event_is_filled_at_the_next(scene: Scene) -> None:
    handler(scene.rotate())
    scene.rotate()
    scene.rotate()
    assert len(handler(scene.rotate())["Receipts"]) == 3
    assert [each.version for each in scene.receipts()] == scene.tokens
    assert [each.unknown for each in scene.receipts()] == [(), ("replacedVersion",), ("replacedVersion",), ()]


def test_the_daily_run_fills_lost_events(scene: Scene) -> None:
    handler(scene.rotate())
    lost = scene.rotate()
    assert len(scene.write(lost, late=True) or ()) == 1
    assert scene.write(lost, late=True) == []
    assert [each.filled_later for each in scene.receipts()] == [False, True]
    assert scene.chain().notes == ("receipt 2 was filled later",)


def test_code_that_changed_during_a_rotation_is_unknown(scene: Scene, client: Client) -> None:
    event = scene.rotate()
    client("lambda").update_function_configuration(FunctionName=scene.function, Description="changed")
    handler(event)
    (receipt,) = scene.receipts()
    assert (receipt.code, receipt.unknown) == (None, ("code",))


def test_concurrent_writers_keep_one_chain(scene: Scene) -> None:
    events = [scene.rotate() for _ in range(3)]
    together = threading.Barrier(6)

    def write(event: dict[str, Any]) -> int:
        together.wait()
        return len(scene.write(event) or ())

    with ThreadPoolExecutor(6) as pool:
        counts = list(pool.map(write, events * 2))
    assert sum(counts) <= 3
    assert [each.version for each in scene.receipts()] == scene.tokens


def test_a_disabled_key_delays_receipts_only(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    handler(scene.rotate())
    monkeypatch.setenv("RECEIPTS_KEY_ARN", scene.key.replace("key/", "key/00000000"))
    with pytest.raises(StoreError, match="Sign on "):
        handler(scene.rotate())
    monkeypatch.setenv("RECEIPTS_KEY_ARN", scene.key)
    handler(scene.rotate())
    assert [each.version for each in scene.receipts()] == scene.tokens


def test_a_missing_bucket_is_an_error(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    event = scene.rotate()
    monkeypatch.setenv("RECEIPTS_BUCKET", "no-such-bucket")
    with pytest.raises(StoreError, match="ListObjectVersions on no-such-bucket failed with NoSuchBucket"):
        handler(event)


def test_a_hidden_receipt_does_not_stop_the_chain(scene: Scene) -> None:
    (place,) = handler(scene.rotate())["Receipts"]
    scene.place_over(place)
    handler(scene.rotate())
    chain = scene.chain()
    assert [each.problem for each in chain.findings] == ["replaced"]
    assert [each.version for each in chain.receipts] == scene.tokens


def test_rotations_of_other_functions_are_ignored(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    event = scene.rotate()
    monkeypatch.setenv("ROTATE_FUNCTION_ARN", f"{scene.function}-other")
    assert handler(event) == {"Receipts": []}


def test_a_deleted_secret_gets_no_receipt(scene: Scene) -> None:
    event = scene.rotate()
    scene.secrets.delete_secret(SecretId=scene.arn, ForceDeleteWithoutRecovery=True)
    assert handler(event) == {"Receipts": []}


def test_a_missing_variable_is_a_configuration_error(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    event = scene.rotate()
    monkeypatch.delenv("RECEIPTS_KEY_ARN")
    with pytest.raises(ConfigurationError, match="RECEIPTS_KEY_ARN"):
        handler(event)


def test_the_log_says_what_was_written(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    event = scene.rotate()
    capsys.readouterr()
    handler(event)
    handler(event)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    said = [(line["outcome"], line["receipts"]) for line in lines if "outcome" in line]
    assert said == [("written", 1), ("nothing-missing", 0)]


def files(pattern: str) -> list[Any]:
    found = sorted(EVENTS.glob(pattern))
    assert found
    return [pytest.param(path, id=path.stem) for path in found]


@pytest.mark.parametrize("path", files("receipt-bad-*.json"))
def test_a_bad_success_event_writes_nothing(scene: Scene, path: Path) -> None:
    with pytest.raises(InvalidEvent):
        handler(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", files("receipt-rotation-*.json"))
def test_an_event_about_an_unknown_secret_is_ignored(scene: Scene, path: Path) -> None:
    assert handler(json.loads(path.read_text(encoding="utf-8"))) == {"Receipts": []}


def test_a_daily_event_without_lost_events_writes_nothing(scene: Scene) -> None:
    event = json.loads((EVENTS / "receipt-daily.json").read_text(encoding="utf-8"))
    answer = handler({**event, "time": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"})
    assert answer == {"Receipts": [], "Left": 0}
    assert scene.tokens == []
