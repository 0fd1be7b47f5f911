"""Records of CloudTrail with invented values, in the shapes of real ones."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from pathlib import Path
from typing import Any

ACCOUNT = "123456789012"
REGION = "us-east-1"
START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
Record = dict[str, Any]

_numbers = itertools.count(1)


def arn(name: str, suffix: str = "AbCdEf", region: str = REGION, account: str = ACCOUNT) -> str:
    """The ARN of a secret."""
    return f"arn:aws:secretsmanager:{region}:{account}:secret:{name}-{suffix}"


def role(name: str, session: str = "i-1") -> Record:
    """The identity of a session of a role (elastic/integrations, test-get-secret-value-json.log)."""
    issuer = {"type": "Role", "arn": f"arn:aws:iam::{ACCOUNT}:role/{name}", "accountId": ACCOUNT}
    return {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLE:{session}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}",
        "accountId": ACCOUNT,
        "sessionContext": {"sessionIssuer": issuer},
    }


def record(name: str, hours: float = 0, who: Record | None = None, **members: Any) -> Record:
    """A record of an API call, some hours after the start."""
    number = next(_numbers)
    return {
        "eventVersion": "1.09",
        "userIdentity": who or role("app"),
        "eventTime": f"{START + dt.timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "aws-cli/2",
        "requestParameters": None,
        "responseElements": None,
        "requestID": f"request-{number}",
        "eventID": f"event-{number}",
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        **members,
    }


def read(secret: str, hours: float = 0, who: Record | None = None, **parameters: Any) -> Record:
    """A GetSecretValue."""
    request = {"secretId": secret, **parameters}
    return record("GetSecretValue", hours, who, requestParameters=request)


def denied(secret: str, hours: float = 0, who: Record | None = None) -> Record:
    """A refused GetSecretValue (panther-labs, aws_secretsmanager_retrieve_secrets.yml)."""
    return {**read(secret, hours, who), "errorCode": "AccessDenied", "errorMessage": "not authorized"}


def promoted(secret: str, new: str, old: str | None, hours: float) -> Record:
    """The UpdateSecretVersionStage that ends a rotation."""
    request = {"secretId": secret, "versionStage": "AWSCURRENT", "moveToVersionId": new}
    request |= {"removeFromVersionId": old} if old else {}
    return record("UpdateSecretVersionStage", hours, role("rotate"), requestParameters=request)


def decrypted(secret_arn: str, hours: float, who: Record | None = None, version: str = "v1") -> Record:
    """KMS's record of a value that Secrets Manager decrypted (User Guide, security-encryption)."""
    context = {"SecretARN": secret_arn, "SecretVersionId": version}
    identity = {**(who or role("app")), "invokedBy": "secretsmanager.amazonaws.com"}
    members = {"eventSource": "kms.amazonaws.com", "requestParameters": {"encryptionContext": context}}
    return record("Decrypt", hours, identity, **members)


def save(path: Path, *records: object) -> str:
    """Write a log file; return its path."""
    path.write_text(json.dumps({"Records": records}), encoding="utf-8")
    return str(path)


def sample(folder: Path) -> None:
    """Write the records that docs/how-to/auditing.md asks about: 60 days, with an anomaly at the end."""
    shop, office, backup, rotate = map(role, ("shop", "office", "backup", "rotate"))
    db, api, billing = arn("prod/shop/db"), arn("prod/shop/api"), arn("prod/billing/db")
    pending = {"secretId": billing, "clientRequestToken": "b2", "versionStages": ["AWSPENDING"]}
    records = [
        record("CreateSecret", 0, role("deploy"), requestParameters={"name": "prod/shop/api"}),
        *(read("prod/shop/db", 24 * day, shop) for day in range(60)),
        *(read(api, 24 * day, shop) for day in range(20)),
        record("PutSecretValue", 480, rotate, requestParameters=pending),
        *(read(billing, 480 + hour, rotate, versionStage="AWSPENDING") for hour in range(2)),
        promoted(db, "v2", "v1", 720),
        *(read(db, 24 * day, office, versionStage="AWSPREVIOUS") for day in range(30, 34)),
        *(denied(api, 24 * day, office) for day in range(3)),
        *(read(db, 1_430 + number / 60, backup) for number in range(59)),
    ]
    folder.mkdir()
    save(folder / "2026-03.json", *records)
