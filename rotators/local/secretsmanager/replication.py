"""Replicas of secrets in other Regions.

Sources: API ReplicateSecretToRegions, RemoveRegionsFromReplication, StopReplicationToReplica and
ReplicationStatusType; User Guide, create-manage-multi-region-secrets and replicate-secrets_troubleshoot. A
replica is created after the response, which contains InProgress (AWS CLI reference, example of
replicate-secret-to-regions). If it cannot be created, the status becomes Failed; the request does not fail.
These choices are not documented: a Region keeps a replica that is in sync, a failed replica is tried again,
and the message about a key. These messages were seen on AWS: a name that is taken (getmoto/moto#7270), a
replica of another secret, which overwriting does not replace (a public verifier of deployments), and replicas
that prevent a deletion (rebuy-de/aws-nuke#1127).
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, cast

from moto.secretsmanager.models import (
    FakeSecret,
    ReplicaSecret,
    SecretsManagerBackend,
    secretsmanager_backends,
)

from rotators.local.kms.keys import enabled_key
from rotators.local.secretsmanager import versions
from rotators.local.secretsmanager.refusals import invalid_parameter, validation
from rotators.local.secretsmanager.versions import CURRENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rotators.local.options import Options
    from rotators.local.secretsmanager.events import EventLog

_REGION = re.compile(r"([a-z]+-)+\d+")
_DEFAULT_KEY = SecretsManagerBackend.DEFAULT_KMS_KEY_ALIAS


class LocalReplica(ReplicaSecret):
    """Moto's record of a replica, with the members that only replicas have.

    Args:
        source: record of the secret.
        region: Region of the replica.
        key: id, ARN or alias of its KMS key there; None for ``aws/secretsmanager``.
        overwrite: True to replace a secret of that name.
        delay: number of descriptions for which it is in progress.

    Attributes:
        kms_key_id: its key.
        accessed: day of the last read in its Region, or None.
    """

    def __init__(
        self, source: FakeSecret, region: str, key: str | None, *, overwrite: bool, delay: int
    ) -> None:
        super().__init__(source, region)
        self.change_key(key)
        self.accessed: int | None = None
        self.overwrite, self.delay = overwrite, delay
        self.become("InProgress", None)

    @property
    def policy(self) -> str | None:
        """The resource policy, which is replicated."""
        return self.source.policy

    @property
    def rotation_lambda_arn(self) -> str:
        """The rotation function of the secret."""
        return str(self.source.rotation_lambda_arn)

    def change_key(self, key: str | None) -> None:
        """Set the KMS key.

        Args:
            key: id, ARN or alias in the Region of the replica; None or empty for ``aws/secretsmanager``.
        """
        self.kms_key_id = key or _DEFAULT_KEY
        self.config["KmsKeyId"] = self.kms_key_id

    def become(self, status: str, message: str | None) -> None:
        """Set the status.

        Args:
            status: InProgress, InSync or Failed.
            message: its StatusMessage.
        """
        self.status = status
        self.config = {"Region": self.region, "KmsKeyId": self.kms_key_id, "Status": status}
        if message:
            self.config["StatusMessage"] = message

    def shown(self) -> dict[str, Any]:
        """Return its element of ``ReplicationStatus``."""
        return {**self.config, **({"LastAccessedDate": self.accessed} if self.accessed else {})}

    def to_dict(self) -> dict[str, Any]:
        """Return moto's description, with the key and the last read of the replica."""
        key = None if self.kms_key_id == _DEFAULT_KEY else self.kms_key_id
        described = {**super().to_dict(), "KmsKeyId": key, "LastAccessedDate": self.accessed}
        return {name: value for name, value in described.items() if value is not None}


class Replication:
    """The replication of all secrets of one local AWS. Its methods are called with the rotations' lock held.

    Args:
        options: options of the local AWS.
        events: gets the service's events.
    """

    def __init__(self, options: Options, events: EventLog) -> None:
        self._options = options
        self._events = events

    def request(
        self, secret: FakeSecret, replica_regions: Iterable[Mapping[str, str]], force_overwrite: bool
    ) -> list[ReplicaSecret]:
        """Return the replicas of a secret, including those to be created in other Regions.

        Args:
            secret: moto's record.
            replica_regions: ``AddReplicaRegions`` of the request.
            force_overwrite: ``ForceOverwriteReplicaSecret`` of the request.

        Raises:
            SecretsManagerClientError: a Region is the secret's own, or there is no such Region.
        """
        known = secretsmanager_backends[secret.account_id].regions
        wanted = {each["Region"]: each.get("KmsKeyId") for each in replica_regions}
        for region in wanted:
            if not _REGION.fullmatch(region):
                pattern = f"Member must satisfy regular expression pattern: {_REGION.pattern}"
                raise validation("addReplicaRegions.1.member.region", pattern)
            if region == secret.region or region not in known:
                raise invalid_parameter("Invalid replica region.")
        replicas = [
            each
            for each in getattr(secret, "replicas", ())  # moto's constructor of the secret calls this
            if each.region not in wanted or each.status != "Failed"
        ]
        there, delay = {each.region for each in replicas}, self._options.replication_delay
        for region, key in wanted.items():
            if region not in there:
                replicas.append(LocalReplica(secret, region, key, overwrite=force_overwrite, delay=delay))
                self._events.service_event("ReplicationStarted", secret.arn)
        return replicas

    def proceed(self, secret: FakeSecret, *, described: bool = False) -> None:
        """Create the replicas of a secret whose delay has ended.

        Args:
            secret: moto's record.
            described: True before a description of the secret, which the delay counts.
        """
        for replica in [each for each in replicas_of(secret) if each.status == "InProgress"]:
            if not replica.delay:
                self._make(replica)
            elif described:
                replica.delay -= 1

    def remove(self, secret: FakeSecret, regions: Iterable[str]) -> None:
        """Delete replicas of a secret.

        Args:
            secret: moto's record.
            regions: ``RemoveReplicaRegions`` of the request; those without a replica are ignored.
        """
        for replica in [each for each in secret.replicas if each.region in regions]:
            secret.replicas.remove(replica)
            if (
                _secrets(replica).get(secret.name) is replica
            ):  # a failed one may have the name of another secret
                dict.pop(_secrets(replica), secret.name)

    def stop(self, replica: LocalReplica) -> FakeSecret:
        """Make a replica an independent secret, with its key and a copy of the replicated data.

        Args:
            replica: moto's record.

        Returns:
            The record of the secret.
        """
        source, current, there = replica.source, versions.holder(replica, CURRENT), _secrets(replica)
        alone = FakeSecret(
            account_id=source.account_id,
            region_name=replica.region,
            secret_id=source.name,
            secret_version={},
            version_id=current or "",
            description=source.description,
            tags=list(source.tags or []),
            kms_key_id=replica.kms_key_id,
            created_date=source.created_date,
            last_changed_date=source.last_changed_date,
        )
        alone.arn, alone.policy = replica.arn, source.policy
        if replica.accessed:
            alone.accessed = replica.accessed  # type: ignore[attr-defined] # moto has no such member
        alone.versions = copy.deepcopy(source.versions)
        alone.set_default_version_id(current)
        source.replicas.remove(replica)
        there[source.name] = alone
        return alone

    def _make(self, replica: LocalReplica) -> None:
        secret, there = replica.source, _secrets(replica)
        if failure := _obstacle(replica):
            replica.become("Failed", f"Replication failed: {failure}")
            self._events.service_event("ReplicationFailed", secret.arn, failure)
            return
        dict.pop(there, secret.name, None)
        there[secret.name] = replica
        replica.become("InSync", "Replication succeeded")
        self._events.service_event("ReplicationSucceeded", secret.arn)


def replicas_of(secret: FakeSecret) -> list[LocalReplica]:
    """Return the replicas of ``secret``, which this module created."""
    return cast("list[LocalReplica]", secret.replicas)


def check_not_replicated(secret: FakeSecret | ReplicaSecret | None) -> None:
    """Refuse to delete a secret that has replicas.

    Args:
        secret: moto's record, or None.

    Raises:
        SecretsManagerClientError: it has replicas.
    """
    if isinstance(secret, FakeSecret) and secret.replicas:
        regions = ", ".join(each.region for each in secret.replicas)
        raise invalid_parameter(
            f"You can't delete secret {secret.arn} that still has replica regions [{regions}]."
        )


def _obstacle(replica: LocalReplica) -> str | None:
    """Return the reason that prevents a replica, or None."""
    name, region = replica.name, replica.region
    there = _secrets(replica).get(name)
    if isinstance(there, ReplicaSecret):
        return f"Secret name {name} is currently replicated to {region} with a different arn."
    if there is not None and not replica.overwrite:
        return f"Secret name {name} already exists in region {region}."
    if replica.kms_key_id != _DEFAULT_KEY and not enabled_key(
        replica.source.account_id, region, replica.kms_key_id
    ):
        return f"The KMS key {replica.kms_key_id} is disabled or not found."
    return None


def _secrets(replica: ReplicaSecret) -> Any:
    """Return the secrets of a replica's Region."""
    return secretsmanager_backends[replica.source.account_id][replica.region].secrets
