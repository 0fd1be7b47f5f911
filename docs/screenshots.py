"""Takes pictures of the page of `rotators report`, light and dark (`make screenshots`).

The secrets are in a local AWS, in all states that the page shows. Two of them are really rotated, on a
PostgreSQL. Times and version ids differ between runs.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from rotators.cli.stack import PostgresStack
from tests.browser import chromium, look, missing
from tests.cli.command import command
from tests.cli.documented import backdate

IMAGES = Path(__file__).parent / "images"
WIDTH, HEIGHT = 1100, 1400  # CSS pixels
_DAY = 86_400
_ROTATION_SECONDS = 60.0

SECRETS: dict[str, tuple[int, int | None]] = {
    "prod/billing/db": (45, 30),
    "prod/billing/invoices": (12, 30),
    "prod/orders/db": (6, 7),
    "prod/orders/queue": (3, 14),
    "prod/reports/db": (75, 90),
    "prod/search/index": (400, None),
    "prod/shop/api": (200, None),
    "test/legacy/ftp": (300, None),
}
"""Age of the value in days, and the days between rotations; None without rotation."""
FAILING = "prod/mail/smtp"
NEVER = "prod/shop/cache"
REPLICATED = "prod/shop/api"
READ = ("prod/shop/api", "prod/orders/db")


def prepare(stack: PostgresStack) -> None:
    """Create the secrets.

    Args:
        stack: the running stack.
    """
    service = stack.aws.client("secretsmanager")
    key = stack.aws.client("kms").create_key(Description="secrets of the shop")["KeyMetadata"]["Arn"]
    for name, (age, days) in SECRETS.items():
        own = {"KmsKeyId": key} if "/shop/" in name else {}
        arn = service.create_secret(Name=name, SecretString='{"password": "example"}', **own)["ARN"]
        if name in READ:
            service.get_secret_value(SecretId=name)
        made = int(time.time()) - age * _DAY
        backdate(arn, name, made)
        if days is not None:
            _schedule(stack, arn, days, dt.datetime.fromtimestamp(made, dt.UTC))
    service.replicate_secret_to_regions(SecretId=REPLICATED, AddReplicaRegions=[{"Region": "eu-west-1"}])
    _schedule(stack, service.create_secret(Name=NEVER, SecretString="{}")["ARN"], 30, since=None)
    broken = json.dumps({"engine": "postgres", "username": "mail", "password": "example"})
    _rotate(stack, service.create_secret(Name=FAILING, SecretString=broken)["ARN"])
    for seeded in stack.seed():
        _rotate(stack, seeded.arn)


def _rotate(stack: PostgresStack, arn: str) -> None:
    stack.aws.enable_rotation(arn)
    token = str(uuid.uuid4())
    stack.aws.client("secretsmanager").rotate_secret(SecretId=arn, ClientRequestToken=token)
    stack.aws.wait_for_rotation(arn, token, _ROTATION_SECONDS)


def _schedule(stack: PostgresStack, arn: str, days: int, since: dt.datetime | None) -> None:
    """Turn rotation on, with a last rotation in the past. No API can do that."""
    stack.aws.enable_rotation(arn)
    aws: Any = stack.aws
    state = aws._services.rotations.state(aws._secret(arn))  # noqa: SLF001 - see above
    state.rules = {"AutomaticallyAfterDays": days}
    state.last_rotated = since
    state.last_changed = since or state.last_changed


def take(page: Path) -> None:
    """Take the pictures.

    Args:
        page: the file of the page.
    """
    with chromium() as browser:
        for name, dark in (("report-light", False), ("report-dark", True)):
            look(browser, page.as_uri(), width=WIDTH, height=HEIGHT, dark=dark)
            browser.save_screenshot(str(IMAGES / f"{name}.png"))


def main() -> None:
    """Create the secrets, write the page, and take the pictures."""
    if missing():
        sys.exit(f"Not on PATH: {', '.join(missing())}. Next: apt-get install chromium chromium-driver.")
    with tempfile.TemporaryDirectory() as folder, PostgresStack() as stack:
        prepare(stack)
        page = Path(folder) / "secrets.html"
        done = command("report", "-o", str(page))
        if done.status:
            sys.exit(done.text)
        take(page)


if __name__ == "__main__":
    main()
