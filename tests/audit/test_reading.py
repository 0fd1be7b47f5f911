"""JSON values in files of any shape, whole or damaged."""

from __future__ import annotations

import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.audit import reading
from rotators.audit.reading import Damage, values

RECORDS = [{"eventVersion": "1.09", "eventID": str(number), "text": 'a "{b}" \\ ü'} for number in range(20)]
SHAPES = {
    "log file": json.dumps({"Records": RECORDS}),
    "indented": json.dumps({"Records": RECORDS}, indent=2),
    "lines": "\n".join(map(json.dumps, RECORDS)),
    "lines without a break": "".join(map(json.dumps, RECORDS)),
    "list": json.dumps(RECORDS)[1:-1],
    "more members": json.dumps({"Records": RECORDS, "NextToken": "x", "more": {"a": [1]}}),
    "more files": json.dumps({"Records": RECORDS[:9]}) + json.dumps({"Records": RECORDS[9:]}),
}


def found(content: bytes) -> list[object]:
    return list(values(io.BytesIO(content)))


@pytest.fixture(autouse=True, params=[1 << 20, 7], ids=["piece", "small pieces"])
def piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PIECE", request.param)


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_every_shape_of_file_is_read(text: str, packed: bool) -> None:
    content = text.encode()
    assert found(gzip.compress(content) if packed else content) == RECORDS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_are_detected(encoding: str) -> None:
    text = json.dumps({"Records": RECORDS}, ensure_ascii=False)
    assert found(text.encode(encoding)) == RECORDS


def test_joined_and_padded_gzip_files_are_read() -> None:
    halves = [gzip.compress(json.dumps({"Records": half}).encode()) for half in (RECORDS[:5], RECORDS[5:])]
    assert found(b"".join(halves) + bytes(100)) == RECORDS


@pytest.mark.parametrize("name", ["log file", "indented", "lines", "more members"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_truncated_file_keeps_its_beginning(name: str, packed: bool) -> None:
    content = SHAPES[name].encode()
    content = gzip.compress(content) if packed else content
    for end in range(20, len(content) - 5, 61):
        *records, last = found(content[:end])
        kept = [each for each in [*records, last] if not isinstance(each, Damage)]
        assert kept == RECORDS[: len(kept)]
        if name != "lines" or packed:
            assert isinstance(last, Damage)
            assert last.code == "truncated"


@pytest.mark.parametrize("name", ["log file", "indented", "lines"])
def test_damage_in_the_middle_loses_one_record(name: str) -> None:
    broken = SHAPES[name].replace('"eventID": "7"', '"eventID": ,"7"')
    got = found(broken.encode())
    assert [each for each in got if not isinstance(each, Damage)] == RECORDS[:7] + RECORDS[8:]
    assert [each.code for each in got if isinstance(each, Damage)] == ["not-json"]


def test_a_truncated_line_loses_one_record() -> None:
    lines = SHAPES["lines"].split("\n")
    lines[3] = lines[3][:-9]
    got = found("\n".join(lines).encode())
    assert [each for each in got if not isinstance(each, Damage)] == RECORDS[:3] + RECORDS[4:]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\xff", "not-json"),
        (b"\x1f\x8b\x08\x00 this is no gzip at all", "not-gzip"),
        (b"PK\x03\x04 a zip file", "not-json"),
        (b"BZh91AY&SY another compression", "not-json"),
        (b"[" * 100_000, "not-json"),
        (b'{"a":' * 100_000, "not-json"),
        (b'{"Records": [', "truncated"),
        (b'{"Records": [{"eventVersion": "1', "truncated"),
        (b'{"eventVersion"', "truncated"),
    ],
)
def test_other_content_is_named(content: bytes, code: str) -> None:
    assert {each.code for each in found(content) if isinstance(each, Damage)} == {code}


def test_numbers_that_python_refuses_are_texts() -> None:
    digits = "9" * 5_000
    assert found(f'{{"a": {digits}, "b": NaN, "c": 1e999}}'.encode()) == [
        {"a": digits, "b": "NaN", "c": "1e999"}
    ]


def test_a_value_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PIECE", 100)
    monkeypatch.setattr(reading, "_LARGEST", 2_000)
    content = json.dumps({"text": "x" * 5_000}) + "\n" + json.dumps(RECORDS[0])
    damage, last = found(content.encode())
    assert isinstance(damage, Damage)
    assert damage.cause == "a value is larger than 64 MB"
    assert last == RECORDS[0]


def test_a_file_of_damages_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST_DAMAGES", 3)
    damages = found(b"{\n" * 3 + b'{"a": 1}' + b" " * 100)
    assert [isinstance(each, Damage) and each.cause for each in damages] == ["this is not JSON"] * 3 + [
        "3 places are damaged; the rest was not read"
    ]


@given(st.binary(max_size=300))
def test_any_bytes_end_without_an_exception(content: bytes) -> None:
    found(content)
    found(b'{"Records": [' + content)
    found(gzip.compress(content)[:-3])
