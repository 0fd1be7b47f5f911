"""What the cold start of createSecret leaves out: drivers, and the search for garbage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid

import pytest

from rotators.cli.engines import known_engines
from rotators.local.aws import LocalAws
from tests.libraries import drivers
from tests.world import new_password, unique

pytestmark = pytest.mark.processes

CODE = """
import json, sys
from functions.rotate import handler
for event in json.loads(sys.argv[1]):
    handler(event)
print(*sys.modules)
"""

SEARCHES = """
import gc, json, sys
from functions.rotate import handler
before = gc.get_stats()
handler(json.loads(sys.argv[1]))
import psycopg
print(gc.get_stats() == before)
"""

SEPARATORS = {"elasticache": ":", "memorydb": "/"}
"""The character before the user's name in its ARN; other engines ignore the ARN."""


def event(aws: LocalAws, engine: str, admin: str) -> dict[str, str]:
    """The event of createSecret for a new secret of an engine."""
    value = {
        "engine": engine,
        "host": "db",
        "username": "app@example.org",
        "password": new_password(),
        "masterarn": admin,
        "user_arn": f"arn:aws:{engine}:us-east-1:123456789012:user{SEPARATORS.get(engine)}app",
    }
    secrets = aws.client("secretsmanager")
    arn = secrets.create_secret(Name=unique("secret"), SecretString=json.dumps(value))["ARN"]
    aws.enable_rotation(arn)
    token = str(uuid.uuid4())
    aws.stage(arn, token)
    return {"Step": "createSecret", "SecretId": arn, "ClientRequestToken": token}


def run(aws: LocalAws, code: str, argument: str) -> list[str]:
    """Run code in a new process, as in a cold start; return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, argument],
        env={**os.environ, **aws.exports(), "AWS_REGION": "us-east-1", "CACHE_HOSTS": "db:6379"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_no_engine_imports_a_driver_in_createsecret(aws: LocalAws) -> None:
    # Some engines need an admin, and others refuse one.
    engines = {row["engine"]: "" if row["default"] else "admin" for row in known_engines()}
    events = json.dumps([event(aws, engine, admin) for engine, admin in engines.items()])
    *lines, modules = run(aws, CODE, events)
    stored = [json.loads(line) for line in lines if '"level"' in line]
    assert {line["rotator"] for line in stored if line["outcome"] == "done"} == engines.keys()
    assert not drivers().intersection(modules.split())
    assert not {"rotators.receipts", "securesystemslib"}.intersection(modules.split())


def test_a_cold_start_searches_no_garbage(aws: LocalAws) -> None:
    """Also not while setSecret imports a driver."""
    *_, as_before = run(aws, SEARCHES, json.dumps(event(aws, "postgres", "")))
    assert as_before == "True"
