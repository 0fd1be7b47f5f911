"""The unmodified AWS CLI against the local AWS."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rotators.local import staging
from rotators.local.aws import LocalAws
from tests.local.kms_keys import openssl, signing_key

Cli = Callable[..., Any]


@pytest.fixture
def cli(aws: LocalAws, tmp_path: Path) -> Cli:
    """Run `aws …`; return its JSON answer."""

    def run(*arguments: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "awscli", *arguments, "--output", "json"],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **aws.exports()},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


def test_a_secret_is_created_rotated_and_listed(aws: LocalAws, cli: Cli) -> None:
    created = cli(
        "secretsmanager", "create-secret", "--name", "cli/db", "--secret-string", '{"password":"p"}'
    )
    arn = aws.function_arn("well")
    rotated = cli(
        "secretsmanager", "rotate-secret", "--secret-id", "cli/db",
        "--rotation-lambda-arn", arn, "--rotation-rules", "ScheduleExpression=rate(10 days),Duration=2h",
    )  # fmt: skip
    assert rotated["ARN"] == created["ARN"]
    assert aws.wait_for_rotation("cli/db", rotated["VersionId"], 60).ok
    listed = cli("secretsmanager", "list-secret-version-ids", "--secret-id", "cli/db")
    stages = {version["VersionId"]: version["VersionStages"] for version in listed["Versions"]}
    assert stages == {rotated["VersionId"]: ["AWSCURRENT"], created["VersionId"]: ["AWSPREVIOUS"]}
    described = cli("secretsmanager", "describe-secret", "--secret-id", "cli/db")
    assert described["RotationRules"] == {"ScheduleExpression": "rate(10 days)", "Duration": "2h"}


def test_a_function_is_invoked(cli: Cli, tmp_path: Path) -> None:
    answer = cli(
        "lambda", "invoke", "--function-name", "rotators-echo", "--payload", '{"from": "cli"}',
        "out.json",
    )  # fmt: skip
    assert answer["StatusCode"] == 200
    assert json.loads((tmp_path / "out.json").read_text())["event"] == {"from": "cli"}


def test_the_last_event_is_looked_up(cli: Cli, make: Callable[..., str]) -> None:
    arn = make()
    (event,) = cli("cloudtrail", "lookup-events", "--max-items", "1")["Events"]
    assert event["EventSource"] == "secretsmanager.amazonaws.com"
    assert arn in event["CloudTrailEvent"]


def test_a_digest_is_signed(aws: LocalAws, cli: Cli, tmp_path: Path) -> None:
    message = b"signed through the AWS CLI"
    kms = aws.client("kms")
    key = signing_key(kms, "ECC_NIST_P256")
    (tmp_path / "digest").write_bytes(hashlib.sha256(message).digest())
    signed = cli(
        "kms", "sign", "--key-id", key, "--message", "fileb://digest", "--message-type", "DIGEST",
        "--signing-algorithm", "ECDSA_SHA_256",
    )  # fmt: skip
    public = kms.get_public_key(KeyId=key)["PublicKey"]
    said = openssl(
        tmp_path, "dgst", "-sha256", "-verify", "public", "-keyform", "DER", "-signature", "signature",
        "message", public=public, signature=base64.b64decode(signed["Signature"]), message=message,
    )  # fmt: skip
    assert said == b"Verified OK\n"


def test_another_process_can_stage_a_version(
    aws: LocalAws, make: Callable[..., str], stages: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.exports().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", raising=False)
    arn, token = make(), "5700e000-0000-4000-8000-000000000001"
    assert staging.stage(arn, token)
    assert stages(arn)[token] == ["AWSPENDING"]
    assert not staging.stage("nobody", token)


@pytest.mark.parametrize(
    "endpoint", ["", "https://secretsmanager.us-east-1.amazonaws.com", "http://127.0.0.1:1"]
)
def test_other_endpoints_stage_nothing(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert not staging.stage("some/secret", "5700e000-0000-4000-8000-000000000001")
