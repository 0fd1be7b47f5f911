"""The receipts in their bucket: one folder per secret, one object per receipt, named by its number.

A number is taken by a conditional write (S3 guide, conditional-writes: ``If-None-Match``), so two writers
cannot both continue a chain at the same place. Of each object, its first version counts: Object Lock keeps
it, whatever is written or deleted afterwards.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from botocore.exceptions import ClientError

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.receipts.envelope import LONGEST_FILE

_LONGEST_WORD = 40
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict")


@dataclass(frozen=True)
class Stored:
    """A file among the receipts.

    Attributes:
        place: folder and name, such as ``prod-db-AbCdEf-…/000000001.json``.
        data: its bytes.
        replaced: True if the bucket has a later version of it, or a deletion.
    """

    place: str
    data: bytes
    replaced: bool = False


@dataclass(frozen=True)
class _Object:
    """The first version of an object."""

    key: str
    version: str
    replaced: bool


def folder_of(arn: str) -> str:
    """Return the name of a secret's folder: readable, and different for each ARN.

    Args:
        arn: of the secret.
    """
    words = re.sub(r"[^A-Za-z0-9]+", "-", arn.rpartition(":")[2])[-_LONGEST_WORD:].strip("-")
    return f"{words}-{hashlib.sha256(arn.encode()).hexdigest()[:16]}"


def place_of(arn: str, number: int) -> str:
    """Return the place of a receipt.

    Args:
        arn: of the secret.
        number: of the receipt.
    """
    return f"{folder_of(arn)}/{number:09}.json"


def number_in(place: str) -> int | None:
    """Return the number in the name of a receipt's file; None if it is not the name of one.

    Args:
        place: folder and name.
    """
    found = re.fullmatch(r"(?:.*/)?(\d{9})\.json", place)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class Bucket:
    """A bucket with receipts.

    Attributes:
        name: of the bucket.
        prefix: beginning of all keys, such as ``audit/``; the function uses none.
    """

    name: str
    prefix: str = ""

    def read(self) -> Iterator[Stored]:
        """Yield all files.

        Raises:
            StoreError: the bucket cannot be read.
        """
        for each in self._objects(self.prefix):
            yield self._file(each)

    def newest(self, arn: str) -> Stored | None:
        """Return the receipt of a secret with the highest number, or None.

        Args:
            arn: of the secret.

        Raises:
            StoreError: the bucket cannot be read.
        """
        listed = self._objects(f"{self.prefix}{folder_of(arn)}/")
        receipts = [each for each in listed if number_in(each.key) is not None]
        return self._file(receipts[-1]) if receipts else None

    def create(self, place: str, data: bytes) -> bool:
        """Write a file that must not exist.

        Args:
            place: folder and name.
            data: its bytes.

        Returns:
            True if it was written; False if the place is taken.

        Raises:
            StoreError: the bucket refused it.
        """
        with translated("PutObject", self.name):
            try:
                clients.storage().put_object(
                    Bucket=self.name,
                    Key=self.prefix + place,
                    Body=data,
                    ContentType="application/json",
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if error.response["Error"]["Code"] not in _TAKEN:
                    raise
                return False
        return True

    def _objects(self, prefix: str) -> list[_Object]:
        versions: dict[str, list[dict[str, Any]]] = {}
        deleted: set[str] = set()
        pages = clients.storage().get_paginator("list_object_versions")
        with translated("ListObjectVersions", self.name):
            for page in pages.paginate(Bucket=self.name, Prefix=prefix):
                for each in page.get("Versions", []):
                    versions.setdefault(each["Key"], []).append(each)
                deleted.update(each["Key"] for each in page.get("DeleteMarkers", []))
        found = []
        for key in sorted(versions):
            # S3 lists the newest version first; of the same second, the order of the list decides.
            first = min(reversed(versions[key]), key=itemgetter("LastModified"))
            found.append(_Object(key, first["VersionId"], len(versions[key]) > 1 or key in deleted))
        return found

    def _file(self, found: _Object) -> Stored:
        with translated("GetObject", f"{self.name}/{found.key}"):
            answer = clients.storage().get_object(Bucket=self.name, Key=found.key, VersionId=found.version)
            data: bytes = answer["Body"].read(LONGEST_FILE + 1)
        return Stored(found.key.removeprefix(self.prefix), data, found.replaced)
