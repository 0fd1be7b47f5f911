r"""Sessions in the documentation: commands after ``$ ``, and their output, in a block without a language.

The test files of the pages compare them with what the commands print. After an intended change, run the tests
with UPDATE_DOCS=1, which writes the blocks again. To document a command, write its line into a block, such as
``$ rotators list``, and do the same.

As a program (``python -m tests.cli.documented``), this module runs the lines of one page, given as JSON on
stdin, on its own local AWS with the secrets in SECRETS; the folder ``trail`` has records of CloudTrail.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rotators.cli import output
from rotators.local.aws import LocalAws
from tests.audit.trail import sample
from tests.cli.command import command

ROOT = Path(__file__).parents[2]
SESSION = re.compile(r"^```\n(?=\$ )(.*?)\n```$", re.MULTILINE | re.DOTALL)

# The version of the policy language stays, because it is not a time.
_MOMENT = re.compile(r"\b(?!2012-10-17)20\d\d-\d\d-\d\d(?:([ T])\d\d:\d\d(:\d\d(?:\.\d+)?)?)?")
_REST_OF_ID = "-1111-4111-8111-111111111111"
_DAY = 86_400
_HALF_HOUR = 1_800
_EXTERNAL = {"exec"}  # it replaces its process

SECRETS: dict[str, tuple[int, dict[str, str], dict[str, object]]] = {
    "prod/billing/db": (
        200,
        {"env": "prod", "team": "payments"},
        {"engine": "mysql", "host": "billing.example.com", "username": "billing", "password": "example"},
    ),
    "prod/shop/api": (
        40,
        {"env": "prod", "owner": "shop"},
        {"url": "https://api.example.com", "key": "example"},
    ),
    "prod/shop/db": (
        120,
        {"env": "prod", "owner": "shop", "team": "payments"},
        {"engine": "postgres", "host": "shop.example.com", "username": "shop", "password": "example"},
    ),
    "test/shop/db": (
        10,
        {"env": "test"},
        {"engine": "postgres", "host": "localhost", "username": "shop", "password": "example"},
    ),
}
"""Age in days, tags and first value of each secret."""

ROLES: dict[str, dict[str, object]] = {
    "shop": {
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "arn:aws:secretsmanager:*:*:secret:prod/shop/*",
    },
    "office": {
        "Action": "secretsmanager:*",
        "Resource": "*",
        "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}},
    },
}
"""Statement of the policy of each role."""

KEYS = {
    "alias/receipts": ("ECC_NIST_P256", "SIGN_VERIFY"),
    "alias/shop": ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
}
"""Key spec and key usage of the key of each alias."""

CHANGED = {"note": "changed"}
"""Members that the second value of each secret has in addition."""

_real_age = output.age


def plain(text: str, *names: str) -> str:
    """The output, with fixed values for the parts that differ between runs.

    Args:
        text: the output.
        *names: names of secrets, whose ARNs get a fixed end.
    """
    for name in names:
        text = re.sub(rf"(?<=secret:{re.escape(name)}-)[A-Za-z0-9]{{6}}\b", "AbCdEf", text)
    text = re.sub(r"(?<=\b[0-9a-f]{8})(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", _REST_OF_ID, text)
    for number, found in enumerate(dict.fromkeys(re.findall(r"\b[0-9a-f]{8}\b", text)), 1):
        text = text.replace(found, f"{number}" * 8)
    text = _MOMENT.sub(_fixed, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _fixed(found: re.Match[str]) -> str:
    """A fixed time with as many parts."""
    return "2026-12-24" + (f"{found[1]}23:59" if found[1] else "") + (":59" if found[2] else "")


def compare(page: Path, old: str, new: str) -> None:
    """Check one session of a page; with UPDATE_DOCS, write it.

    Args:
        page: the page.
        old: the session in the page.
        new: the session of this run.
    """
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(page.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        return
    assert new.splitlines() == old.splitlines(), "Run this test with UPDATE_DOCS=1."


def lines(session: str) -> list[str]:
    """The commands of a session."""
    return [line.removeprefix("$ ") for line in session.splitlines() if line.startswith("$ ")]


def outputs(page: Path, folder: Path) -> list[str]:
    """Run the commands of a page in their order, in a separate process.

    Args:
        page: the page. Its first block in TOML is the file ``policy.toml``.
        folder: where the commands run.

    Returns:
        The sessions of this run.
    """
    text = page.read_text(encoding="utf-8")
    policy = re.search(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    if policy:
        (folder / "policy.toml").write_text(policy[1], encoding="utf-8")
    sessions = [lines(session) for session in SESSION.findall(text)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.documented"],
        input=json.dumps(sessions),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [plain(session, *SECRETS) for session in json.loads(done.stdout)]


def _prepare(aws: LocalAws) -> None:
    service = aws.client("secretsmanager")
    for name, (days, tags, value) in SECRETS.items():
        listed = [{"Key": key, "Value": text} for key, text in tags.items()]
        created = service.create_secret(Name=name, SecretString=json.dumps(value), Tags=listed)
        service.put_secret_value(SecretId=name, SecretString=json.dumps({**value, **CHANGED}))
        backdate(created["ARN"], name, int(time.time()) - days * _DAY - _HALF_HOUR)
    _create_roles(aws)
    _create_keys(aws)
    aws.enable_rotation("prod/shop/db")
    aws.enable_rotation("prod/billing/db")
    service.cancel_rotate_secret(SecretId="prod/billing/db")


def _create_roles(aws: LocalAws) -> None:
    service = aws.client("iam")
    for name, statement in ROLES.items():
        document = {"Version": "2012-10-17", "Statement": {"Sid": "Read", "Effect": "Allow", **statement}}
        service.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": []}))
        service.put_role_policy(RoleName=name, PolicyName="secrets", PolicyDocument=json.dumps(document))


def _create_keys(aws: LocalAws) -> None:
    service = aws.client("kms")
    for alias, (spec, usage) in KEYS.items():
        key = service.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
        service.create_alias(AliasName=alias, TargetKeyId=key)


def backdate(arn: str, name: str, moment: int) -> None:
    """Make a secret older than this process, in moto's own records.

    Args:
        arn: of the secret.
        name: of the secret.
        moment: time of its creation and of its last change, in seconds since 1970.
    """
    from moto.secretsmanager.models import secretsmanager_backends  # noqa: PLC0415 - only this process

    region, account = arn.split(":")[3:5]
    secret: Any = secretsmanager_backends[account][region].secrets[name]
    secret.created_date = secret.last_changed_date = moment
    for version in secret.versions.values():
        version["createdate"] = moment


def _age(moment: dt.datetime | None) -> str:
    """The age of a moment; what this process made is new, however long it takes."""
    new = moment is not None and dt.datetime.now(dt.UTC) - moment < dt.timedelta(minutes=15)
    return "0 s" if new else _real_age(moment)


def _run(line: str) -> str:
    words = shlex.split(line)
    if words[:1] != ["rotators"] or words[1] in _EXTERNAL:
        shown = subprocess.run(
            ["bash", "-c", f'rotators() {{ "{sys.executable}" -m rotators "$@"; }}; {line}'],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        ).stdout
    else:
        done = command(*words[1:])
        shown = done.text
    return f"$ {line}\n{shown.strip()}".strip()


def main() -> None:
    sample(Path("trail"))
    sessions: Sequence[Sequence[str]] = json.load(sys.stdin)
    output.age = _age  # before the commands import it
    with LocalAws() as aws:
        os.environ.update(aws.exports())
        _prepare(aws)
        printed = ["\n\n".join(map(_run, session)) for session in sessions]
    print(json.dumps(printed))


if __name__ == "__main__":
    main()
