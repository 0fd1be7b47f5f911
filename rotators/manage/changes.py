"""Changes of many secrets: a plan with the changes of each, which is shown before any change is made.

A plan contains only what is not done yet. An interrupted command is therefore resumed by repeating it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rotators.aws import clients, sealing
from rotators.aws.secrets import SecretVersion
from rotators.aws.views import arn_in
from rotators.core.errors import (
    RequestRefused,
    RotationStateError,
    RotatorsError,
    SecretFormatError,
    VersionConflict,
)
from rotators.core.secret import Secret
from rotators.core.states import Stage, holder
from rotators.manage.calls import call, call_secrets_manager, description_of, replicas_of
from rotators.manage.inventory import Entry

_FAILED = "Failed"  # status of a replica; the User Guide (replicate-secrets_troubleshoot) says to retry


@dataclass(frozen=True)
class Change:
    """A change of one secret, or of one KMS key.

    Attributes:
        secret: name of the secret or of the key.
        words: the change in words, such as ``set tag env=prod``.
        run: makes the change, and returns the service's answer if it is one call; raises StoreError if the
            service refuses it.
        arn: ARN of the secret, because secrets of two Regions may have one name; None if it is to be created.
        operation: operation of Secrets Manager's API, for the audit record.
    """

    secret: str
    words: str
    run: Callable[[], object] = field(repr=False)
    arn: str | None = None
    operation: str | None = None

    @property
    def id(self) -> str:
        """The shortest id that a command finds the secret by."""
        return clients.short_id(self.secret, self.arn) if self.arn else self.secret


@dataclass(frozen=True)
class ChangeOutcome:
    """The result of a change.

    Attributes:
        change: the change.
        error: reason why it was not made; None if it was.
    """

    change: Change
    error: RotatorsError | None


@dataclass(frozen=True)
class Remark:
    """A remark about a plan, such as a part of a secret that the plan does not change.

    Attributes:
        secret: name of the secret.
        words: the fact.
    """

    secret: str
    words: str


def run_all(plan: Iterable[Change], *, ordered: bool = False) -> Iterator[ChangeOutcome]:
    """Make changes one after the other.

    Args:
        plan: the changes.
        ordered: True if each change needs those before it, so that no change follows a refused one.

    Yields:
        The outcome of each change, as soon as it is known. If AWS refuses the credentials, the outcomes end.
    """
    for change in plan:
        try:
            change.run()
        except RotatorsError as error:
            yield ChangeOutcome(change, error)
            if ordered or error.reason == "credentials":  # refuses the other changes too
                return
        else:
            yield ChangeOutcome(change, None)


def tagging(entry: Entry, tags: Mapping[str, str], removed: Sequence[str]) -> Iterator[Change]:
    """Plan tags of a secret.

    Args:
        entry: the secret.
        tags: tags to set, key to value.
        removed: keys of tags to remove.

    Yields:
        At most one change for each of the two.
    """
    new = {key: value for key, value in tags.items() if entry.tags.get(key) != value}
    if new:
        words = "set " + ", ".join(f"{key}={value}" for key, value in new.items())
        listed = [{"Key": key, "Value": value} for key, value in new.items()]
        yield _change(entry, words, "TagResource", Tags=listed)
    old = [key for key in removed if key in entry.tags]
    if old:
        yield _change(entry, f"remove {', '.join(old)}", "UntagResource", TagKeys=old)


def deletion(entry: Entry, days: int) -> Iterator[Change]:
    """Plan to delete a secret after a recovery window.

    Args:
        entry: the secret.
        days: length of the recovery window, 7 to 30 (API reference, DeleteSecret).

    Yields:
        The change; nothing if the secret is scheduled for deletion already.

    Raises:
        RequestRefused: it is a replica.
    """
    if entry.primary_region is not None and not entry.is_primary:
        raise RequestRefused(
            f"{entry.name} is a replica, and a replica would be deleted at once",
            reason="replica",
            remedy=f"Run `rotators unreplicate {arn_in(entry.primary_region, entry.arn)}"
            f" --from {entry.region} --yes`, or do not select it.",
        )
    if entry.deleted is None:
        read = f", last read {entry.accessed:%Y-%m-%d}" if entry.accessed else ", never read"
        words = f"delete after {days} days{read}"
        yield _change(entry, words, "DeleteSecret", RecoveryWindowInDays=days)


def restoration(entry: Entry) -> Iterator[Change]:
    """Plan to restore a secret that is scheduled for deletion.

    Args:
        entry: the secret.

    Yields:
        The change; nothing if the secret is not scheduled for deletion.
    """
    if entry.deleted is not None:
        yield _change(entry, "restore", "RestoreSecret")


def scheduling(entry: Entry, expression: str, window: str | None, function: str | None) -> Iterator[Change]:
    """Plan a rotation schedule of a secret.

    Args:
        entry: the secret.
        expression: ``rate(30 days)`` or ``cron(…)``, as Secrets Manager accepts it.
        window: duration of the rotation window, such as ``2h``; None for the service's default.
        function: ARN of the rotation function; None for the one that the secret has.

    Yields:
        The change; nothing if the secret has this schedule already.
    """
    function = function or entry.function_arn
    present = (entry.schedule, entry.window, entry.function_arn)
    if entry.rotation_enabled and present == (expression, window, function):
        return
    rules = {"ScheduleExpression": expression, **({"Duration": window} if window else {})}
    named = {"RotationLambdaARN": function} if function else {}
    words = f"rotate by {expression}"
    if not entry.rotation_enabled:
        words += ", which turns rotation on"
    if function != entry.function_arn:
        words += f", with {function} in place of {entry.function_arn or 'no function'}"
    yield _change(entry, words, "RotateSecret", RotationRules=rules, RotateImmediately=False, **named)


def no_rotation(entry: Entry) -> Iterator[Change]:
    """Plan to turn a secret's rotation off.

    Args:
        entry: the secret.

    Yields:
        The change; nothing if rotation is off.
    """
    if entry.rotation_enabled:
        # It can leave stages that a person has to correct (API reference, CancelRotateSecret).
        doubtful = ", although a rotation is in progress or was interrupted" if entry.interrupted else ""
        yield _change(entry, f"turn rotation off{doubtful}", "CancelRotateSecret")


def replication(entry: Entry, regions: Sequence[str], key: str | None) -> Iterator[Change]:
    """Plan replicas of a secret.

    Args:
        entry: the secret.
        regions: Regions that are to have a replica.
        key: KMS key of the replicas; None for ``aws/secretsmanager``.

    Yields:
        One change for the Regions without a replica.

    Raises:
        StoreError: the secret cannot be described.
    """
    held = _replicas(entry)
    missing = [region for region in dict.fromkeys(regions) if held.get(region, _FAILED) == _FAILED]
    if missing:
        replicas = [{"Region": region, **({"KmsKeyId": key} if key else {})} for region in missing]
        again = [f"{region} again, where it failed" if region in held else region for region in missing]
        words = f"replicate to {', '.join(again)}"
        yield _change(entry, words, "ReplicateSecretToRegions", AddReplicaRegions=replicas)


def removal_of_replicas(entry: Entry, regions: Sequence[str]) -> Iterator[Change]:
    """Plan to remove replicas of a secret.

    Args:
        entry: the secret.
        regions: Regions whose replicas are removed.

    Yields:
        One change for the Regions with a replica.

    Raises:
        StoreError: the secret cannot be described.
    """
    held = _replicas(entry)
    present = [region for region in dict.fromkeys(regions) if region in held]
    if present:
        words = f"remove the replicas in {', '.join(present)}"
        yield _change(entry, words, "RemoveRegionsFromReplication", RemoveReplicaRegions=present)


def storing(
    name: str, content: str | bytes, known: SecretVersion | None, key: str | None
) -> Iterator[Change]:
    """Plan to store a value, sealed if SEALING_KEYS is set.

    Args:
        name: name of the secret.
        content: its SecretString or SecretBinary.
        known: its AWSCURRENT version; None if there is no such secret.
        key: KMS key of a new secret; None for ``aws/secretsmanager``.

    Yields:
        The change; nothing if the secret has this value, and it is sealed if it must be.
    """
    if known is None:
        encryption = {"KmsKeyId": key} if key else {}
        create = partial(_create, name, content, **encryption)
        yield Change(name, "create", create, operation="CreateSecret")
        return
    put = partial(_overwrite, known, content)
    if not _same(known.content, content):
        yield Change(name, "overwrite", put, known.arn, "PutSecretValue")
    elif sealing.seals() and isinstance(content, str) and not known.sealed:
        yield Change(name, "seal", put, known.arn, "PutSecretValue")


def _overwrite(known: SecretVersion, content: str | bytes) -> object:
    stages = description_of(known.arn).get("VersionIdsToStages", {})
    if holder(stages, Stage.CURRENT) != known.version:
        raise VersionConflict(
            f"another value was stored in {known.name} since the plan",
            remedy="Repeat the command without --yes, and examine its plan.",
        )
    if holder(stages, Stage.PENDING) not in {None, known.version}:
        raise RotationStateError(
            f"a rotation of {known.name} is not finished; a new value would make Secrets Manager abandon it",
            reason="rotation-in-progress",
            remedy="Wait until the rotation has ended; if it is stuck, run "
            f"`rotators doctor {clients.short_id(known.name, known.arn)}`. Then repeat the command.",
        )
    return call_secrets_manager(known.arn, "PutSecretValue", **stored(known.name, content))


def _create(name: str, content: str | bytes, **parameters: Any) -> object:
    given = {"Name": name, **stored(name, content), **parameters}
    return call(clients.secrets_lister(), "CreateSecret", name, **given)


def stored(name: str, content: str | bytes) -> dict[str, Any]:
    """Return the parameter with a value that is stored, sealed if SEALING_KEYS is set.

    Args:
        name: name of the secret.
        content: its SecretString or SecretBinary.

    Returns:
        One member: ``SecretString`` with text, or ``SecretBinary`` with bytes.
    """
    kind = "SecretBinary" if isinstance(content, bytes) else "SecretString"
    return {kind: sealing.stored(name, content)}


def _same(one: str | bytes, other: str | bytes) -> bool:
    """Return True if two values are equal, even if the spelling of their JSON differs."""
    if isinstance(one, bytes) or isinstance(other, bytes) or one == other:
        return one == other
    try:
        # Compared as texts, because Python's 1, 1.0 and True are equal.
        return Secret(_sorted(one)).to_string() == Secret(_sorted(other)).to_string()
    except SecretFormatError:
        return False


def _sorted(content: str) -> dict[str, object]:
    return dict(sorted(Secret.from_string(content).stored().items()))


def _replicas(entry: Entry) -> dict[str, str]:
    """Region to status of each replica."""
    return {each["Region"]: str(each.get("Status")) for each in replicas_of(entry.arn)}


def _change(entry: Entry, words: str, operation: str, **parameters: Any) -> Change:
    made = partial(call_secrets_manager, entry.arn, operation, **parameters)
    return Change(entry.name, words, made, entry.arn, operation)
