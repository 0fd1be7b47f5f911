"""The names that ListSecrets may use for a KMS key."""

from __future__ import annotations

from rotators.aws import clients
from rotators.manage.calls import call, elements

OWN_KEY = "aws/secretsmanager"
"""The key that AWS manages. ListSecrets omits it."""


def key_ids(named: str) -> frozenset[str]:
    """Return the spellings of a key: its ARN, its id, and its aliases with their ARNs.

    Args:
        named: alias, id or ARN of the key.

    Returns:
        The spellings; for ``alias/aws/secretsmanager`` the empty string too.

    Raises:
        StoreError: KMS has no such key, or the caller may not ask for it.
    """
    alias = f"alias/{OWN_KEY}"
    if named in {OWN_KEY, alias} or named.endswith(f":{alias}"):
        return frozenset({"", OWN_KEY, alias, named})
    with clients.in_region_of(named):
        client = clients.kms()
    key = call(client, "DescribeKey", named, "KeyMetadata", KeyId=named)
    aliases = elements(client, "ListAliases", named, "Aliases", KeyId=key["KeyId"])
    names = {text for each in aliases for text in (each["AliasName"], each["AliasArn"])}
    return frozenset({named, key["KeyId"], key["Arn"], *names})
