"""Versions of secrets as they are read, one or many, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from rotators.aws import clients
from rotators.aws.faults import Refusal, translate, translated
from rotators.core.errors import AccessDenied, RotatorsError, SecretFormatError, ServiceUnavailable
from rotators.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mypy_boto3_secretsmanager import SecretsManagerClient

# API:BatchGetSecretValue, SecretIdList.
_BATCH = 20


@dataclass(frozen=True)
class SecretVersion:
    """A version of a secret as it was read. Its repr shows no value.

    Attributes:
        arn, name: of the secret.
        version: its VersionId.
        stages: the labels that it had when it was read.
        content: the SecretString, or the SecretBinary's bytes. Clear text.
    """

    arn: str
    name: str
    version: str
    stages: tuple[str, ...]
    content: str | bytes = field(repr=False)

    @cached_property
    def secret(self) -> Secret:
        """The JSON object in ``content``; it is parsed once.

        Raises:
            SecretFormatError: it holds something else.
        """
        if isinstance(self.content, bytes):
            raise SecretFormatError("the secret is binary; a login needs a SecretString with a JSON object")
        return Secret.from_string(self.content)

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> SecretVersion:
        """What GetSecretValue answered."""
        content = answer["SecretString"] if "SecretString" in answer else answer["SecretBinary"]
        return cls(
            answer["ARN"],
            answer["Name"],
            answer["VersionId"],
            tuple(answer.get("VersionStages", ())),
            content,
        )


class Source(Protocol):
    """Where versions come from."""

    def one(self, secret_id: str, stage: str | None, version: str | None, *, new: bool) -> SecretVersion:
        """One version.

        Args:
            secret_id: name or ARN.
            stage: its label; AWSCURRENT when neither this nor ``version`` is given.
            version: its VersionId.
            new: whether a memory on the way has to be passed by.

        Raises:
            StoreError: it was not given.
        """

    def many(self, secret_ids: Sequence[str]) -> dict[str, SecretVersion | RotatorsError]:
        """The AWSCURRENT versions of many secrets, or why not.

        Raises:
            StoreError: the whole call was refused.
        """


class SecretsManager:
    """The source itself. Needs GetSecretValue, and BatchGetSecretValue for ``many``.

    Args:
        client: a boto3 client; the process's shared one when left out, which a forked child makes anew.
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
        return _asked_for(secret_id, SecretVersion.of(answer))

    def many(self, secret_ids: Sequence[str]) -> dict[str, SecretVersion | RotatorsError]:
        """See Source.many. One call for every 20 secrets."""
        found: dict[str, SecretVersion | RotatorsError] = {}
        for start in range(0, len(secret_ids), _BATCH):
            found |= self._batch(secret_ids[start : start + _BATCH])
        missing = "the answer does not hold it"
        return {
            secret_id: found.get(secret_id) or _failed(secret_id, "ResourceNotFoundException", missing)
            for secret_id in secret_ids
        }

    def _batch(self, secret_ids: Sequence[str]) -> dict[str, SecretVersion | RotatorsError]:
        found: dict[str, SecretVersion | RotatorsError] = {}
        for page in self._pages(secret_ids):
            for error in page.get("Errors", []):
                found[error["SecretId"]] = _failed(
                    error["SecretId"], error["ErrorCode"], error.get("Message", "")
                )
            for answer in page.get("SecretValues", []):
                version = SecretVersion.of(answer)
                found |= {secret_id: version for secret_id in secret_ids if _names(secret_id, version)}
        return found

    def _pages(self, secret_ids: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        more: dict[str, Any] = {}
        while True:
            try:
                with translated("BatchGetSecretValue", f"{len(secret_ids)} secrets"):
                    page = self._client.batch_get_secret_value(SecretIdList=secret_ids, **more)
            except AccessDenied as denied:
                raise _without_batch(denied) from None
            yield page
            if not page.get("NextToken"):
                return
            more = {"NextToken": page["NextToken"]}


def _asked_for(secret_id: str, version: SecretVersion) -> SecretVersion:
    # Where two processes share a connection by mistake, one gets the other's secret.
    if _names(secret_id, version):
        return version
    raise ServiceUnavailable(f"the answer for {secret_id} is about another secret", reason="mixed-up")


def _failed(secret_id: str, code: str, message: str) -> RotatorsError:
    return translate(Refusal(code, message, "GetSecretValue"), "BatchGetSecretValue", secret_id)


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
