"""A new name for a secret. Secrets Manager cannot rename, so the secret is copied, and the old one stays.

Values go from Secrets Manager to Secrets Manager only. AWSCURRENT and AWSPREVIOUS keep their version ids, so
a repeated command finds what an interrupted one has stored. Tags of the copy contain its origin, and whether
it is to rotate. Two secrets must never rotate the same user, so the old one's rotation is turned off first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from rotators.aws import clients
from rotators.aws.secrets import SecretVersion, describe
from rotators.aws.views import arn_in
from rotators.core.errors import SecretNotFound
from rotators.core.states import Stage, holder
from rotators.manage.calls import call, call_secrets_manager, description_of, policy_of, versions_of
from rotators.manage.changes import Change, stored
from rotators.manage.errors import RenameRefused

ORIGIN = "renamed-from"
"""Tag of a copy: the ARN of the secret that it was copied from, or the digest of a long one."""

ROTATES = "renamed-rotates"
"""Tag of a copy whose rotation is to be turned on, until it is."""

_LONGEST_VALUE = 256  # length of a tag (API reference, Tag); a name has up to 512 characters

_COPIED = (Stage.PREVIOUS, Stage.CURRENT)  # in this order, AWSPREVIOUS ends on the older version


def renaming(old: str, new: str) -> list[Change]:
    """Plan to give a secret a new name.

    Args:
        old: name or ARN of the secret.
        new: name of the copy, in the same Region.

    Returns:
        The changes that remain. Each needs those before it.

    Raises:
        RenameRefused: the secret cannot be copied now, or another secret has the name.
        StoreError: one of the secrets cannot be read.
        SealedValueError: a value that is to be copied cannot be opened.
    """
    with clients.in_region_of(old):
        origin = describe(old, clients.secrets_lister())
        try:
            copy = describe(new, clients.secrets_lister())
        except SecretNotFound:
            copy = None
        _check(origin, copy, new)
        return list(_Renaming(origin, copy or {}, new).plan())


def _check(origin: Mapping[str, Any], copy: Mapping[str, Any] | None, new: str) -> None:
    name = origin["Name"]
    if owner := origin.get("OwningService"):
        raise RenameRefused(
            f"the secret {name} belongs to {owner}", reason="managed", remedy="Only this service can."
        )
    if origin.get("PrimaryRegion", _region(origin)) != _region(origin):
        primary = arn_in(origin["PrimaryRegion"], origin["ARN"])
        raise RenameRefused(f"{name} is a replica", reason="replica", remedy=f"Rename {primary}.")
    if "DeletedDate" in origin:
        remedy = f"Run `rotators restore {_id(origin)} --yes` first."
        raise RenameRefused(f"{name} is scheduled for deletion", reason="deleted", remedy=remedy)
    if new.startswith("arn:"):
        raise RenameRefused(f"{new} is an ARN, not a name", reason="no-name")
    if copy is not None and _tags(copy).get(ORIGIN) != _origin(origin["ARN"]):
        raise RenameRefused(f"another secret has the name {new}", reason="name-taken")
    _check_no_rotation(origin)


def _check_no_rotation(origin: Mapping[str, Any]) -> None:
    pending, current = _holder(origin, Stage.PENDING), _holder(origin, Stage.CURRENT)
    if pending not in {None, current}:
        raise RenameRefused(
            f"a rotation of {origin['Name']} is in progress or has failed",
            reason="rotation-under-way",
            remedy=f"Run `rotators doctor {_id(origin)}`, complete or repair the rotation, then repeat.",
        )


class _Renaming:
    """The changes that remain.

    Args:
        origin: DescribeSecret of the old secret.
        copy: DescribeSecret of the new one; empty if there is none.
        new: its name.
    """

    def __init__(self, origin: Mapping[str, Any], copy: Mapping[str, Any], new: str) -> None:
        self._origin, self._copy, self._new = origin, copy, new
        self._old, self._arn = str(origin["Name"]), str(origin["ARN"])

    def plan(self) -> Iterator[Change]:
        """Yield the changes, in their order."""
        arn: str | None = self._copy.get("ARN")
        copied = list(self._copied())
        for stage, _ in copied:
            self._value(stage)  # before the rotation is turned off, because a copy without it is of no use
        rotates = ROTATES in _tags(self._copy) if self._copy else bool(self._origin.get("RotationEnabled"))
        if not self._copy:
            words = f"create it with the description, the tags and the key of {self._old}"
            create = partial(self._create, rotates=rotates)
            yield Change(self._new, words, create, operation="CreateSecret")
        if self._origin.get("RotationEnabled"):
            cancel = partial(call_secrets_manager, self._arn, "CancelRotateSecret")
            yield Change(self._old, "turn rotation off", cancel, self._arn, "CancelRotateSecret")
        for stage, version in copied:
            words = f"copy the value with {stage} (version {version[:8]})"
            yield Change(self._new, words, partial(self._put, stage), arn, "PutSecretValue")
        if self._policy() is not None and not self._has_policy():
            words = "copy the resource policy, with the new name in it"
            yield Change(self._new, words, self._put_policy, arn, "PutResourcePolicy")
        if missing := self._missing_replicas():
            regions = ", ".join(each["Region"] for each in missing)
            replicate = partial(self._call, "ReplicateSecretToRegions", AddReplicaRegions=missing)
            yield Change(self._new, f"replicate to {regions}", replicate, arn, "ReplicateSecretToRegions")
        if rotates:
            words = "turn rotation on, with the schedule of the old name"
            yield Change(self._new, words, self._rotate, arn, "RotateSecret")

    def _copied(self) -> Iterator[tuple[Stage, str]]:
        """Yield the stages whose values remain to be copied, with their versions."""
        for stage in () if self._has_own_value() else _COPIED:
            version = _holder(self._origin, stage)
            if version and version not in self._copy.get("VersionIdsToStages", {}):
                yield stage, version

    def _has_own_value(self) -> bool:
        """Return True if the copy has a newer value of its own; older values must not become current then."""
        current = _holder(self._copy, Stage.CURRENT)
        if current is None:
            return False
        return current not in {each.id for each in versions_of(self._arn)}

    def _call(self, operation: str, **parameters: Any) -> Any:
        """Call Secrets Manager about the new secret, in the Region of the old one."""
        return call_secrets_manager(self._arn, operation, SecretId=self._new, **parameters)

    def _create(self, *, rotates: bool) -> object:
        # Only AWS can set its own tags, and the other ones describe work on the old secret.
        tags = {
            key: value for key, value in _tags(self._origin).items() if not key.startswith(("aws:", ROTATES))
        }
        tags |= {ORIGIN: _origin(self._arn), **({ROTATES: "true"} if rotates else {})}
        more = {name: self._origin[name] for name in ("Description", "KmsKeyId") if self._origin.get(name)}
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        with clients.in_region_of(self._arn):
            client = clients.secrets_lister()
        return call(client, "CreateSecret", self._arn, Name=self._new, Tags=listed, **more)

    def _put(self, stage: Stage) -> object:
        # Read again: a rotation may have begun before it was turned off.
        _check_no_rotation(description_of(self._arn))
        return self._call("PutSecretValue", **self._value(stage))

    def _value(self, stage: Stage) -> dict[str, Any]:
        """Return the parameters that store the value of a version of the old secret in the copy."""
        read = call_secrets_manager(self._arn, "GetSecretValue", VersionStage=stage)
        version = SecretVersion.of(read).opened()
        # A sealed value can be opened only for its own secret, so it is sealed again.
        return {"ClientRequestToken": version.version, **stored(self._new, version.content)}

    def _policy(self) -> str | None:
        """Return the policy of the old secret, with the new name in ARNs."""
        policy = policy_of(self._arn)
        beginning = self._arn[: -len("-AbCdEf")]
        return policy and policy.replace(self._arn, f"{beginning[: -len(self._old)]}{self._new}-??????")

    def _has_policy(self) -> bool:
        return bool(self._copy) and policy_of(str(self._copy["ARN"])) is not None

    def _put_policy(self) -> object:
        return self._call("PutResourcePolicy", ResourcePolicy=self._policy(), BlockPublicPolicy=True)

    def _missing_replicas(self) -> list[dict[str, str]]:
        there = {each["Region"] for each in self._copy.get("ReplicationStatus", ())}
        names = ("Region", "KmsKeyId")
        return [
            {name: each[name] for name in names if each.get(name)}
            for each in self._origin.get("ReplicationStatus", ())
            if each["Region"] not in there
        ]

    def _rotate(self) -> None:
        rules = dict(self._origin.get("RotationRules", {}))
        if "ScheduleExpression" in rules:
            rules.pop("AutomaticallyAfterDays", None)  # the service computes it from the other one
        function = self._origin["RotationLambdaARN"]
        self._call("RotateSecret", RotationLambdaARN=function, RotationRules=rules, RotateImmediately=False)
        self._call("UntagResource", TagKeys=[ROTATES])


def _holder(described: Mapping[str, Any], stage: Stage) -> str | None:
    return holder(described.get("VersionIdsToStages", {}), stage)


def _origin(arn: str) -> str:
    return arn if len(arn) <= _LONGEST_VALUE else hashlib.sha256(arn.encode()).hexdigest()


def _tags(described: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in described.get("Tags", ())}


def _id(described: Mapping[str, Any]) -> str:
    return clients.short_id(described["Name"], described["ARN"])


def _region(described: Mapping[str, Any]) -> str:
    return str(described["ARN"]).split(":")[3]
