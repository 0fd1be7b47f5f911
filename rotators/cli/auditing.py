"""The audit records of the commands: lines in the file that ROTATORS_AUDIT_FILE names.

Each change of a secret, and each value that a command reads on this machine, gets a line. Values that are
read only to select by engine, or to copy them (`rename`, `key`), get none. Without the variable, nothing is
written, and STS is not called. A record that cannot be written is printed on stderr with the reason, so a
log of stderr still has it. It never makes a command fail.
"""

from __future__ import annotations

import errno
import os
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rotators.aws import clients
from rotators.aws.secrets import SecretStore
from rotators.cli.output import print_error
from rotators.core.audit import AuditRecord, Facts, code_of, line, outcome_of, place_of, timestamp
from rotators.core.errors import RotatorsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rotators.core.secret import Secret
    from rotators.manage.changes import Change

VARIABLE = "ROTATORS_AUDIT_FILE"
"""Name of the environment variable that names the file."""

_RUN = "rotators.audit.run"
_NEXT = "correct the variable or the file, and add the record to it"


@contextmanager
def audited(secret: str, operation: str | None = None, *, noun: str = "secret") -> Iterator[Facts]:
    """Record what the block does with a secret, under the name of the running command.

    Args:
        secret: ARN of the secret, or its name.
        noun: ``key`` if it is a KMS key.
        operation: operation of Secrets Manager's API, where the block calls one.

    Yields:
        The facts of the record, to which the block may add some.

    Raises:
        BaseException: the error of the block, unchanged.
    """
    facts: Facts = {"key": secret} if noun == "key" else {"secret": secret}
    began, started = time.time(), time.perf_counter()
    ended: dict[str, Any] = {"outcome": "unknown"}  # the block was stopped by an error without a code
    try:
        yield facts
        ended = {"outcome": "succeeded"}
    except RotatorsError as error:
        ended = {"outcome": outcome_of(error), "error_code": code_of(error)}
        raise
    finally:
        milliseconds = round((time.perf_counter() - started) * 1000, 3)
        _write(
            {"time": timestamp(began), "duration_ms": milliseconds, "operation": operation, **facts, **ended}
        )


def audited_changes(changes: Iterable[Change], noun: str) -> list[Change]:
    """Return changes that are recorded when they are made.

    Args:
        changes: changes of a plan.
        noun: the kind of object that they change: ``secret`` or ``key``.

    Returns:
        The same changes in the same order; each writes its record when it is made.
    """
    return [replace(each, run=partial(_run, each, noun)) for each in changes]


def record_read(arn: str, version: str | None) -> None:
    """Record that the command has read a value.

    Args:
        arn: ARN of the secret.
        version: id of the version; None if it is not known.
    """
    with audited(arn, "GetSecretValue") as facts:
        if version is not None:
            facts["versions"] = [version]


class AuditedStore(SecretStore):
    """Secrets Manager for a command that tries stored credentials: each version it reads gets one record."""

    def __init__(self) -> None:
        super().__init__()
        self._recorded: set[tuple[str, str | None]] = set()

    def value(self, arn: str, version: str) -> Secret | None:
        """See Store.value."""
        found = super().value(arn, version)
        if found is not None:
            self._record(arn, version)
        return found

    def admin(self, arn: str) -> Secret:
        """See Store.admin."""
        found = super().admin(arn)
        self._record(arn, None)
        return found

    def _record(self, arn: str, version: str | None) -> None:
        if (arn, version) not in self._recorded:
            self._recorded.add((arn, version))
            record_read(arn, version)


def _run(change: Change, noun: str) -> None:
    with audited(change.arn or change.secret, change.operation, noun=noun) as facts:
        facts.update(_answered(change.run()))


def _answered(answer: object) -> Facts:
    """Return the facts in an answer of Secrets Manager."""
    facts: Facts = {}
    if isinstance(answer, dict):
        facts["api_request_id"] = answer.get("ResponseMetadata", {}).get("RequestId", "")
        if "ARN" in answer:
            facts["secret"] = answer["ARN"]
        if "VersionId" in answer:
            facts["versions"] = [answer["VersionId"]]
    return facts


def _write(members: dict[str, Any]) -> None:
    path = os.environ.get(VARIABLE)
    if not path:
        return
    text = ""
    try:
        text = line(_record(members).document())
        _append(path, text)
    except Exception as lost:  # noqa: BLE001 - the change has been made already
        reason = getattr(lost, "strerror", None) or type(lost).__name__
        with suppress(Exception):
            print_error(f"no audit record in {path}: {reason}. The record: {text}. Next: {_NEXT}.")


def _record(members: dict[str, Any]) -> AuditRecord:
    context = click.get_current_context(silent=True)
    run = context.meta.setdefault(_RUN, {}) if context else {}
    if not run:
        run |= {"request_id": str(uuid.uuid4()), "caller": _caller()}
    account, region = place_of(members.get("secret"), members.get("key"), run["caller"])
    return AuditRecord(
        **members,
        **run,
        source="command",
        action=_action(context),
        account=account,
        region=region or os.environ.get("AWS_REGION"),
    )


def _action(context: click.Context | None) -> str:
    """Return the names of the command and of its groups, without that of the program."""
    names: list[str] = []
    while context is not None and context.parent is not None:
        names.insert(0, context.info_name or "")
        context = context.parent
    return " ".join(names) or "command"


def _caller() -> str | None:
    """Return the ARN of the command's identity; None if STS cannot be asked."""
    try:
        return str(clients.sts().get_caller_identity()["Arn"])
    except Exception:  # noqa: BLE001 - the record is written without it
        return None


def _append(path: str, text: str) -> None:
    """Append a line with one write, so that processes can share a file; a new file is private."""
    data = f"{_line_end(path)}{text}\n".encode("ascii")
    with open(path, "ab", buffering=0, opener=_opened) as file:
        if file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _opened(path: str, flags: int) -> int:
    # Not blocking, because a pipe without a reader would stop the command.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o600)


def _line_end(path: str) -> str:
    """Return a line end if the last line of the file has none, because a full disk cut it off."""
    with suppress(OSError):
        if Path(path).is_file():
            with Path(path).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - 1, 0))
                return "" if file.read(1) in {b"", b"\n"} else "\n"
    return ""
