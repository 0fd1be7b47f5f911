"""What IAM's door looks up in moto: secrets, keys, the policies of resources, and who owns an access key."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from moto.awslambda.models import lambda_backends
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.sns.models import sns_backends
from moto.sts.models import sts_backends

from rotators.local.iam.calls import Key, Target
from rotators.local.iam.door import KEY_PREFIX

if TYPE_CHECKING:
    from moto.secretsmanager.models import FakeSecret

Statements = Sequence[Mapping[str, Any]]

_SERVICE, _REGION, _ACCOUNT, _RESOURCE = 2, 3, 4, 5
_ARN_PARTS = 6
_PARTITION = "aws"


class MotoDirectory:
    """The directory of one local AWS.

    Args:
        account: of the functions, and of callers whose access key begins with ``local-``.
        find_secret: gives moto's record of a secret by name or ARN, and Region.
    """

    def __init__(self, account: str, find_secret: Callable[[str, str], FakeSecret | None]) -> None:
        self._account = account
        self._find_secret = find_secret

    def find(self, secret_id: str, region: str) -> Target | None:
        """A secret by name or ARN, as IAM looks at it."""
        secret = self._find_secret(secret_id, region)
        if secret is None:
            return None
        key = self.find_key(secret.kms_key_id, region) if secret.kms_key_id else None
        tags = {tag["Key"]: tag["Value"] for tag in secret.tags or []}
        return Target(secret.arn, key, secret.rotation_lambda_arn or None, tags)

    def find_key(self, key: str, region: str) -> Key | None:
        """A key by id, alias or ARN, as IAM looks at it; None for a key of the service's own."""
        if key.startswith("alias/aws/"):
            return None
        account = key.split(":")[_ACCOUNT] if key.startswith("arn:") else self._account
        backend = kms_backends[account][region]
        if ":alias/" in key or key.startswith("alias/"):
            key = str(backend.get_key_id_from_alias(f"alias/{key.rpartition('alias/')[2]}"))
        arn = key if ":key/" in key else f"arn:aws:kms:{region}:{account}:key/{key}"
        if arn.rpartition("/")[2] not in backend.keys:
            return Key(arn, {})
        tags = backend.list_resource_tags(arn)["Tags"]
        return Key(arn, {tag["TagKey"]: tag["TagValue"] for tag in tags})

    def find_topic_key(self, topic: str) -> Key | None:
        """The key that encrypts a topic, by the topic's ARN; None for none."""
        parts = topic.split(":")
        if len(parts) != _ARN_PARTS:
            return None
        region = parts[_REGION]
        found = sns_backends[parts[_ACCOUNT]][region].topics.get(topic)
        return self.find_key(found.kms_master_key_id, region) if found and found.kms_master_key_id else None

    def policy(self, resource: str) -> Statements | None:
        """The statements of a secret's or key's policy, or of a role's trust policy; None without one."""
        parts = resource.split(":", _ARN_PARTS - 1)
        if len(parts) < _ARN_PARTS:
            return None
        document = self._document(resource, parts)
        if not document:
            return None
        statements = (json.loads(document) if isinstance(document, str) else document)["Statement"]
        return statements if isinstance(statements, list) else [statements]

    def role(self, access_key: str, region: str) -> str:
        """ARN of the role that a key's owner acts as; empty for a developer's key.

        Args:
            access_key: a function's or named caller's, ``local-NAME``, or that of an assumed role.
            region: where the function is.
        """
        if access_key.startswith(KEY_PREFIX):
            name = access_key.removeprefix(KEY_PREFIX)
            functions = lambda_backends[self._account][region].list_functions()
            function = next((each for each in functions if each.function_name == name), None)
            return str(function.role) if function else f"arn:aws:iam::{self._account}:role/{name}"
        for backends in sts_backends.values():
            for backend in backends.values():
                if assumed := backend.get_assumed_role_from_access_key(access_key):
                    return str(assumed.role_arn)
        return ""

    def _document(self, arn: str, parts: list[str]) -> Any:
        service, region, account = parts[_SERVICE], parts[_REGION], parts[_ACCOUNT]
        if service == "secretsmanager":
            secret = self._find_secret(arn, region)
            return secret.policy if secret else None
        if service == "kms":
            key = kms_backends[account][region].keys.get(parts[_RESOURCE].removeprefix("key/"))
            return key.policy if key else None
        if service == "iam":
            roles = iam_backends[account][_PARTITION].roles.values()
            return next((role.assume_role_policy_document for role in roles if role.arn == arn), None)
        return None
