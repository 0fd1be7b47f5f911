"""Files with records: single ones, folders, and buckets of the local AWS."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rotators.audit.errors import AuditFailed, SourceUnreadable
from rotators.audit.questions import who
from rotators.audit.sources import files
from rotators.audit.table import Coverage, opened
from rotators.local.aws import LocalAws
from tests.audit.trail import read, save
from tests.world import unique

pytestmark = pytest.mark.duckdb

KEY = "AWSLogs/123456789012/CloudTrail/us-east-1/2026/03/01/log.json.gz"


def reads(*places: str) -> tuple[int, Coverage]:
    with opened() as table:
        table.load(files(places))
        return sum(row["reads"] for row in table.ask(who("app")).rows), table.coverage


def packed(*records: object) -> bytes:
    return gzip.compress(json.dumps({"Records": records}).encode())


def test_a_folder_is_read_with_its_folders(tmp_path: Path) -> None:
    inner = tmp_path / "2026" / "03"
    inner.mkdir(parents=True)
    (inner / "a.json.gz").write_bytes(packed(read("app"), read("app")))
    (inner / "named-otherwise").write_bytes(packed(read("app")))
    save(tmp_path / "b.json", read("app"))
    count, coverage = reads(str(tmp_path))
    assert (count, coverage.files, coverage.complete) == (4, 3, True)


def test_a_damaged_file_hides_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(packed(read("app"))[:-20])
    (tmp_path / "b.txt").write_text("Hello")
    (tmp_path / "c.json").touch()
    (tmp_path / "d.json").symlink_to(tmp_path / "missing")
    save(tmp_path / "e.json", read("app"), {**read("app"), "eventTime": "soon"}, read("app"))
    count, coverage = reads(str(tmp_path))
    gaps = {Path(gap.file).name: gap.code for gap in coverage.gaps}
    assert count == 2
    assert gaps == {
        "a.json.gz": "truncated",
        "b.txt": "not-json",
        "c.json": "truncated",
        "d.json": "unreadable",
        "e.json": "incomplete",
    }


def test_links_are_followed_and_pipes_are_not(tmp_path: Path) -> None:
    """Neither may a part be missing without a word, nor may a pipe stop the command."""
    for name in ("source", "elsewhere"):
        (tmp_path / name).mkdir()
    save(tmp_path / "elsewhere" / "log.json", read("app"))
    (tmp_path / "source" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "source")
    os.mkfifo(tmp_path / "source" / "pipe")
    count, coverage = reads(str(tmp_path / "source"))
    assert (count, coverage.files) == (1, 2)
    assert [(gap.code, gap.cause) for gap in coverage.gaps] == [
        ("unreadable", "the file could not be read: it is not a regular file")
    ]


def test_the_same_answer_comes_again(tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(packed(*(read("app") for _ in range(9)))[:-20])
    save(tmp_path / "b.json", read("app"))
    assert reads(str(tmp_path)) == reads(str(tmp_path))


def test_gaps_are_counted_beyond_those_listed(tmp_path: Path) -> None:
    for number in range(120):
        (tmp_path / f"{number}.txt").write_text("Hello")
    save(tmp_path / "log.json", read("app"))
    _, coverage = reads(str(tmp_path))
    assert (len(coverage.gaps), coverage.gap_count) == (100, 120)


def test_a_missing_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="is neither a file nor a folder"):
        reads(str(tmp_path / "missing"))


def test_many_records_are_inserted_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rotators.audit.table._BATCH", 2_000)
    path = save(tmp_path / "log.json", *(read("app") for _ in range(50)))
    assert reads(path)[0] == 50


def test_nothing_stays_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "log.json", read("app"))
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    with opened() as table:
        table.load(files([path]))
        (folder,) = place.iterdir()
        assert folder.stat().st_mode & 0o077 == 0
    assert list(place.iterdir()) == []


def test_too_little_memory_is_a_coded_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rotators.audit.table._MEMORY", "1MB")
    path = save(tmp_path / "log.json", *(read("app") for _ in range(2_000)))
    with pytest.raises(AuditFailed, match="OutOfMemory"):
        reads(path)


def test_an_interrupted_question_is_an_interruption() -> None:
    """DuckDB reports Ctrl-C with this error."""
    with pytest.raises(KeyboardInterrupt), opened():
        raise RuntimeError("Query interrupted")


# --- S3


@pytest.fixture
def bucket(aws: LocalAws) -> Iterator[Any]:
    """A bucket of the local AWS, with a function that stores objects in it."""
    client, name = aws.client("s3"), unique("trail").replace("/", "-").replace("_", "-").lower()
    client.create_bucket(Bucket=name)

    def put(key: str, content: bytes) -> str:
        client.put_object(Bucket=name, Key=key, Body=content)
        return f"s3://{name}"

    yield put
    for each in client.list_objects_v2(Bucket=name).get("Contents", ()):
        client.delete_object(Bucket=name, Key=each["Key"])
    client.delete_bucket(Bucket=name)


def test_a_bucket_is_read_below_its_prefix(bucket: Any) -> None:
    place = bucket(KEY, packed(read("app"), read("app")))
    bucket("AWSLogs/123456789012/CloudTrail-Digest/us-east-1/digest.json.gz", b"{")
    bucket("AWSLogs/123456789012/CloudTrail/", b"")
    bucket("other/log.json", packed(read("app")))
    assert reads(place)[0] == 3
    count, coverage = reads(f"{place}/AWSLogs/")
    assert (count, coverage.files, coverage.complete) == (2, 1, True)


def test_a_damaged_object_is_a_gap(bucket: Any) -> None:
    place = bucket(KEY, packed(read("app")))
    bucket("AWSLogs/cut.json.gz", packed(read("app"))[:-20])
    count, coverage = reads(place)
    assert count == 1
    assert [(gap.file, gap.code) for gap in coverage.gaps] == [(f"{place}/AWSLogs/cut.json.gz", "truncated")]


def test_an_object_that_disappears_is_a_gap(bucket: Any, aws: LocalAws) -> None:
    place = bucket(KEY, packed(read("app")))
    bucket("zz.json", packed(read("app")))
    sources = files([place])
    first = next(sources)
    aws.client("s3").delete_object(Bucket=place.removeprefix("s3://"), Key="zz.json")
    with opened() as table:
        table.load([first, *sources])
        (gap,) = table.coverage.gaps
    assert (gap.code, gap.file) == ("unreadable", f"{place}/zz.json")
    assert "NoSuchKey" in gap.cause


@pytest.mark.usefixtures("aws")
def test_a_missing_bucket_is_an_error() -> None:
    with pytest.raises(SourceUnreadable, match="NoSuchBucket"):
        reads("s3://no-bucket-of-this-name")
