"""All versions of a secret, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotators.aws import clients
from rotators.aws.faults import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import SecretVersionsListEntryTypeDef


def all_versions(
    arn: str, client: SecretsManagerClient | None = None
) -> Iterator[SecretVersionsListEntryTypeDef]:
    """Every version of a secret, those without a label included (API:ListSecretVersionIds).

    Args:
        arn: the secret.
        client: a boto3 client; the process's shared one when left out.

    Raises:
        AccessDenied: the role lacks secretsmanager:ListSecretVersionIds.
    """
    client = client or clients.secrets_manager()
    page: dict[str, Any] = {}
    while True:
        with translated("ListSecretVersionIds", arn):
            answer = client.list_secret_version_ids(SecretId=arn, IncludeDeprecated=True, **page)
        yield from answer["Versions"]
        if not answer.get("NextToken"):
            return
        page = {"NextToken": answer["NextToken"]}
