"""The gateway to Secrets Manager: all reads and writes of rotations, the client and doctor.

A normal rotation in a warm container needs one DescribeSecret per step (the stages must be up to date), one
read of the current value, one search for a pending value, one write and one move of the stage. The value of a
version never changes, so values that were read or written are kept for some time by version id.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from botocore.exceptions import ClientError

from rotators.aws import clients, sealing
from rotators.aws.addresses import with_address, with_admin_address
from rotators.aws.faults import not_aws, translate, translated
from rotators.cache.cache import Cache
from rotators.core.errors import (
    AccessDenied,
    RotatorsError,
    SecretFormatError,
    SecretNotFound,
    ServiceUnavailable,
)
from rotators.core.secret import Secret
from rotators.core.states import Stage
from rotators.core.store import SecretState, WithoutStage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_secretsmanager import SecretsManagerClient

CLEAR_TEXT_SECONDS = 300.0
"""The time in seconds for which a warm container keeps a value in memory: longer than a rotation."""

_BATCH = 20  # API:BatchGetSecretValue, SecretIdList

_values: Cache[tuple[str, str], Secret] = Cache(ttl=CLEAR_TEXT_SECONDS, max_entries=64)


class Version(NamedTuple):
    """One version of a secret, without its value.

    Attributes:
        id: its VersionId.
        stages: its stages.
        created: time of its creation, in UTC; None if the service does not say.
        accessed: day on which its value was last read; None for never, or if the service does not say.
        keys: KMS keys that it is encrypted with; ``DefaultEncryptionKey`` stands for aws/secretsmanager.
            Empty if the service does not say.
    """

    id: str
    stages: tuple[str, ...]
    created: dt.datetime | None
    accessed: dt.datetime | None = None
    keys: tuple[str, ...] = ()


def describe(secret_id: str, client: SecretsManagerClient | None = None) -> Mapping[str, Any]:
    """Return the response of DescribeSecret.

    Args:
        secret_id: name or ARN of the secret.
        client: a boto3 client; the process's shared one when left out.

    Returns:
        The response of the API as boto3 parses it, with at least ``ARN``.

    Raises:
        StoreError: the secret cannot be described.
    """
    with translated("DescribeSecret", secret_id):
        answer = (client or clients.secrets_manager()).describe_secret(SecretId=secret_id)
    if "ARN" not in answer:
        raise not_aws("DescribeSecret", secret_id)
    return answer


def list_versions(arn: str, client: SecretsManagerClient | None = None) -> tuple[Version, ...]:
    """Every version of a secret, those without a stage included (API:ListSecretVersionIds).

    Args:
        arn: ARN of the secret.
        client: a boto3 client; the process's shared one when left out.

    Returns:
        The versions, newest first.

    Raises:
        AccessDenied: the role lacks secretsmanager:ListSecretVersionIds.
    """
    ask = (client or clients.secrets_manager()).list_secret_version_ids
    pages = _pages("ListSecretVersionIds", arn, partial(ask, SecretId=arn, IncludeDeprecated=True))
    found = [
        Version(
            each["VersionId"],
            tuple(each.get("VersionStages", ())),
            each.get("CreatedDate"),
            each.get("LastAccessedDate"),
            tuple(each.get("KmsKeyIds", ())),
        )
        for page in pages
        for each in page["Versions"]
    ]
    return tuple(sorted(found, key=_created, reverse=True))


def _pages(action: str, about: str, ask: Callable[..., Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the pages of an answer; botocore has no paginator for these operations."""
    more: dict[str, str] = {}
    while True:
        with translated(action, about):
            page = ask(**more)
        yield page
        if not page.get("NextToken"):
            return
        more = {"NextToken": page["NextToken"]}


def without_stage(versions: Iterable[Version]) -> WithoutStage:
    """Return the ids of the versions without any of the service's own stages.

    Args:
        versions: all versions of a secret, newest first.
    """
    versions = list(versions)
    current = next((each for each in versions if Stage.CURRENT in each.stages), None)
    found = [each for each in versions if not {*each.stages} & {*Stage}]
    # A version of the same second counts as newer. It is then tried earlier, which has no other effect.
    lost = [each.id for each in found if current is not None and _created(each) >= _created(current)]
    return WithoutStage(lost, [each.id for each in found if each.id not in lost])


def drop_pending(arn: str, version: str) -> None:
    """Remove the stage AWSPENDING from a version.

    Args:
        arn: ARN of the secret.
        version: its VersionId.

    Raises:
        RequestRefused: the version does not have it.
        StoreError: it was not removed.
    """
    with translated("UpdateSecretVersionStage", arn):
        clients.secrets_manager().update_secret_version_stage(
            SecretId=arn, VersionStage=Stage.PENDING, RemoveFromVersionId=version
        )


@dataclass(frozen=True)
class SecretVersion:
    """A version of a secret as it was read. Its repr does not contain the value.

    Attributes:
        arn, name: of the secret.
        version: its VersionId.
        stages: the stages that it had when it was read.
        content: the SecretString, or the SecretBinary's bytes. Clear text; before ``opened``, possibly
            sealed.
        sealed: True if the value is stored sealed and ``content`` has been opened.
    """

    arn: str
    name: str
    version: str
    stages: tuple[str, ...]
    content: str | bytes = field(repr=False)
    sealed: bool = False

    @cached_property
    def secret(self) -> Secret:
        """The JSON object in ``content``; it is parsed once.

        Raises:
            SecretFormatError: it is not a JSON object.
        """
        if isinstance(self.content, bytes):
            raise SecretFormatError("the secret is binary; a login needs a SecretString with a JSON object")
        return Secret.from_string(self.content)

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> SecretVersion:
        """Return the version in a response of GetSecretValue, as it is stored.

        Args:
            answer: answer of GetSecretValue.
        """
        content = answer["SecretString"] if "SecretString" in answer else answer["SecretBinary"]
        return cls(
            answer["ARN"],
            answer["Name"],
            answer["VersionId"],
            tuple(answer.get("VersionStages", ())),
            content,
        )

    def opened(self) -> SecretVersion:
        """Return the version with its clear text, if its value is sealed (see ``sealing``).

        Raises:
            SealedValueError: it cannot be opened, or it is clear and must be sealed.
            StoreError: KMS does not decrypt its data key.
        """
        if isinstance(self.content, bytes):
            sealing.require_binary_allowed(self.name)
            return self
        content = sealing.opened(self.name, self.content)
        return self if content is self.content else replace(self, content=content, sealed=True)


class SecretStore:
    """Secrets Manager; see core/store.py ``Store`` for the methods.

    Args:
        values: the cache of values; the process's shared one when left out.
    """

    def __init__(self, values: Cache[tuple[str, str], Secret] | None = None) -> None:
        self._values = _values if values is None else values

    def describe(self, secret_id: str) -> SecretState:
        """See Store.describe."""
        answer = describe(secret_id)
        # The service omits empty fields (API:DescribeSecret).
        return SecretState(
            arn=answer["ARN"],
            rotation_enabled=bool(answer.get("RotationEnabled", False)),
            stages=answer.get("VersionIdsToStages", {}),
        )

    def value(self, arn: str, version: str) -> Secret | None:
        """See Store.value. A value is kept in memory; a missing value is requested again each time."""
        known = self._values.peek((arn, version))
        if known is not None:
            return known
        try:
            with translated("GetSecretValue", arn):
                answer = clients.secrets_manager().get_secret_value(SecretId=arn, VersionId=version)
        except SecretNotFound:
            return None
        value = with_address(_parsed(answer, _name_in(arn)))
        self._values.put((arn, version), value)
        return value

    def put_pending(self, arn: str, token: str, value: Secret, rotation_token: str | None) -> None:
        """See Store.put_pending. The rotation token proves to the service that its rotation stores this.

        A sealed value is opened before it is stored, because a target must not accept a password that
        cannot be read.
        """
        proof: dict[str, Any] = {"RotationToken": rotation_token} if rotation_token else {}
        content = str(sealing.stored(_name_in(arn), value.to_string()))
        if sealing.seals():
            sealing.opened(_name_in(arn), content)
        with translated("PutSecretValue", arn):
            clients.secrets_manager().put_secret_value(
                SecretId=arn,
                ClientRequestToken=token,
                SecretString=content,
                VersionStages=[Stage.PENDING],
                **proof,
            )
        self._values.put((arn, token), value)

    def promote(self, arn: str, token: str, current: str | None) -> None:
        """See Store.promote. One call; the service also moves AWSPREVIOUS (API:UpdateSecretVersionStage)."""
        source = {"RemoveFromVersionId": current} if current else {}
        with translated("UpdateSecretVersionStage", arn):
            clients.secrets_manager().update_secret_version_stage(
                SecretId=arn, VersionStage=Stage.CURRENT, MoveToVersionId=token, **source
            )

    def without_stage(self, arn: str) -> WithoutStage:
        """See Store.without_stage."""
        return without_stage(list_versions(arn))

    def admin(self, arn: str) -> Secret:
        """See Store.admin.

        It is read once per rotation and not kept, because its version id is unknown before.

        An ARN of another Region is read from that Region. A clear value is accepted, because services of AWS
        do not seal the secrets that they manage.
        """
        with clients.in_region_of(arn):
            with translated("GetSecretValue", arn):
                answer = clients.secrets_manager().get_secret_value(SecretId=arn, VersionStage=Stage.CURRENT)
            value = _parsed(answer, answer["Name"], clear=True)
            if "host" in value:
                return value
            return with_admin_address(value, describe(arn).get("Tags", []))


class Source(Protocol):
    """A source of versions."""

    def one(self, secret_id: str, stage: str | None, version: str | None, *, new: bool) -> SecretVersion:
        """Read one version.

        Args:
            secret_id: name or ARN.
            stage: its stage; AWSCURRENT if neither this nor ``version`` is passed.
            version: its VersionId.
            new: True to read past a cache.

        Returns:
            The version with its value, id and stages.

        Raises:
            StoreError: it cannot be read.
        """

    def many(self, secret_ids: Sequence[str]) -> dict[str, SecretVersion | RotatorsError]:
        """Return the AWSCURRENT versions of many secrets.

        Args:
            secret_ids: names or ARNs.

        Returns:
            By name or ARN as passed: the version, or the error of that secret.

        Raises:
            StoreError: the whole call was refused.
        """


class SecretsManager:
    """Reads from Secrets Manager. Needs the permission GetSecretValue, and BatchGetSecretValue for ``many``.

    Args:
        client: a boto3 client; by default the process's shared one, which a forked child creates again.
    """

    def __init__(self, client: SecretsManagerClient | None = None) -> None:
        self._given = client

    @property
    def _client(self) -> SecretsManagerClient:
        return self._given or clients.secrets_reader()

    def one(
        self,
        secret_id: str,
        stage: str | None,
        version: str | None,
        *,
        new: bool = True,
    ) -> SecretVersion:
        """See Source.one."""
        which = {"VersionStage": stage, "VersionId": version}
        with translated("GetSecretValue", secret_id):
            answer = self._client.get_secret_value(
                SecretId=secret_id, **{name: value for name, value in which.items() if value}
            )
        return asked_for(secret_id, SecretVersion.of(answer)).opened()

    def many(self, secret_ids: Sequence[str]) -> dict[str, SecretVersion | RotatorsError]:
        """See Source.many. One call for every 20 secrets."""
        found: dict[str, SecretVersion | RotatorsError] = {}
        try:
            for start in range(0, len(secret_ids), _BATCH):
                found |= self._batch(secret_ids[start : start + _BATCH])
        except AccessDenied as denied:
            raise _without_batch(denied) from None
        missing = "the answer does not contain it"
        return {
            secret_id: found.get(secret_id) or _failed(secret_id, "ResourceNotFoundException", missing)
            for secret_id in secret_ids
        }

    def _batch(self, secret_ids: Sequence[str]) -> dict[str, SecretVersion | RotatorsError]:
        found: dict[str, SecretVersion | RotatorsError] = {}
        ask = partial(self._client.batch_get_secret_value, SecretIdList=secret_ids)
        for page in _pages("BatchGetSecretValue", f"{len(secret_ids)} secrets", ask):
            for error in page.get("Errors", []):
                found[error["SecretId"]] = _failed(
                    error["SecretId"], error["ErrorCode"], error.get("Message", "")
                )
            for answer in page.get("SecretValues", []):
                version = SecretVersion.of(answer)
                asked = [secret_id for secret_id in secret_ids if _names(secret_id, version)]
                if asked:
                    found |= dict.fromkeys(asked, opened_or_error(asked[0], version))
        return found


def _created(version: Version) -> float:
    return version.created.timestamp() if version.created else 0.0


def _parsed(answer: Mapping[str, Any], name: str, *, clear: bool = False) -> Secret:
    if "SecretString" not in answer:
        raise SecretFormatError("the secret is binary; a rotation needs a SecretString with a JSON object")
    return Secret.from_string(sealing.opened(name, answer["SecretString"], clear=clear))


def opened_or_error(secret_id: str, version: SecretVersion) -> SecretVersion | RotatorsError:
    """Return the version with its clear text, or the error of this one secret.

    Args:
        secret_id: name or ARN that was asked for.
        version: version of the answer, as it is stored.
    """
    try:
        return asked_for(secret_id, version).opened()
    except RotatorsError as error:
        return error


def _name_in(arn: str) -> str:
    """Return the name of a secret; a hyphen and six characters follow it in a full ARN."""
    return arn.split(":", 6)[6][:-7]


def asked_for(secret_id: str, version: SecretVersion) -> SecretVersion:
    """Return a version if it belongs to the requested secret.

    If two processes share a connection by mistake, one receives the other's secret.

    Args:
        secret_id: name or ARN.
        version: version of the answer.

    Raises:
        ServiceUnavailable: it belongs to another secret.
    """
    if _names(secret_id, version):
        return version
    raise ServiceUnavailable(f"the answer for {secret_id} is about another secret", reason="mixed-up")


def _failed(secret_id: str, code: str, message: str) -> RotatorsError:
    refusal = ClientError({"Error": {"Code": code, "Message": message}}, "GetSecretValue")
    return translate(refusal, "BatchGetSecretValue", secret_id)


def _names(secret_id: str, version: SecretVersion) -> bool:
    # A partial ARN lacks the hyphen and six characters at the end.
    partial = secret_id.startswith("arn:") and version.arn[:-7] == secret_id
    return partial or secret_id in {version.name, version.arn}


def _without_batch(denied: AccessDenied) -> AccessDenied:
    if denied.reason is not None:
        return denied
    return AccessDenied(
        denied.cause,
        remedy="Grant secretsmanager:BatchGetSecretValue (on *) and secretsmanager:GetSecretValue on each "
        "secret, or retrieve one at a time with SecretId.",
    )
