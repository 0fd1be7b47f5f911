"""Creates KMS keys: for secrets, with a policy for their use, or of another kind.

The alias is created last, so a key with its alias is complete. Until then, a tag of the key has the alias, so
a repeated command completes the key of an interrupted one.
Source: KMS API reference, CreateKey, PutKeyPolicy, EnableKeyRotation and CreateAlias.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rotators.aws import clients
from rotators.core.errors import AccessDenied, RequestRefused, RotatorsError
from rotators.manage.calls import call, elements
from rotators.manage.changes import Change
from rotators.manage.errors import KeyCannotBeCreated
from rotators.manage.key_inventory import SYMMETRIC, KeyEntry, key_entries, key_entry

DAYS = 365
"""Days between automatic rotations, which is KMS's default (API reference, EnableKeyRotation)."""

ENCRYPT, SIGN, MAC = "ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC"

_CURVES = ("NIST_P256", "NIST_P384", "NIST_P521", "SECG_P256K1", "NIST_EDWARDS25519")

USAGES = {
    SYMMETRIC: (ENCRYPT,),
    **{f"RSA_{bits}": (SIGN, ENCRYPT) for bits in (2048, 3072, 4096)},
    **{f"ECC_{curve}": (SIGN,) for curve in _CURVES},
    **{f"ML_DSA_{level}": (SIGN,) for level in (44, 65, 87)},
    **{f"HMAC_{bits}": (MAC,) for bits in (224, 256, 384, 512)},
}
"""Key specs with their key usages, the default first."""

MEANT_FOR = "created-for"
"""Tag of a key with the alias that it will get."""

_ALIAS = re.compile(r"alias/(?!aws/)[a-zA-Z0-9/_-]{1,250}")
_POLICY = "default"  # the name of every key policy


@dataclass(frozen=True)
class NewKey:
    """A key to be created.

    Attributes:
        alias: its name, such as ``alias/app``.
        spec, usage: its key spec and key usage.
        tags: tag key to value.
        days: days between automatic rotations, for a symmetric key.
    """

    alias: str
    spec: str = SYMMETRIC
    usage: str = ENCRYPT
    tags: Mapping[str, str] = field(default_factory=dict)
    days: int = DAYS


def creation(wanted: NewKey) -> list[Change]:
    """Plan the creation of a key.

    Args:
        wanted: the key.

    Returns:
        The changes that remain, each of which needs those before it; empty if the key exists.

    Raises:
        KeyCannotBeCreated: the name is not valid or is taken, or the spec does not have the usage.
        StoreError: the keys could not be read.
    """
    _check(wanted)
    existing = _named(wanted.alias)
    if existing is None:
        return list(_Creation(wanted, _begun(wanted)).plan())
    if (existing.spec, existing.usage) != (wanted.spec, wanted.usage):
        raise KeyCannotBeCreated(
            f"{wanted.alias} is already a key ({existing.spec}, {existing.usage})",
            reason="alias-taken",
            remedy="Choose another alias.",
        )
    if not existing.enabled:
        raise KeyCannotBeCreated(
            f"the key {wanted.alias} exists, and is {existing.state}",
            reason="alias-taken",
            remedy="Choose another alias, or cancel its deletion and enable it.",
        )
    return []


def _check(wanted: NewKey) -> None:
    if not _ALIAS.fullmatch(wanted.alias):
        raise KeyCannotBeCreated(
            f"{wanted.alias!r} is not a valid name of an alias",
            reason="alias",
            remedy="Write alias/ and letters, digits, '/', '_' or '-'; alias/aws/ belongs to AWS.",
        )
    usages = USAGES.get(wanted.spec, ())
    if wanted.usage not in usages:
        raise KeyCannotBeCreated(
            f"no key has the spec {wanted.spec} and the usage {wanted.usage}",
            reason="usage",
            remedy=f"Its usages are {', '.join(usages)}." if usages else "Choose another key spec.",
        )


def _named(alias: str) -> KeyEntry | None:
    try:
        return key_entry(alias)
    except RequestRefused as error:
        if error.reason == "key":
            return None
        raise


def _begun(wanted: NewKey) -> str | None:
    """Return the ARN of the key that an interrupted command has created for this alias."""
    unread: list[tuple[str, RotatorsError]] = []  # its creator can describe a key
    for key in key_entries(unread):
        fits = (key.spec, key.usage) == (wanted.spec, wanted.usage)
        unnamed = key.enabled and not key.aliases and not key.managed_by_aws
        if fits and unnamed and _tags(key.arn).get(MEANT_FOR) == wanted.alias:
            return key.arn
    return None


def _tags(arn: str) -> Mapping[str, str]:
    """Return the tags of a key; empty if they may not be read, because its creator may read them."""
    try:
        tags = elements(clients.kms_lister(), "ListResourceTags", arn, "Tags", KeyId=arn)
    except AccessDenied as error:
        if error.reason is not None:  # about the caller
            raise
        return {}
    return {tag["TagKey"]: tag["TagValue"] for tag in tags}


class _Creation:
    """The changes that remain.

    Args:
        wanted: the key.
        arn: ARN of the key that an interrupted command has created, or None.
    """

    def __init__(self, wanted: NewKey, arn: str | None) -> None:
        self._wanted, self._arn = wanted, arn

    def plan(self) -> Iterator[Change]:
        """Yield the changes, in their order."""
        wanted = self._wanted
        if self._arn is None:
            yield self._change(f"create a key ({wanted.spec}, {wanted.usage})", self._create)
        if wanted.spec == SYMMETRIC:
            yield self._change("permit its use through Secrets Manager only", self._put_policy)
            enable = partial(self._call, "EnableKeyRotation", RotationPeriodInDays=wanted.days)
            yield self._change(f"rotate it every {wanted.days} days", enable)
        begun = f" for the key {self._arn}, which was created for this name before" if self._arn else ""
        yield self._change(f"create the alias{begun}", self._name)

    def _change(self, words: str, run: Any) -> Change:
        return Change(self._wanted.alias, words, run, self._arn)

    def _create(self) -> None:
        wanted = self._wanted
        tags = {**wanted.tags, MEANT_FOR: wanted.alias}
        listed = [{"TagKey": key, "TagValue": value} for key, value in tags.items()]
        given = {"KeySpec": wanted.spec, "KeyUsage": wanted.usage, "Tags": listed}
        self._arn = call(clients.kms_lister(), "CreateKey", wanted.alias, "KeyMetadata", **given)["Arn"]

    def _put_policy(self) -> None:
        self._call("PutKeyPolicy", PolicyName=_POLICY, Policy=json.dumps(policy_for_secrets(str(self._arn))))

    def _name(self) -> None:
        alias = self._wanted.alias
        try:
            call(clients.kms_lister(), "CreateAlias", alias, AliasName=alias, TargetKeyId=self._arn)
        except RequestRefused:
            existing = _named(alias)
            if existing is None:
                raise
            if existing.arn != self._arn:
                raise KeyCannotBeCreated(
                    f"another command has created a key {alias} in the meantime; {self._arn} has no alias",
                    reason="alias-taken",
                    remedy=f"Delete that key: `aws kms schedule-key-deletion --key-id {self._arn}`.",
                ) from None
            # The answer to the first call was lost, and boto3 repeated it.

    def _call(self, operation: str, **parameters: Any) -> None:
        call(clients.kms_lister(), operation, self._wanted.alias, KeyId=self._arn, **parameters)


def policy_for_secrets(arn: str) -> dict[str, Any]:
    """Return the policy of a key that encrypts secrets.

    The policies of users and roles decide who may use it, as KMS recommends (KMS Developer Guide,
    key-policy-default), but only through Secrets Manager: no caller can decrypt what Secrets Manager has
    encrypted without it. The key encrypts nothing else, so it is needed only as long as a secret has a
    version under it.

    Args:
        arn: ARN of the key.

    Returns:
        The policy document.
    """
    _, partition, _, region, account, _ = arn.split(":", 5)
    suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Account",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Sid": "SecretsManagerOnly",
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
                "Resource": "*",
                "Condition": {"StringNotEquals": {"kms:ViaService": f"secretsmanager.{region}.{suffix}"}},
            },
        ],
    }
