"""Buckets in the local CloudFormation. Moto's own ignores versions, Object Lock, blocks and policies."""

from __future__ import annotations

import contextlib
import json
from functools import partial

from rotators.local.cloudformation.resource import (
    Client,
    Make,
    Properties,
    StackResource,
    as_numbers,
    unless_gone,
)

_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def _bucket(client: Client, name: str, given: Properties) -> StackResource:
    """CFN/aws-resource-s3-bucket. A bucket with receipts is kept, so its deletion fails as on AWS."""
    storage, wanted = client("s3"), as_numbers(given)
    name = given.get("BucketName", name.lower())
    locked = bool(wanted.get("ObjectLockEnabled"))
    with contextlib.suppress(storage.exceptions.BucketAlreadyOwnedByYou):
        storage.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locked)
    if "VersioningConfiguration" in wanted:
        storage.put_bucket_versioning(Bucket=name, VersioningConfiguration=wanted["VersioningConfiguration"])
    if "ObjectLockConfiguration" in wanted:
        storage.put_object_lock_configuration(
            Bucket=name, ObjectLockConfiguration=wanted["ObjectLockConfiguration"]
        )
    if "BucketEncryption" in wanted:
        rules = [
            {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
            for rule in wanted["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        ]
        storage.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    if "PublicAccessBlockConfiguration" in wanted:
        blocks = {each: wanted["PublicAccessBlockConfiguration"].get(each, False) for each in _BLOCKS}
        storage.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=blocks)
    if "OwnershipControls" in wanted:
        storage.put_bucket_ownership_controls(Bucket=name, OwnershipControls=wanted["OwnershipControls"])
    return StackResource(name, {"Arn": f"arn:aws:s3:::{name}"}, partial(storage.delete_bucket, Bucket=name))


def _bucket_policy(client: Client, _name: str, given: Properties) -> StackResource:
    storage, bucket = client("s3"), given["Bucket"]
    storage.put_bucket_policy(Bucket=bucket, Policy=json.dumps(given["PolicyDocument"]))

    remove = partial(unless_gone, storage.delete_bucket_policy, Bucket=bucket)
    return StackResource(f"{bucket}-policy", {}, remove)


TYPES: dict[str, Make] = {"AWS::S3::Bucket": _bucket, "AWS::S3::BucketPolicy": _bucket_policy}
