"""The receipts in their bucket: one folder per secret, one object per receipt, named by its number.

A number is taken by a conditional write (S3 guide, conditional-writes: ``If-None-Match``), so two writers
cannot both continue a chain at the same place. The first version of each object counts: Object Lock keeps it,
even if the object is overwritten or deleted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from rotators.aws import clients
from rotators.receipts.envelope import LONGEST_FILE
from rotators.receipts.errors import calling

_LONGEST_WORD = 40
_REMEDY = (
    "Permit the caller s3:ListBucketVersions and s3:GetObjectVersion in this bucket, and the receipt "
    "function also s3:PutObject; also look for a Deny in the bucket's policy."
)
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict")


@dataclass(frozen=True)
class StoredReceipt:
    """A file among the receipts.

    Attributes:
        place: folder and name, such as ``prod-db-AbCdEf-…/000000001.json``.
        data: its bytes.
        replaced: True if the bucket has a later version of it, or a deletion.
        error: reason why it could not be read, in which case its bytes are empty.
    """

    place: str
    data: bytes
    replaced: bool = False
    error: str = ""


@dataclass(frozen=True)
class Listed:
    """The first version of an object, not read yet."""

    key: str
    version: str
    replaced: bool


def folder_of(arn: str) -> str:
    """Return the name of a secret's folder: readable, and different for each ARN.

    Args:
        arn: ARN of the secret.
    """
    words = re.sub(r"[^A-Za-z0-9]+", "-", arn.rpartition(":")[2])[-_LONGEST_WORD:].strip("-")
    return f"{words}-{hashlib.sha256(arn.encode()).hexdigest()[:16]}"


def place_of(arn: str, number: int) -> str:
    """Return the place of a receipt.

    Args:
        arn: ARN of the secret.
        number: number of the receipt.
    """
    return f"{folder_of(arn)}/{number:09}.json"


def number_in(place: str) -> int | None:
    """Return the number in the name of a receipt's file; None if it is not the name of one.

    Args:
        place: folder and name.

    Returns:
        The number, which has nine digits in the name.
    """
    found = re.fullmatch(r"(?:.*/)?(\d{9})\.json", place)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class Bucket:
    """A bucket with receipts.

    Attributes:
        name: name of the bucket.
        prefix: beginning of all keys, such as ``audit/``; the function uses none.
    """

    name: str
    prefix: str = ""

    def read(self) -> Iterator[StoredReceipt]:
        """Yield all files.

        Yields:
            Each file with its bytes, or with the error why it could not be read.

        Raises:
            StoreError: the bucket cannot be read.
        """
        for each in self._objects(self.prefix):
            yield self.file(each)

    def numbered(self, arn: str) -> dict[int, Listed]:
        """List the files of a secret that have the name of a receipt.

        Args:
            arn: ARN of the secret.

        Returns:
            The files by number.

        Raises:
            StoreError: the bucket cannot be read.
        """
        listed = self._objects(f"{self.prefix}{folder_of(arn)}/")
        numbers = ((number_in(each.key), each) for each in listed)
        return {number: each for number, each in numbers if number is not None}

    def file(self, listed: Listed) -> StoredReceipt:
        """Read a file.

        Args:
            listed: an object of this bucket.

        Returns:
            Its bytes, at most one more than a receipt can have.

        Raises:
            StoreError: it cannot be read.
        """
        with calling("GetObject", f"{self.name}/{listed.key}", _REMEDY):
            answer = clients.s3().get_object(Bucket=self.name, Key=listed.key, VersionId=listed.version)
            data: bytes = answer["Body"].read(LONGEST_FILE + 1)
        return StoredReceipt(listed.key.removeprefix(self.prefix), data, listed.replaced)

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
        with calling("PutObject", self.name, _REMEDY):
            try:
                clients.s3().put_object(
                    Bucket=self.name,
                    Key=self.prefix + place,
                    Body=data,
                    ContentType="application/json",
                    ChecksumAlgorithm="SHA256",  # Object Lock requires it (API:PutObject)
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if error.response["Error"]["Code"] not in _TAKEN:
                    raise
                return False
        return True

    def _objects(self, prefix: str) -> list[Listed]:
        versions: dict[str, list[dict[str, Any]]] = {}
        deleted: set[str] = set()
        pages = clients.s3().get_paginator("list_object_versions")
        with calling("ListObjectVersions", self.name, _REMEDY):
            for page in pages.paginate(Bucket=self.name, Prefix=prefix):
                for each in page.get("Versions", []):
                    versions.setdefault(each["Key"], []).append(each)
                deleted.update(each["Key"] for each in page.get("DeleteMarkers", []))
        # S3 lists the newest version first (API:ListObjectVersions).
        return [
            Listed(key, listed[-1]["VersionId"], len(listed) > 1 or key in deleted)
            for key, listed in sorted(versions.items())
        ]
