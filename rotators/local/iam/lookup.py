"""Looks up facts for IAM in moto: secrets, keys, policies of resources, and owners of access keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.awslambda.models import lambda_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends
from moto.sts.models import sts_backends

from rotators.iam.calls import KeyResource, SecretResource
from rotators.iam.documents import Statements, statements_of
from rotators.iam.grants import statements_of_grants
from rotators.local.iam.managed_policies import managed_statements
from rotators.local.iam.requests import KEY_PREFIX
from rotators.local.iam.sessions import session_statements
from rotators.local.options import ACCOUNT

if TYPE_CHECKING:
    from moto.secretsmanager.models import FakeSecret

    from rotators.local.secretsmanager.replication import LocalReplica

_REGION, _ACCOUNT = 3, 4
_ARN_PARTS = 6
_PARTITION = "aws"
_UNKNOWN_TO_MOTO = ":user/moto"

DEVELOPER = "developer"
"""Name of the callers with any other access key. Their calls are not checked."""


class Lookup:
    """Looks up records in the moto of one local AWS.

    Args:
        find_secret: Returns moto's record of a secret or replica by name or ARN, and Region.
    """

    def __init__(self, find_secret: Callable[[str, str], FakeSecret | LocalReplica | None]) -> None:
        self._find_secret = find_secret

    def secret(self, secret_id: str, region: str) -> SecretResource | None:
        """Find a secret.

        Args:
            secret_id: Name or ARN.
            region: Region of the call.

        Returns:
            The secret with the properties that IAM compares, or None if there is none.
        """
        secret = self._find_secret(secret_id, region)
        if secret is None:
            return None
        key = self.key(secret.kms_key_id, region)
        tags = {tag["Key"]: tag["Value"] for tag in secret.tags or []}
        stages = {
            stage: version_id
            for version_id, version in secret.versions.items()
            for stage in version["version_stages"]
        }
        return SecretResource(secret.arn, key, secret.rotation_lambda_arn or None, tags, stages)

    def key(self, key: str | None, region: str) -> KeyResource | None:
        """Find a key.

        Args:
            key: Id, alias or ARN.
            region: Region of the call.

        Returns:
            The key with the properties that IAM compares, without tags if it does not exist; None for a key
            of AWS's services.
        """
        if not key or key.rpartition(":")[2].startswith("alias/aws/"):
            return None
        account = key.split(":")[_ACCOUNT] if key.startswith("arn:") else ACCOUNT
        backend = kms_backends[account][region]
        if ":alias/" in key or key.startswith("alias/"):
            key = str(backend.get_key_id_from_alias(f"alias/{key.rpartition('alias/')[2]}"))
        arn = key if ":key/" in key else f"arn:aws:kms:{region}:{account}:key/{key}"
        if arn.rpartition("/")[2] not in backend.keys:
            return KeyResource(arn, {})
        tags = backend.list_resource_tags(arn)["Tags"]
        return KeyResource(arn, {tag["TagKey"]: tag["TagValue"] for tag in tags})

    def topic_key(self, topic: str) -> KeyResource | None:
        """Return the key that encrypts the topic with the ARN ``topic``; None if there is no key or topic."""
        parts = topic.split(":")
        if len(parts) != _ARN_PARTS:
            return None
        region = parts[_REGION]
        found = sns_backends[parts[_ACCOUNT]][region].topics.get(topic)
        return self.key(found.kms_master_key_id, region) if found else None

    def policy(self, resource: str) -> Statements | None:
        """Return the statements of a policy of a secret, bucket, key (with its grants) or role (its trust).

        Args:
            resource: ARN of the secret, bucket or object, key, or role.

        Returns:
            The statements, as in JSON; None if there is no policy.
        """
        parts = resource.split(":", _ARN_PARTS - 1)
        if len(parts) < _ARN_PARTS:
            return None
        _, _, service, region, account, name = parts
        document: Any = None
        grants: tuple[dict[str, Any], ...] = ()
        if service == "secretsmanager" and (secret := self._find_secret(resource, region)):
            document = secret.policy
        elif service == "kms" and (key := kms_backends[account][region].keys.get(name.removeprefix("key/"))):
            document, grants = key.policy, tuple(grant.to_json() for grant in key.grants.values())
        elif service == "s3" and (
            bucket := s3_backends[ACCOUNT][_PARTITION].buckets.get(name.partition("/")[0])
        ):
            document = bucket.policy.decode() if bucket.policy else None
        elif service == "iam" and (role := self._role(resource)):
            document = role.assume_role_policy_document
        return (*statements_of(document), *statements_of_grants(grants)) if document else None

    def boundary(self, role: str) -> Statements | None:
        """Return the statements of the permissions boundary of the role with the ARN ``role``, or None."""
        found = self._role(role)
        if found is None or not found.permissions_boundary_arn:
            return None
        return managed_statements(found.account_id, found.permissions_boundary_arn) or ()

    def session_policy(self, access_key: str) -> Statements | None:
        """Return the statements of the policies that a role was assumed with (API:AssumeRole), or None.

        Args:
            access_key: access key of the caller.
        """
        assumed = _assumed_role(access_key)
        return session_statements(assumed) if assumed else None

    def role_tags(self, role: str) -> Mapping[str, str]:
        """Return the tags of the role with the ARN ``role``; empty if it is not a role of moto's IAM."""
        found = self._role(role)
        return {tag["Key"]: tag["Value"] for tag in found.tags or []} if found else {}

    def _role(self, arn: str) -> Any:
        """Moto's record of a role, or None."""
        if not arn:
            return None
        roles = iam_backends[arn.split(":")[_ACCOUNT]][_PARTITION].roles.values()
        return next((role for role in roles if role.arn == arn), None)


@dataclass(frozen=True)
class Caller:
    """The owner of an access key.

    Attributes:
        role: ARN of its role; empty for a developer's key.
        session: name of the session of the role, for a function its name.
    """

    role: str = ""
    session: str = ""

    @property
    def account(self) -> str:
        """Its account."""
        return self.role.split(":")[_ACCOUNT] if self.role else ACCOUNT

    @property
    def name(self) -> str:
        """Name of the role or user."""
        return self.role.rpartition("/")[2] or DEVELOPER

    @property
    def principal(self) -> str:
        """ARN of the role or user, which IAM compares."""
        return self.role or f"arn:aws:iam::{ACCOUNT}:user/{DEVELOPER}"

    @property
    def arn(self) -> str:
        """ARN by which AWS names the caller in its answers: of the session of a role."""
        if not self.role:
            return self.principal
        return f"arn:aws:sts::{self.account}:assumed-role/{self.name}/{self.session}"


def caller(access_key: str, region: str) -> Caller:
    """Return the owner of an access key.

    Args:
        access_key: ``local-NAME`` of a function or named caller, or that of an assumed role.
        region: Region of the function.
    """
    if access_key.startswith(KEY_PREFIX):
        name = access_key.removeprefix(KEY_PREFIX)
        functions = lambda_backends[ACCOUNT][region].list_functions()
        function = next((each for each in functions if each.function_name == name), None)
        return Caller(str(function.role) if function else f"arn:aws:iam::{ACCOUNT}:role/{name}", name)
    assumed = _assumed_role(access_key)
    return Caller(str(assumed.role_arn), str(assumed.session_name)) if assumed else Caller()


def _assumed_role(access_key: str) -> Any:
    """Moto's record of the session with an access key, or None."""
    accounts = (backend for backends in sts_backends.values() for backend in backends.values())
    found = (backend.get_assumed_role_from_access_key(access_key) for backend in accounts)
    return next((each for each in found if each), None)


def session_arn(
    original: Callable[..., tuple[str, str, str]], backend: Any, access_key: str, region: str
) -> tuple[str, str, str]:
    """Return the identity of callers of this AWS, which moto does not have (API:GetCallerIdentity).

    Args:
        original: moto's method of its STS.
        backend: Moto's STS.
        access_key: access key of the caller.
        region: Region of the call.

    Returns:
        Id, ARN and account of the caller.
    """
    found = original(backend, access_key, region)
    if not found[1].endswith(_UNKNOWN_TO_MOTO):
        return found
    who = caller(access_key, region)
    return f"{who.name}:{who.session}" if who.role else access_key, who.arn, who.account
