"""The KMS keys of an account and Region, and the versions of secrets that each key encrypts.

UpdateSecret encrypts only versions with a stage again, so a secret can have versions under its former keys
(API reference, UpdateSecret, KmsKeyId). Only ListSecretVersionIds shows them. Source: KMS API reference,
ListKeys, DescribeKey, GetKeyRotationStatus and ListAliases.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rotators.aws import clients
from rotators.aws.secrets import Version
from rotators.core.errors import AccessDenied, KeyUnusable, RequestRefused, RotatorsError
from rotators.manage.calls import call, elements, versions_of
from rotators.manage.inventory import Entry
from rotators.manage.keys import OWN_KEY

SYMMETRIC = "SYMMETRIC_DEFAULT"
"""Key spec of the keys that encrypt secrets."""

OWN_ALIAS = f"alias/{OWN_KEY}"
"""Alias of the key of Secrets Manager, as UpdateSecret accepts it."""

_OWN_KEY_IN_VERSIONS = "DefaultEncryptionKey"  # API reference, SecretVersionsListEntry, KmsKeyIds
_ALL_KEYS = "the keys of the account"
_ENABLED = "Enabled"
_CUSTOMER = "CUSTOMER"


@dataclass(frozen=True)
class KeyEntry:
    """A KMS key.

    Attributes:
        arn: ARN of the key.
        aliases: names of its aliases, such as ``alias/app``.
        spec, usage: its key spec and key usage.
        state: its state, such as ``Enabled``.
        managed_by_aws: True for the keys of AWS's services, such as aws/secretsmanager.
        deletion: time at which it is deleted; None if that is not planned.
        period: days between automatic rotations; None if it is not rotated automatically.
        next_rotation: time of its next automatic rotation, or None.
        primary: ARN of its primary key if it is the replica of a multi-Region key, else None.
    """

    arn: str
    aliases: Sequence[str]
    spec: str
    usage: str
    state: str
    managed_by_aws: bool
    deletion: dt.datetime | None = None
    period: int | None = None
    next_rotation: dt.datetime | None = None
    primary: str | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return self.arn.rpartition("/")[2]

    @property
    def name(self) -> str:
        """Its first alias; without one, its id."""
        return self.aliases[0] if self.aliases else self.id

    @property
    def enabled(self) -> bool:
        """True if it can be used."""
        return self.state == _ENABLED

    @property
    def region(self) -> str:
        """The Region that it is in."""
        return self.arn.split(":")[3]

    @property
    def of_secrets_manager(self) -> bool:
        """True for aws/secretsmanager."""
        return OWN_ALIAS in self.aliases

    @property
    def symmetric(self) -> bool:
        """True if it is a symmetric encryption key, the only kind that encrypts secrets and that rotates."""
        return self.spec == SYMMETRIC


def key_entries(unread: list[tuple[str, RotatorsError]]) -> Iterator[KeyEntry]:
    """List the keys of the account and Region, those of AWS too.

    Args:
        unread: gets the ARNs of keys that the caller may not describe, with the error.

    Yields:
        The keys.

    Raises:
        StoreError: the keys or the aliases could not be listed, or a key could not be read.
    """
    client = clients.kms_lister()
    aliases = _aliases(client)
    for each in elements(client, "ListKeys", _ALL_KEYS, "Keys"):
        arn = each["KeyArn"]
        try:
            entry = _entry(client, _metadata(client, arn), aliases)
        except AccessDenied as error:
            unread.append((arn, error))
        except RequestRefused as error:
            if error.reason != "key":  # it was deleted after it was listed
                raise
        else:
            yield entry


def key_entry(named: str, *, rotation: bool = True) -> KeyEntry:
    """Describe a key.

    Args:
        named: its id, ARN or alias; a key of another account by its ARN.
        rotation: False to leave its rotation out, which another account seldom permits to read.

    Returns:
        The key.

    Raises:
        StoreError: KMS has no such key, or the caller may not describe it.
    """
    with clients.in_region_of(named):
        client = clients.kms_lister()
    return _entry(client, _metadata(client, named), _aliases(client), rotation=rotation)


def key_state(arn: str) -> str | None:
    """Return the state of a key that cannot be used now; None if it can.

    Args:
        arn: its ARN, or its name in a secret.

    Raises:
        StoreError: there is no such key, or the caller may not describe it.
    """
    with clients.in_region_of(arn):
        state = str(_metadata(clients.kms_lister(), arn)["KeyState"])
    return None if state == _ENABLED else state


def _metadata(client: Any, named: str) -> Any:
    return call(client, "DescribeKey", named, "KeyMetadata", KeyId=named)


def _entry(
    client: Any, found: Mapping[str, Any], aliases: Mapping[str, Sequence[str]], *, rotation: bool = True
) -> KeyEntry:
    of_aws = found["KeyManager"] != _CUSTOMER
    status: Mapping[str, Any] = {}
    if rotation and found["KeySpec"] == SYMMETRIC and not of_aws:
        # Refused for keys of custom key stores and for those without key material, which do not rotate.
        with suppress(KeyUnusable, RequestRefused):
            status = call(client, "GetKeyRotationStatus", found["Arn"], KeyId=found["Arn"])
    return KeyEntry(
        arn=found["Arn"],
        aliases=aliases.get(found["KeyId"], ()),
        spec=found["KeySpec"],
        usage=found["KeyUsage"],
        state=found["KeyState"],
        managed_by_aws=of_aws,
        deletion=found.get("DeletionDate"),
        period=status.get("RotationPeriodInDays") if status.get("KeyRotationEnabled") else None,
        next_rotation=status.get("NextRotationDate"),
        primary=_primary(found),
    )


def _primary(found: Mapping[str, Any]) -> str | None:
    shared: Mapping[str, Any] = found.get("MultiRegionConfiguration", {})
    return str(shared["PrimaryKey"]["Arn"]) if shared.get("MultiRegionKeyType") == "REPLICA" else None


def _aliases(client: Any) -> dict[str, list[str]]:
    """Return the names of the aliases of each key, by the key's id."""
    found: dict[str, list[str]] = {}
    for each in elements(client, "ListAliases", _ALL_KEYS, "Aliases"):
        if key_id := each.get("TargetKeyId"):  # aliases of AWS may have no key yet
            found.setdefault(key_id, []).append(each["AliasName"])
    return found


def secrets_by_key(keys: Iterable[KeyEntry], entries: Iterable[Entry]) -> dict[str, int]:
    """Count the secrets that name each key.

    Args:
        keys: the keys.
        entries: the secrets.

    Returns:
        The ARN of a key to the number of secrets.
    """
    arns = {spelling: key.arn for key in keys for spelling in spellings(key)}
    named = (entry.key or OWN_ALIAS for entry in entries)
    return Counter(arns[each] for each in named if each in arns)


def spellings(key: KeyEntry) -> frozenset[str]:
    """Return the names that a secret or a version can have for a key: ARN, id, and aliases.

    Args:
        key: the key.

    Returns:
        ARN, id, and each alias with and without the prefix of an ARN.
    """
    beginning = key.arn.rpartition(":")[0]
    aliases = {text for alias in key.aliases for text in (alias, f"{beginning}:{alias}")}
    own = {_OWN_KEY_IN_VERSIONS} if key.of_secrets_manager else set()
    return frozenset({key.arn, key.id, *aliases, *own})


def versions_under(key: KeyEntry, entry: Entry) -> list[Version]:
    """Find the versions of a secret that a key encrypts.

    Args:
        key: the key.
        entry: the secret.

    Returns:
        The versions, those without a stage too, newest first.

    Raises:
        StoreError: the versions could not be listed.
    """
    names = spellings(key)
    return [version for version in versions_of(entry.arn) if not names.isdisjoint(version.keys)]


def other_keys(key: KeyEntry, version: Version) -> list[str]:
    """Return the other keys of a version, which was encrypted again.

    Args:
        key: the key.
        version: the version.

    Returns:
        Names as the service returned them.
    """
    return [each for each in version.keys if each not in spellings(key)]


class Needs:
    """Decides which versions need a key, because no other key that can be used decrypts them.

    Args:
        key: the key.
    """

    def __init__(self, key: KeyEntry) -> None:
        self._key = key
        self._usable: dict[str, bool] = {}

    def of(self, version: Version) -> bool:
        """Return True if a version needs the key; also if it is not known whether another one can be used.

        Args:
            version: a version under the key.

        Raises:
            StoreError: KMS cannot be asked.
        """
        return not any(map(self._is_usable, other_keys(self._key, version)))

    def _is_usable(self, named: str) -> bool:
        if named == _OWN_KEY_IN_VERSIONS:  # it cannot be disabled
            return True
        if named not in self._usable:
            try:
                with clients.in_region_of(self._key.arn):
                    self._usable[named] = key_state(named) is None
            except (AccessDenied, RequestRefused) as error:  # RequestRefused: the key no longer exists
                if error.reason == "credentials":
                    raise
                self._usable[named] = False
        return self._usable[named]
