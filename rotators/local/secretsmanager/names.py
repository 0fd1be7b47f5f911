"""Names of secrets in requests, and the operations that refuse an invalid one before the look-up.

Recorded on AWS (LocalStack's tests, test_invalid_secret_name) for all operations below but RotateSecret,
which refused an empty name (hashicorp/terraform-provider-aws#39406). Nothing is known about other operations,
so they do not find the secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rotators.local.secretsmanager.refusals import refusal, too_long

CHECKING = {
    "create_secret": "Name",
    "delete_secret": "SecretId",
    "describe_secret": "SecretId",
    "get_secret_value": "SecretId",
    "list_secret_version_ids": "SecretId",
    "put_secret_value": "SecretId",
    "rotate_secret": "SecretId",
    "tag_resource": "SecretId",
    "untag_resource": "SecretId",
    "update_secret": "SecretId",
    "validate_resource_policy": "SecretId",
}
"""Operations that refuse an invalid name, by moto's names, and the member of the request that has it."""

_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]+")
_LONGEST_NAME = 512


def check_name(params: Mapping[str, Any], member: str) -> None:
    """Refuse a request with an invalid name of a secret; ARNs of secrets are not checked.

    Args:
        params: members of the request.
        member: member with the name.

    Raises:
        SecretsManagerClientError: ValidationException.
    """
    name = params.get(member)
    if name is None or (member != "Name" and name.startswith("arn:")):
        return
    if not _NAME.fullmatch(name):
        message = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the"
        raise refusal("ValidationException", f"{message} following: -/_+=.@!")
    if member == "Name" and len(name) > _LONGEST_NAME:
        raise too_long("name", _LONGEST_NAME)
