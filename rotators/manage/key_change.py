"""Moves secrets from one KMS key to another, and proves for each version that it was encrypted again.

UpdateSecret with a new key encrypts the versions with AWSCURRENT, AWSPENDING and AWSPREVIOUS again. Without
kms:Encrypt on the new key or kms:Decrypt on the old one it succeeds but encrypts nothing again. Only the keys
in the response of ListSecretVersionIds prove the change. A version that was encrypted again keeps its old key
too; each of them decrypts it. Versions with other stages must be stored again, and those without a stage stay
under the old key (API reference, UpdateSecret; User Guide, manage_update-encryption-key and
security-encryption).

A secret is moved completely or keeps its key: if a version was not encrypted again, the old key of the secret
is restored.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from rotators.aws.secrets import Version
from rotators.core.errors import RotatorsError
from rotators.core.states import Stage
from rotators.manage.calls import call_secrets_manager, replicas_of, versions_of
from rotators.manage.changes import Change, ChangeOutcome, Remark
from rotators.manage.errors import KeyCannotServe, KeyChangeIncomplete, KeyChangeRefused
from rotators.manage.inventory import Entry, described
from rotators.manage.key_inventory import OWN_ALIAS, KeyEntry, key_entry, key_state, spellings
from rotators.manage.key_permissions import KeyPermissions

COPY_STAGE = "rotators-key-change"
"""Stage of a version that is stored again, until it has the stages of the version that it replaces."""

_FOLLOWING = {Stage.CURRENT, Stage.PENDING, Stage.PREVIOUS}
"""Stages whose versions UpdateSecret encrypts again."""


class KeyChange:
    """The change of secrets from one key to another.

    Args:
        old: present key of the secrets.
        new: new key of the secrets.
        permissions: decides who may use the keys.

    Attributes:
        changes: one for each planned secret that can be moved.
        refused: planned secrets that cannot be moved, each with the reason.
        remarks: versions that stay under the old key, and facts that were not checked.
        unchanged: number of the planned secrets that are not under the old key.

    Raises:
        KeyCannotServe: secrets cannot be moved from the old key, or not to the new one.
    """

    def __init__(self, old: KeyEntry, new: KeyEntry, permissions: KeyPermissions) -> None:
        _check(old, new)
        self._old, self._new, self._permissions = old, new, permissions
        self._names = {**dict.fromkeys(spellings(old), old.arn), **dict.fromkeys(spellings(new), new.arn)}
        self._both = {old.arn, new.arn}
        self.changes: list[Change] = []
        self.refused: list[ChangeOutcome] = []
        self.remarks: list[Remark] = []
        self.unchanged = 0

    def plan(self, entry: Entry) -> None:
        """Plan the change of a secret.

        Args:
            entry: the secret, as it is.

        Raises:
            StoreError: its versions could not be listed, or it could not be described.
        """
        found = versions_of(entry.arn)
        names, staged = self._key_of(entry), [each for each in found if each.stages and self._is_left(each)]
        begun = any(COPY_STAGE in each.stages for each in found)
        if not staged and not begun and names != self._old.arn:
            self.unchanged += 1
            self._remark(entry, found, moves=False)
            return
        between = f"from {self._old.name} to {self._new.name}"
        words = f"move {_counted(staged)} {between}" if staged else f"move new values {between}"
        if entry.interrupted:
            words += "; a rotation is not finished"
        change = Change(entry.name, words, partial(self._move, entry), entry.arn, "UpdateSecret")
        try:
            self._check_secret(entry, names)
            self._check_rotation(entry, found)
            self.remarks += self._permissions.check(entry, self._old, self._new)
        except KeyChangeRefused as error:
            self.refused.append(ChangeOutcome(change, error))
            self._remark(entry, found, moves=False)
        else:
            self.changes.append(change)
            self._remark(entry, found, moves=True)

    def _check_secret(self, entry: Entry, names: str) -> None:
        if entry.deleted is not None:
            raise KeyChangeRefused(
                f"the secret {entry.name} is scheduled for deletion, and remains under {self._old.name}",
                reason="deleted",
                remedy=f"Run `rotators restore {entry.id} --yes`, or keep the key until it is deleted.",
            )
        if entry.owner is not None:
            raise KeyChangeRefused(
                f"the secret {entry.name} belongs to {entry.owner}",
                reason="managed",
                remedy="Only this service can.",
            )
        if entry.region != self._new.region:
            raise KeyChangeRefused(
                f"the secret {entry.name} is in {entry.region}, and the key {self._new.name} in "
                f"{self._new.region}",
                reason="region",
                remedy="Name keys of the Region of the secret.",
            )
        if names not in self._both:
            raise KeyChangeRefused(
                f"versions of {entry.name} are under {self._old.name}, but the secret names {names}",
                reason="other-key",
                remedy=f"Run the command with --from {names}; it moves these versions too.",
            )

    def _check_rotation(self, entry: Entry, found: Sequence[Version]) -> None:
        """Refuse to store versions again during a rotation.

        Secrets Manager abandons a rotation if a value is stored meanwhile, and removes AWSPENDING
        (UG:cloudtrail_log_entries, RotationAbandoned); the target may already accept the pending value.
        """
        if entry.interrupted and (copied := [each for each in found if self._is_copied(each)]):
            raise KeyChangeRefused(
                f"{_named(copied)} of {entry.name} must be stored again, and a rotation is not finished: "
                "Secrets Manager would abandon it",
                reason="rotation",
                remedy="Wait until the rotation has ended; if it is stuck, run "
                f"`rotators doctor {entry.id}`. Then repeat the command.",
            )

    def _remark(self, entry: Entry, found: Sequence[Version], *, moves: bool) -> None:
        """Add remarks about versions that stay under the old key, or under others."""
        old, words = self._old.name, []
        left = [each for each in found if self._is_left(each)]
        if lost := [each for each in left if not each.stages]:
            words.append(f"without a stage, stays under {old}: {_named(lost)}")
        if moves and (copied := [each for each in left if self._is_copied(each)]):
            words.append(f"stored again for its stages; the original stays under {old}: {_named(copied)}")
        if self._key_of(entry) in self._both:
            for each in found:
                if each.stages and self._is_elsewhere(each):
                    may = moves and _follows(each)
                    then = "moves only if that key decrypts it" if may else "stays there"
                    words.append(f"{_named([each])} is under {', '.join(each.keys)}, and {then}")
        if moves and entry.is_primary:
            words += _replicas(entry)
        self.remarks += [Remark(entry.name, each) for each in words]

    def _move(self, entry: Entry) -> object:
        """Move a secret.

        Returns:
            The answer of UpdateSecret; None if the secret had the new key already.

        Raises:
            KeyChangeRefused: the secret or its key differs from the plan; nothing was changed.
            KeyChangeIncomplete: versions were not encrypted again.
            StoreError: a call was refused.
        """
        if state := key_state(self._old.arn):
            # UpdateSecret would succeed, encrypt nothing again, and could not be undone.
            raise KeyChangeRefused(
                f"{self._old.name} became {state}, so {entry.name} remains under it",
                reason="state",
                remedy="Enable the key, and repeat the command.",
            )
        names = self._key_of(fresh := described(entry.arn))
        self._check_secret(fresh, names)
        found, answer = versions_of(entry.arn), None
        self._check_rotation(fresh, found)
        for each in found:
            if COPY_STAGE in each.stages:  # remains of an interrupted command
                _move_stage(entry, COPY_STAGE, each.id, None)
        if names == self._new.arn and self._following(found):
            self._update(entry, self._old)  # only a change of the key encrypts again
            names = self._old.arn
        if names == self._old.arn:
            answer = self._update(entry, self._new)
            found = versions_of(entry.arn)
        if left := self._following(found):
            spelled = fresh.key if self._key_of(fresh) == self._old.arn else None
            self._put_back(entry, left, spelled)
        copied = [each for each in found if self._is_copied(each)]
        for each in copied:
            self._copy(entry, each)
        if copied:
            found = versions_of(entry.arn)
        if unproved := [each for each in found if self._is_unproved(each)]:
            raise KeyChangeIncomplete(
                f"the secret {entry.name} was moved to {self._new.name}, except {_named(unproved)}",
                reason="unproved",
            )
        return answer

    def _put_back(self, entry: Entry, left: Sequence[Version], spelled: str | None) -> None:
        """Restore the old key of a secret, with its original spelling, and raise the error."""
        cause = f"{_named(left)} of {entry.name} stayed under {self._old.name}"
        try:
            self._update(entry, self._old, spelled)
        except RotatorsError as error:
            raise KeyChangeIncomplete(
                f"the old key could not be set again ({error.cause}), so new versions get {self._new.name}; "
                f"{cause}",
                reason="not-put-back",
            ) from None
        raise KeyChangeIncomplete(f"{cause}, which the secret keeps", reason="put-back")

    def _copy(self, entry: Entry, version: Version) -> None:
        """Store a version again, under the new key, and move its stages to the copy.

        Each stage is moved only if the version still has it, so no newer value is replaced.

        Raises:
            KeyChangeIncomplete: a rotation has begun meanwhile, see ``_check_rotation``.
        """
        if described(entry.arn).interrupted:
            raise KeyChangeIncomplete(
                f"the secret {entry.name} was moved to {self._new.name}, except "
                f"{_named([version])}, because a rotation began",
                reason="rotation",
                remedy="Keep the old key, and repeat the command when the rotation has ended.",
            )
        value = call_secrets_manager(entry.arn, "GetSecretValue", VersionId=version.id)
        content = {name: value[name] for name in ("SecretString", "SecretBinary") if name in value}
        copy = str(uuid.uuid4())
        staged = {"ClientRequestToken": copy, "VersionStages": [COPY_STAGE]}
        call_secrets_manager(entry.arn, "PutSecretValue", **staged, **content)
        for stage in version.stages:
            if stage != COPY_STAGE:
                _move_stage(entry, stage, version.id, copy)
        _move_stage(entry, COPY_STAGE, copy, None)

    def _update(self, entry: Entry, key: KeyEntry, spelled: str | None = None) -> object:
        named = spelled or (OWN_ALIAS if key.of_secrets_manager else key.arn)
        return call_secrets_manager(entry.arn, "UpdateSecret", KmsKeyId=named)

    def _following(self, found: Iterable[Version]) -> list[Version]:
        """Return the versions under the old key that a change of the key encrypts again."""
        return [each for each in found if self._is_left(each) and _follows(each)]

    def _is_left(self, version: Version) -> bool:
        """Return True if the old key decrypts a version, and the new one does not."""
        keys = self._keys(version)
        return self._old.arn in keys and self._new.arn not in keys

    def _is_copied(self, version: Version) -> bool:
        """Return True if an old-key version is stored again, because no change of the key follows it."""
        others = {*version.stages} - {COPY_STAGE}
        return bool(others) and not _follows(version) and self._is_left(version)

    def _is_elsewhere(self, version: Version) -> bool:
        """Return True if other keys than these two decrypt a version."""
        return bool(version.keys) and self._both.isdisjoint(self._keys(version))

    def _is_unproved(self, version: Version) -> bool:
        """Return True if a version should be under the new key, but there is no proof.

        A pending version without keys has no value yet.
        """
        keys = self._keys(version)
        if self._new.arn in keys:
            return False
        empty = not keys and _FOLLOWING & {*version.stages} == {Stage.PENDING}
        return (_follows(version) and not empty) or (bool(version.stages) and self._old.arn in keys)

    def _keys(self, version: Version) -> set[str]:
        return {self._arn(key) for key in version.keys}

    def _key_of(self, entry: Entry) -> str:
        return self._arn(entry.key or OWN_ALIAS)

    def _arn(self, key: str) -> str:
        """Return the ARN of a key; if it cannot be described, its name in the secret."""
        if key not in self._names:
            try:
                self._names[key] = key_entry(key, rotation=False).arn
            except RotatorsError:
                self._names[key] = key
        return self._names[key]


def _check(old: KeyEntry, new: KeyEntry) -> None:
    if old.arn == new.arn:
        raise KeyCannotServe(f"{old.name} and {new.name} are the same key", reason="same")
    if old.region != new.region:
        raise KeyCannotServe(
            f"the key {old.name} is in {old.region}, and the key {new.name} in {new.region}",
            reason="region",
            remedy="Name keys of the Region of the secrets.",
        )
    for key in (old, new):
        if not key.symmetric:
            raise KeyCannotServe(
                f"{key.name} is a key ({key.spec}, {key.usage}); Secrets Manager accepts only symmetric keys",
                reason="asymmetric",
            )
        if key.managed_by_aws and not key.of_secrets_manager:
            raise KeyCannotServe(f"{key.name} belongs to another service of AWS", reason="of-aws")
        if not key.enabled:
            raise KeyCannotServe(
                f"{key.name} is {key.state}, so it can neither decrypt nor encrypt",
                reason="state",
                remedy="Cancel its deletion, then enable it with EnableKey, and repeat the command."
                if key.deletion
                else "Enable it with EnableKey, and repeat the command.",
            )


def _replicas(entry: Entry) -> Iterator[str]:
    for each in replicas_of(entry.arn):
        key = each.get("KmsKeyId") or OWN_ALIAS
        yield f"its replica in {each['Region']} has a key of that Region, and keeps it: {key}"


def _move_stage(entry: Entry, stage: str, source: str, target: str | None) -> None:
    moved = {"VersionStage": stage, "RemoveFromVersionId": source}
    to = {} if target is None else {"MoveToVersionId": target}
    call_secrets_manager(entry.arn, "UpdateSecretVersionStage", **moved, **to)


def _follows(version: Version) -> bool:
    return not _FOLLOWING.isdisjoint(version.stages)


def _named(versions: Iterable[Version]) -> str:
    return ", ".join(
        f"version {each.id}" + (f" ({', '.join(each.stages)})" if each.stages else "") for each in versions
    )


def _counted(versions: Sequence[Version]) -> str:
    return f"{len(versions)} version{'' if len(versions) == 1 else 's'}"
