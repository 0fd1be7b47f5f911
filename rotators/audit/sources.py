"""The files with CloudTrail's records: single files, folders, and buckets of S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from rotators.audit.errors import SourceUnreadable
from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.core.errors import StoreError
from rotators.core.folders import files_below, regular

_S3 = "s3://"
_DIGESTS = "CloudTrail-Digest"  # folder of the digests with which a trail's files are validated


@dataclass(frozen=True)
class AuditSource:
    """A file that may have records.

    Attributes:
        name: path, or ``s3://bucket/key``.
        opened: opens it for reading bytes, as a context manager. The call and each read may raise OSError or
            StoreError.
    """

    name: str
    opened: Callable[[], AbstractContextManager[IO[bytes]]]


def files(places: Sequence[str]) -> Iterator[AuditSource]:
    """Yield the files of all places, in the order of their names; a trail's digests are left out.

    Args:
        places: paths of files and folders, and ``s3://BUCKET/PREFIX``.

    Yields:
        Each file, not opened yet.

    Raises:
        SourceUnreadable: a place does not exist, or may not be listed.
    """
    for place in places:
        yield from _objects(place) if place.startswith(_S3) else _paths(place)


def _paths(place: str) -> Iterator[AuditSource]:
    path = Path(place)
    if path.is_dir():
        try:
            for found in files_below(path):
                if _DIGESTS not in found.relative_to(path).parts:
                    yield _file(found)
        except OSError as error:
            raise SourceUnreadable(f"{error.filename} could not be listed: {error.strerror}") from None
    elif path.is_file():
        yield _file(path)
    else:
        raise SourceUnreadable(f"{place} is neither a file nor a folder")


def _file(path: Path) -> AuditSource:
    return AuditSource(str(path), partial(regular, path))


def _objects(place: str) -> Iterator[AuditSource]:
    bucket, _, prefix = place.removeprefix(_S3).partition("/")
    try:
        with translated("ListObjectsV2", place):
            pages = clients.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for page in pages:
                for each in page.get("Contents", ()):
                    if not each["Key"].endswith("/") and f"/{_DIGESTS}/" not in each["Key"]:
                        yield AuditSource(
                            f"{_S3}{bucket}/{each['Key']}", partial(_object, bucket, each["Key"])
                        )
    except StoreError as error:
        raise SourceUnreadable(error.cause) from None


@contextmanager
def _object(bucket: str, key: str) -> Iterator[IO[bytes]]:
    with (
        translated("GetObject", f"{_S3}{bucket}/{key}"),
        closing(clients.s3().get_object(Bucket=bucket, Key=key)["Body"]) as body,
    ):
        yield body
