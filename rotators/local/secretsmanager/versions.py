"""The versions of one secret and their stages, kept in moto's own record of it.

A version is moto's dict: ``version_id``, ``version_stages``, ``createdate`` and at most one of
``secret_string`` and ``secret_binary`` (base64). One with neither has a stage, but no value yet.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from moto.secretsmanager.models import FakeSecret, ReplicaSecret

from rotators.local.secretsmanager.refusals import invalid_parameter, refusal, too_long

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"
_MAX_BYTES, _MAX_STAGES, _MAX_VERSIONS = 65_536, 20, 100
_DAY_SECONDS = 86_400

Version = dict[str, Any]
StageMoved = Callable[[FakeSecret, str, str], None]


@dataclass(frozen=True)
class Value:
    """A value that PutSecretValue stores: a text or bytes.

    Attributes:
        key: ``secret_string`` or ``secret_binary``.
        content: the text, or the bytes in base64.
    """

    key: str
    content: str

    def __repr__(self) -> str:
        """Show only the kind, because the content is secret."""
        return f"Value({self.key})"


def read_value(params: dict[str, Any]) -> Value | None:
    """Read and validate the value in a request.

    Args:
        params: A request with SecretString or SecretBinary or neither.

    Returns:
        The value, or None.

    Raises:
        SecretsManagerClientError: Both are given, or the value is larger than 65,536 bytes.
    """
    text, binary = params.get("SecretString"), params.get("SecretBinary")
    if text is not None and binary is not None:
        raise invalid_parameter("You can't specify both a binary secret value and a string secret value.")
    size = len(text.encode()) if text is not None else len(base64.b64decode(binary or ""))
    if size > _MAX_BYTES:
        raise too_long("secretString" if text is not None else "secretBinary", _MAX_BYTES)
    if text is not None:
        return Value("secret_string", text)
    return None if binary is None else Value("secret_binary", binary)


def now() -> float:
    """Return the time in seconds, to the millisecond, as the service writes dates."""
    return round(time.time(), 3)


def holder(secret: FakeSecret | ReplicaSecret, stage: str) -> str | None:
    """Return the id of the version of ``secret`` that has ``stage``, or None."""
    return next((key for key, version in secret.versions.items() if stage in version["version_stages"]), None)


def note_read(secret: FakeSecret | ReplicaSecret, version: Version) -> None:
    """Remember the day of a read, as ``LastAccessedDate`` of a secret and a version (API DescribeSecret).

    A replica's secret has its own date, because the date is of the Region.

    Args:
        secret: moto's record.
        version: its version that was read.
    """
    today = int(time.time()) // _DAY_SECONDS * _DAY_SECONDS
    version["accessed"] = today
    secret.accessed = today  # type: ignore[union-attr] # moto has no such member


def has_value(version: Version) -> bool:
    """Return True if a value was stored in the version."""
    return "secret_string" in version or "secret_binary" in version


def same_value(version: Version, value: Value) -> bool:
    """Return True if the version has exactly this value."""
    return has_value(version) and version.get(value.key) == value.content


def stage_empty(secret: FakeSecret, token: str) -> None:
    """Attach AWSPENDING to a version.

    Args:
        secret: Moto's record of the secret.
        token: Id of the version; it is created without a value if it does not exist.
    """
    detach(secret, PENDING)
    _version(secret, token)["version_stages"].append(PENDING)


def put(secret: FakeSecret, token: str, value: Value, stages: Sequence[str], moved: StageMoved) -> None:
    """Store a value in a new or an empty version, and move stages to it.

    Args:
        secret: Moto's record of the secret.
        token: Id of the version; the caller has checked that it has no value.
        value: The value.
        stages: Stages to move, including those that the version already has.
        moved: Called for each stage that moved.

    Raises:
        SecretsManagerClientError: LimitExceededException, for stages or versions.
    """
    check_stage_count(secret, stages)
    _make_room(secret, token)
    _version(secret, token)[value.key] = value.content
    current = holder(secret, CURRENT)
    if CURRENT in stages and current not in {None, token} and holder(secret, PENDING) == current:
        detach(secret, PENDING)  # recorded on AWS: the replaced version keeps only AWSPREVIOUS
    for stage in stages:
        attach(secret, stage, token, moved)
    secret.last_changed_date = now()  # type: ignore[assignment] # moto: seconds


def attach(secret: FakeSecret, stage: str, token: str, moved: StageMoved) -> None:
    """Move a stage to a version, and AWSPREVIOUS with AWSCURRENT.

    Args:
        secret: Moto's record of the secret.
        stage: Any stage.
        token: Id of an existing version.
        moved: Called if the stage was not there before.
    """
    before = holder(secret, stage)
    if before == token:
        return
    detach(secret, stage)
    secret.versions[token]["version_stages"].append(stage)
    if stage == CURRENT:
        secret.set_default_version_id(token)
        if PREVIOUS in secret.versions[token]["version_stages"]:
            secret.versions[token]["version_stages"].remove(PREVIOUS)
        if before is not None:
            attach(secret, PREVIOUS, before, moved)
    moved(secret, stage, token)


def detach(secret: FakeSecret, stage: str) -> None:
    """Remove ``stage`` from the version of ``secret`` that has it, if any."""
    for version in secret.versions.values():
        if stage in version["version_stages"]:
            version["version_stages"].remove(stage)


def check_stage_count(secret: FakeSecret, stages: Sequence[str]) -> None:
    """Refuse a 21st stage on the secret.

    Args:
        secret: Moto's record of the secret.
        stages: Stages to add.

    Raises:
        SecretsManagerClientError: LimitExceededException.
    """
    present = {stage for version in secret.versions.values() for stage in version["version_stages"]}
    if len(present | set(stages)) > _MAX_STAGES:
        raise refusal("LimitExceededException", f"A secret can have at most {_MAX_STAGES} staging labels.")


def _version(secret: FakeSecret, token: str) -> Version:
    new = {"createdate": now(), "version_id": token, "version_stages": []}
    return secret.versions.setdefault(token, new)


def _make_room(secret: FakeSecret, token: str) -> None:
    """Delete versions without a stage above 100, oldest first, but none that is less than a day old."""
    if token in secret.versions:
        return
    excess = len(secret.versions) + 1 - _MAX_VERSIONS
    old = time.time() - _DAY_SECONDS
    prunable = [
        key
        for key, version in secret.versions.items()
        if not version["version_stages"] and version["createdate"] < old
    ]
    if excess > len(prunable):
        raise refusal("LimitExceededException", f"A secret can have at most {_MAX_VERSIONS} versions.")
    for key in prunable[: max(0, excess)]:
        del secret.versions[key]
