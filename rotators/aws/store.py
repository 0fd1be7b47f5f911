"""The store: Secrets Manager as the core sees it, on boto3.

Normal rotation in a warm container: DescribeSecret once a step (the labels must be fresh), the current
value once, one look for a pending value, one write, one move of the label. Versions never change once they
hold a value, so a value that was read or written is kept for a while by its version id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rotators.aws import clients
from rotators.aws.admins import with_rds_address
from rotators.aws.faults import not_aws, translated
from rotators.aws.versions import all_versions
from rotators.cache.cache import Cache
from rotators.core.contracts import SecretState, Unlabelled
from rotators.core.errors import SecretFormatError, SecretNotFound
from rotators.core.secret import Secret
from rotators.core.states import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_secretsmanager.type_defs import SecretVersionsListEntryTypeDef

CLEAR_TEXT_SECONDS = 300.0
"""How long a warm container keeps a value in memory: longer than a rotation, shorter than a coffee break."""

_values: Cache[tuple[str, str], Secret] = Cache(ttl=CLEAR_TEXT_SECONDS, max_entries=64)


class SecretStore:
    """Secrets Manager; see core/contracts.py ``Store`` for the methods.

    Args:
        client: a boto3 client; the process's shared one when left out.
        values: the memory of values; the process's shared one when left out.
    """

    def __init__(
        self,
        client: SecretsManagerClient | None = None,
        values: Cache[tuple[str, str], Secret] | None = None,
    ) -> None:
        self._given = client
        self._values = _values if values is None else values

    @property
    def _client(self) -> SecretsManagerClient:
        return self._given or clients.secrets_manager()

    def describe(self, secret_id: str) -> SecretState:
        """See Store.describe."""
        answer = self._described(secret_id)
        # The service leaves empty fields out (API:DescribeSecret).
        return SecretState(
            arn=answer["ARN"],
            rotation_enabled=bool(answer.get("RotationEnabled", False)),
            stages=answer.get("VersionIdsToStages", {}),
        )

    def value(self, arn: str, version: str) -> Secret | None:
        """See Store.value. A missing value is asked for again each time; a value is kept."""
        known = self._values.peek((arn, version))
        if known is not None:
            return known
        try:
            with translated("GetSecretValue", arn):
                answer = self._client.get_secret_value(SecretId=arn, VersionId=version)
        except SecretNotFound:
            return None
        value = _parsed(answer)
        self._values.put((arn, version), value)
        return value

    def put_pending(self, arn: str, token: str, value: Secret, rotation_token: str | None) -> None:
        """See Store.put_pending. The rotation token proves to the service that its rotation stores this."""
        proof: dict[str, Any] = {"RotationToken": rotation_token} if rotation_token else {}
        with translated("PutSecretValue", arn):
            self._client.put_secret_value(
                SecretId=arn,
                ClientRequestToken=token,
                SecretString=value.to_string(),
                VersionStages=[Stage.PENDING],
                **proof,
            )
        self._values.put((arn, token), value)

    def promote(self, arn: str, token: str, current: str | None) -> None:
        """See Store.promote. One call; AWSPREVIOUS follows by itself (API:UpdateSecretVersionStage)."""
        source = {"RemoveFromVersionId": current} if current else {}
        with translated("UpdateSecretVersionStage", arn):
            self._client.update_secret_version_stage(
                SecretId=arn, VersionStage=Stage.CURRENT, MoveToVersionId=token, **source
            )

    def unlabelled(self, arn: str) -> Unlabelled:
        """See Store.unlabelled."""
        versions = sorted(all_versions(arn, self._client), key=_created, reverse=True)
        current = next((each for each in versions if Stage.CURRENT in each.get("VersionStages", ())), None)
        found = [each for each in versions if not {*each.get("VersionStages", ())} & {*Stage}]
        # Of one moment counts as newer: it is tried earlier then, and nothing else depends on it.
        newer = [current is not None and _created(each) >= _created(current) for each in found]
        return Unlabelled(
            lost=[each["VersionId"] for each, is_newer in zip(found, newer, strict=True) if is_newer],
            replaced=[each["VersionId"] for each, is_newer in zip(found, newer, strict=True) if not is_newer],
        )

    def admin(self, arn: str) -> Secret:
        """See Store.admin. Read once a rotation, and never kept: its version is not known beforehand.

        An ARN of another Region is read from that Region.
        """
        with clients.in_region_of(arn):
            with translated("GetSecretValue", arn):
                answer = self._client.get_secret_value(SecretId=arn, VersionStage=Stage.CURRENT)
            value = _parsed(answer)
            if "host" in value:
                return value
            return with_rds_address(value, self._described(arn).get("Tags", []))

    def _described(self, secret_id: str) -> Mapping[str, Any]:
        with translated("DescribeSecret", secret_id):
            answer = self._client.describe_secret(SecretId=secret_id)
        if "ARN" not in answer:
            raise not_aws("DescribeSecret", secret_id)
        return answer


def _created(version: SecretVersionsListEntryTypeDef) -> float:
    created = version.get("CreatedDate")
    return created.timestamp() if created else 0.0


def _parsed(answer: Mapping[str, Any]) -> Secret:
    if "SecretString" not in answer:
        raise SecretFormatError("the secret is binary; a rotation needs a SecretString with a JSON object")
    return Secret.from_string(answer["SecretString"])
