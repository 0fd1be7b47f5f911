"""The receipt handler: receipts on time, filled gaps, concurrent writers, and failures of AWS."""

from __future__ import annotations

import datetime as dt
import functools
import json
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from functions.receipt import handler
from rotators.core.errors import AccessDenied, ConfigurationError, InvalidEvent, KeyUnusable, StoreError
from rotators.local.aws import LocalAws
from rotators.receipts.errors import ReceiptsMissing
from rotators.receipts.storage import folder_of
from tests.receipts.chains import Key
from tests.receipts.scene import STEPS, Client, Scene, registered
from tests.world import unique

EVENTS = Path(__file__).parents[2] / "events"


@dataclass(frozen=True)
class Context:
    """Lambda's context, with the time that is left."""

    milliseconds: int

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@pytest.fixture(scope="module")
def client(aws: LocalAws) -> Client:
    """A function that returns clients; each is created once, because this takes half a second."""
    return functools.cache(aws.client)


@pytest.fixture(scope="module")
def function(aws: LocalAws, client: Client) -> str:
    return registered(aws, client)


@pytest.fixture
def alone(aws: LocalAws, client: Client, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A scene whose secret is the only one of its function."""
    return Scene(aws, client, registered(aws, client), monkeypatch)


@pytest.fixture
def scene(aws: LocalAws, client: Client, function: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(aws, client, function, monkeypatch)


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


def test_the_daily_run_fills_lost_events(alone: Scene) -> None:
    handler(alone.rotate())
    alone.rotate()
    alone.rotate()
    (listed,) = handler({"Fill": True, "DryRun": True})["Missing"]
    assert (listed["SecretId"], listed["Receipts"]) == (alone.arn, 2)
    assert [len(handler({"Fill": True})["Receipts"]) for _ in range(2)] == [2, 0]
    assert handler({"Fill": True, "DryRun": True}) == {"Missing": [], "Left": 0}
    assert [each.version for each in alone.receipts()] == alone.tokens
    assert [each.filled_later for each in alone.receipts()] == [False, True, True]
    assert alone.chain().notes[-1] == "receipt 3 was written later"


def test_a_run_without_time_skips_secrets(alone: Scene) -> None:
    alone.rotate()
    context = Context(59_000)
    assert handler({"Fill": True}, context) == {"Receipts": [], "Left": 1}
    assert handler({"Fill": True, "DryRun": True}, context) == {"Missing": [], "Left": 1}


def test_one_bad_chain_does_not_stop_the_others(alone: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bucket's policy denies one folder in the meantime."""
    alone.rotate()
    bad = alone.arn
    alone.name = unique("app/other")
    alone.create()
    alone.rotate()
    with alone.denied(bad):
        with pytest.raises(ReceiptsMissing, match=f"1 receipt was written, but not those of {bad} \\("):
            handler({"Fill": True})
        (listed,) = handler({"Fill": True, "DryRun": True})["Missing"]
        assert (listed["SecretId"], listed["Receipts"]) == (bad, 1)
    assert len(handler({"Fill": True})["Receipts"]) == 1
    assert handler({"Fill": True, "DryRun": True})["Missing"] == []


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
    scene.put(1, b"{}")
    scene.hide(place)
    handler(scene.rotate())
    chain = scene.chain()
    assert [each.problem for each in chain.findings] == ["replaced"]
    assert [each.version for each in chain.receipts] == scene.tokens


def test_a_taken_number_does_not_stop_the_chain(scene: Scene) -> None:
    """Somebody can write into the bucket, but not sign."""
    handler(scene.rotate())
    scene.put(2, b"taken")
    scene.put(999_999_999, b"taken")
    handler(scene.rotate())
    handler(scene.rotate())
    chain = scene.chain()
    assert [(each.problem, each.place[-14:-5]) for each in chain.findings] == [
        ("unreadable", "000000002"),
        ("unreadable", "999999999"),
        ("missing", "000000005"),
    ]
    assert [each.version for each in chain.receipts] == scene.tokens


def test_a_forged_receipt_suppresses_none(scene: Scene) -> None:
    """Its content claims that it is the newest forever.

    It has the name of the key, but another key signed it.
    """
    handler(scene.rotate())
    event = scene.rotate()
    (receipt,) = scene.receipts()
    forged = {"number": 2, "version": scene.tokens[-1], "rotated": receipt.rotated.replace(year=2099)}
    scene.put(2, Key().sign(receipt.model_copy(update=forged)))
    assert len(handler(event)["Receipts"]) == 1
    chain = scene.chain()
    assert [each.problem for each in chain.findings] == ["forged"]
    assert [each.version for each in chain.receipts] == scene.tokens


def test_a_copied_receipt_suppresses_none(scene: Scene) -> None:
    """A genuine one at another place, and one of another secret at this secret's."""
    handler(scene.rotate())
    handler(scene.rotate())
    genuine, newest = scene.files()
    scene.put(3, newest.data)
    first, tokens = scene.arn, [*scene.tokens]
    scene.name, scene.tokens = unique("app/other"), []
    scene.create()
    scene.put(1, genuine.data)
    handler(scene.rotate())
    assert [each.version for each in scene.chain().receipts] == [tokens[0], *scene.tokens]
    assert {each.problem for each in scene.chain().findings} == {"misplaced"}
    scene.arn = first
    handler(scene.rotate())
    assert [each.version for each in scene.chain().receipts] == [*tokens, tokens[1], scene.tokens[-1]]


def test_events_out_of_order_write_receipts_in_order(scene: Scene) -> None:
    first, second, third = (scene.rotate() for _ in range(3))
    counts = [len(handler(event)["Receipts"]) for event in (second, third, first, second)]
    assert sum(counts) == 3
    assert [each.version for each in scene.receipts()] == scene.tokens


def test_a_recreated_secret_begins_its_own_chain(scene: Scene) -> None:
    old, event = scene.arn, scene.rotate()
    handler(event)
    scene.secrets.delete_secret(SecretId=scene.arn, ForceDeleteWithoutRecovery=True)
    scene.create()
    event["detail"]["additionalEventData"] = {"SecretId": scene.name}  # some events have the name
    assert scene.write(event) == []
    handler(scene.rotate())
    assert [(each.number, each.previous) for each in scene.receipts()] == [(1, None)]
    scene.arn = old
    assert [each.version for each in scene.receipts()] == scene.tokens[:1]


def test_a_new_key_continues_the_chain(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not believe the receipts of the old one, and writes those of the last days again."""
    old, new = scene.key, scene.new_key()
    handler(scene.rotate())
    monkeypatch.setenv("RECEIPTS_KEY_ARN", new)
    handler(scene.rotate())
    handler(scene.rotate())
    both = scene.chain(old, new)
    first, second, third = scene.tokens
    assert both.findings == ()
    assert [each.version for each in both.receipts] == [first, first, second, third]
    assert "receipts 1 and 2 are about the same version" in both.notes
    assert [each.problem for each in scene.chain(new).findings] == ["forged"]


def test_a_disabled_key_is_a_coded_error(scene: Scene) -> None:
    handler(scene.rotate())
    event = scene.rotate()
    scene.kms.disable_key(KeyId=scene.key)
    with pytest.raises(KeyUnusable) as error:
        handler(event)
    assert error.value.remedy.startswith("Enable the key that signs receipts")
    scene.kms.enable_key(KeyId=scene.key)
    handler(event)
    assert [each.version for each in scene.receipts()] == scene.tokens


def test_a_refused_write_leaves_a_chain_to_continue(scene: Scene) -> None:
    handler(scene.rotate())
    scene.rotate()
    event = scene.rotate()
    with scene.denied(scene.arn), pytest.raises(AccessDenied, match="bucket's policy"):
        handler(event)
    handler(event)
    assert [each.version for each in scene.receipts()] == scene.tokens


def test_odd_lines_in_the_log_stop_no_receipt(scene: Scene) -> None:
    event = scene.rotate(logged=STEPS[:3])
    line = {"secret": scene.arn, "token": scene.tokens[0], "step": "finishSecret", "outcome": "done"}
    durations: list[object] = [math.inf, math.nan, -math.inf, 10**400, -1, [], "1"]
    lines = [json.dumps({**line, "duration_ms": each}) for each in durations]
    deep = f'{{"secret": "{scene.arn}", "deep": {"[" * 20_000}'
    scene.log_messages(deep, *lines, since=int(time.time() * 1000))
    handler(event)
    (receipt,) = scene.receipts()
    assert [step.ended - step.started for step in receipt.steps[3:]] == [dt.timedelta(0)]


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


def test_the_log_describes_what_was_written(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
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
