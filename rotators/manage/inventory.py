"""The secrets of an account and Region, one after the other, without their values.

ListSecrets returns 100 secrets per call. They are yielded as they arrive, so 100,000 secrets need the memory
of 100. A throttled call is repeated after a pause; if that does not help, the listing fails, because an
incomplete inventory would look complete. Source: API reference, ListSecrets and SecretListEntry.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.aws.views import schedule_of
from rotators.core.errors import AccessDenied, RotatorsError, SecretNotFound
from rotators.core.states import Stage
from rotators.manage.calls import description_of
from rotators.manage.errors import NothingSelected

_PAGE = 100


@dataclass(frozen=True)
class Entry:
    """A secret of the inventory.

    Attributes:
        arn, name, description: of the secret.
        tags: tag key to value.
        created, changed: times of its creation and of its last change of any kind.
        rotated: time of its last rotation; None if it was never rotated.
        next_rotation: time at which it is rotated at the latest; None without a schedule.
        accessed: day on which a value was last read; None if none was. The service counts whole days.
        rotation_enabled: True if rotation is on.
        schedule: in words, such as ``every 30 days``; None without one.
        window: duration of the rotation window, such as ``2h``; None for the service's default.
        function_arn: rotation function, or None.
        key: ARN, id or alias of its KMS key; None for ``aws/secretsmanager``.
        primary_region: Region of the secret itself; None if it is not replicated.
        deleted: time at which it was scheduled for deletion, or None.
        owner: service that manages it, such as ``rds``; None for a secret of the account's own.
        stages: VersionId to its stages; only versions that have one.
        engine: name of the engine in its value; None if it names none, or the value was not read.
    """

    arn: str
    name: str
    description: str
    tags: Mapping[str, str]
    created: dt.datetime | None
    changed: dt.datetime | None
    rotated: dt.datetime | None
    next_rotation: dt.datetime | None
    accessed: dt.datetime | None
    rotation_enabled: bool
    schedule: str | None
    window: str | None
    function_arn: str | None
    key: str | None
    primary_region: str | None
    deleted: dt.datetime | None
    owner: str | None
    stages: Mapping[str, Sequence[str]] = field(default_factory=dict)
    engine: str | None = None

    @property
    def id(self) -> str:
        """The shortest id that a command finds it by: the name or the ARN."""
        return clients.short_id(self.name, self.arn)

    @property
    def region(self) -> str:
        """The Region that the secret was listed in."""
        return self.arn.split(":")[3]

    @property
    def replicated(self) -> bool:
        """True if other Regions have replicas of it, or if it is a replica."""
        return self.primary_region is not None

    @property
    def is_primary(self) -> bool:
        """True if other Regions have replicas of it."""
        return self.primary_region == self.region

    @property
    def value_since(self) -> dt.datetime | None:
        """The time of the last rotation; that of the creation if there was none.

        The time of the last change is not used, because it also changes with a tag or a description.
        """
        return self.rotated or self.created

    @property
    def unread_since(self) -> dt.datetime | None:
        """The end of the day on which a value was last read; the time of the creation if none was."""
        return self.accessed + dt.timedelta(days=1) if self.accessed else self.created

    @property
    def interrupted(self) -> bool:
        """True if a version other than the current one has the stage AWSPENDING."""
        return any(Stage.PENDING in each and Stage.CURRENT not in each for each in self.stages.values())

    @classmethod
    def of(cls, listed: Mapping[str, Any]) -> Entry:
        """Return the entry of an element of ``SecretList``.

        Args:
            listed: the element.
        """
        return cls(
            arn=listed["ARN"],
            name=listed["Name"],
            description=listed.get("Description", ""),
            tags={tag["Key"]: tag.get("Value", "") for tag in listed.get("Tags", ())},
            created=_utc(listed.get("CreatedDate")),
            changed=_utc(listed.get("LastChangedDate")),
            rotated=_utc(listed.get("LastRotatedDate")),
            next_rotation=_utc(listed.get("NextRotationDate")),
            accessed=_utc(listed.get("LastAccessedDate")),
            rotation_enabled=bool(listed.get("RotationEnabled", False)),
            schedule=schedule_of(listed.get("RotationRules", {})),
            window=listed.get("RotationRules", {}).get("Duration"),
            function_arn=listed.get("RotationLambdaARN"),
            key=listed.get("KmsKeyId"),
            primary_region=listed.get("PrimaryRegion"),
            deleted=_utc(listed.get("DeletedDate")),
            owner=listed.get("OwningService"),
            stages=listed.get("SecretVersionsToStages", {}),
        )


def _utc(moment: dt.datetime | None) -> dt.datetime | None:
    # botocore returns times in the time zone of this machine.
    return moment.astimezone(dt.UTC) if moment else None


def entries(filters: Sequence[Mapping[str, Any]] = (), *, deleted: bool = False) -> Iterator[Entry]:
    """List secrets, in the service's order.

    Args:
        filters: ``Filters`` of ListSecrets, all of which apply.
        deleted: True to list the secrets that are scheduled for deletion too.

    Yields:
        The secrets, a page at a time.

    Raises:
        AccessDenied: the caller may not list secrets.
        StoreError: a page could not be read, even after pauses; the secrets yielded so far are incomplete.
    """
    client = clients.secrets_lister()
    request: dict[str, Any] = {"MaxResults": _PAGE, "Filters": list(filters)}
    if deleted:
        request["IncludePlannedDeletion"] = True
    listed, about = 0, "the secrets of the account"
    while True:
        with translated("ListSecrets", f"{about} after the first {listed:,}" if listed else about):
            answer = client.list_secrets(**request)
            found = [Entry.of(each) for each in answer["SecretList"]]
        yield from found
        listed += len(found)
        if not answer.get("NextToken"):
            return
        request["NextToken"] = answer["NextToken"]


def named(names: Iterable[str], unread: list[tuple[str, RotatorsError]], *, deleted: bool) -> Iterator[Entry]:
    """Describe secrets by their names or ARNs.

    Args:
        names: names or ARNs; any number, of any Region.
        unread: gets the names of secrets that the caller may not describe, with the error.
        deleted: True to accept secrets that are scheduled for deletion.

    Yields:
        The secrets, each once.

    Raises:
        NothingSelected: one of them does not exist, or is scheduled for deletion; nothing was yielded.
        StoreError: one of them cannot be described.
    """
    found: dict[str, Entry] = {}
    missing = []
    for name in dict.fromkeys(names):
        try:
            entry = described(name)
        except SecretNotFound:
            missing.append(name)
        except AccessDenied as error:
            if error.reason is not None:  # about the caller or a key, not about this secret
                raise
            unread.append((name, error))
        else:
            found[entry.arn] = entry
    if missing:
        raise NothingSelected(f"there is no secret {', '.join(missing)}")
    gone = [entry.name for entry in found.values() if entry.deleted]
    if gone and not deleted:
        raise NothingSelected(
            f"these secrets are scheduled for deletion: {', '.join(gone)}",
            remedy="Do not name them, or restore them; `rotators list --deleted` shows such secrets.",
        )
    yield from found.values()


def described(secret_id: str) -> Entry:
    """Describe a secret as it is now. A listing can be five minutes old (API reference, ListSecrets).

    Args:
        secret_id: name or ARN.

    Returns:
        The secret; its engine is not known.

    Raises:
        SecretNotFound: there is no such secret.
        StoreError: it cannot be described.
    """
    answer = description_of(secret_id)
    return Entry.of({**answer, "SecretVersionsToStages": answer.get("VersionIdsToStages", {})})
