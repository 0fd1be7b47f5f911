"""Calls of AWS's API as IAM sees them, and the calls that AWS makes in the caller's name because of one.

Secrets Manager calls KMS as the caller, but only for secrets with a customer managed key
(UG:security-encryption). A rotation requires the permission to invoke the function (API:RotateSecret).
UG:security-encryption and UG:rotating-secrets-required-permissions-function list the operations on the key
for each call. They do not say when DescribeKey of KMS is called, so it is assumed for every write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TypeVar

Context = Mapping[str, str | tuple[str, ...]]
"""Condition keys and their values; several values of one key as a tuple."""

# API:ReplicateSecretToRegions requires kms:Decrypt on the key of the secret.
READS = ("GetSecretValue", "ReplicateSecretToRegions")
"""Operations with which Secrets Manager decrypts as the caller."""

_WRITES = ("CreateSecret", "PutSecretValue", "UpdateSecret")
_KEY_ACTIONS = {
    **dict.fromkeys(READS, ("kms:Decrypt",)),
    # Decrypt too, because a repeated value is compared with the stored one.
    **dict.fromkeys(_WRITES, ("kms:GenerateDataKey", "kms:Decrypt")),
}
_MANAGER = "secretsmanager"


class Missing(Enum):
    """The reason why a condition key has no value."""

    ABSENT = "the request does not have it"
    UNDECIDED = "only a real request shows it"


class Keys:
    """Condition keys with their values, prepared for many calls.

    Names are not case-sensitive (reference_policies_elements_condition).

    Args:
        context: the keys.
        others: keys that count if the context does not have them.
    """

    __slots__ = ("_others", "_values")

    def __init__(self, context: Context, others: Keys | None = None) -> None:
        self._values = {
            name.lower(): value if isinstance(value, tuple) else (value,) for name, value in context.items()
        }
        self._others = others

    def find(self, name: str) -> tuple[str, ...] | None:
        """Return the values of the key ``name``, given in lower case; None if it has none.

        Args:
            name: name of the key in lower case.

        Returns:
            All values; a key with one value has a tuple of one.
        """
        found = self._values.get(name)
        return found if found is not None or self._others is None else self._others.find(name)

    def with_others(self, others: Keys) -> Keys:
        """Return these keys and others, which count if these do not have a key.

        Args:
            others: the other keys.
        """
        joined = Keys({}, others)
        joined._values = self._values
        return joined


@dataclass(
    slots=True
)  # not frozen: a frozen object takes four times as long to create, and a matrix needs a million
class ApiCall:
    """One call of AWS's API, as IAM sees it.

    Attributes:
        principal: Name of the caller: a function's name or another.
        action: ``service:Operation``.
        resource: ARN, or ``*`` for an operation without resources.
        context: Condition keys and their values; several values of one key as a tuple. Prepared keys, if they
            serve many calls.
        known: Beginnings of the condition keys that a real request of this kind does not have if the context
            does not have them. Other keys are undecided. None if the context is that of a real request.
    """

    principal: str
    action: str
    resource: str
    context: Context | Keys = field(default_factory=dict)
    known: tuple[str, ...] | None = None

    def values(self, key: str) -> tuple[str, ...] | Missing:
        """Return the values of a condition key.

        Args:
            key: its name; names are not case-sensitive (reference_policies_elements_condition).

        Returns:
            The values, or why there is none.
        """
        name, context = key.lower(), self.context
        found = (context if isinstance(context, Keys) else Keys(context)).find(name)
        if found is not None:
            return found
        if self.known is None or name.startswith(_lowered(self.known)):
            return Missing.ABSENT
        return Missing.UNDECIDED


@lru_cache(maxsize=1024)
def _lowered(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each.lower() for each in names)


@dataclass(frozen=True)
class KeyResource:
    """The properties of a KMS key that IAM compares.

    Attributes:
        arn: ARN of the key.
        tags: tags of the key.
    """

    arn: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class SecretResource:
    """The properties of a secret that IAM compares.

    Attributes:
        arn: ARN of the secret.
        key: its key; None for the key that Secrets Manager owns.
        function: its rotation function, if it has one.
        tags: tags of the secret.
        stages: the id of the version that has each stage.
    """

    arn: str
    key: KeyResource | None
    function: str | None
    tags: Mapping[str, str]
    stages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Parameters:
    """The parameters of a request that IAM compares.

    Attributes:
        context: condition keys of the parameters.
        key: key that the request names; None for the secret's own.
        function: rotation function that the request names; None for the secret's own.
        version: VersionId in the encryption context; None if it is not known.
    """

    context: Context = field(default_factory=dict)
    key: KeyResource | None = None
    function: str | None = None
    version: str | None = None


Call = TypeVar("Call")
Make = Callable[[str, str, Context], Call]
"""Creates a call from an action, the ARN of a resource, and a context; it adds facts about the caller."""


def calls_about(
    make: Make[Call], operation: str, secret: SecretResource, parameters: Parameters
) -> Iterator[Call]:
    """Yield the calls that IAM evaluates for an operation on a secret.

    Args:
        make: makes a call in the caller's name.
        operation: operation of Secrets Manager, such as ``GetSecretValue``.
        secret: the secret.
        parameters: parameters of the request.

    Yields:
        The calls, the operation's own first.
    """
    yield make(f"{_MANAGER}:{operation}", secret.arn, {**parameters.context, **_of_secret(secret)})
    function = parameters.function or secret.function
    if operation == "RotateSecret" and function:
        yield make("lambda:InvokeFunction", function, {})
    key = parameters.key or secret.key
    if key is None:
        return
    if operation in _WRITES:
        yield make("kms:DescribeKey", key.arn, _via(secret, key))
    for action in _KEY_ACTIONS.get(operation, ()):
        yield key_use(make, action, secret, key, parameters.version)


def key_use(
    make: Make[Call], action: str, secret: SecretResource, key: KeyResource, version: str | None = None
) -> Call:
    """Return the call of KMS that Secrets Manager makes in the caller's name for a version of a secret.

    Args:
        make: makes a call in the caller's name.
        action: action of KMS, such as ``kms:Encrypt``.
        secret: the secret.
        key: the key.
        version: VersionId in the encryption context; None if it is not known.
    """
    encryption: Context = {
        "kms:EncryptionContext:SecretARN": secret.arn,
        **({"kms:EncryptionContext:SecretVersionId": version} if version else {}),
        "kms:EncryptionContextKeys": ("SecretARN", "SecretVersionId"),
    }
    return make(action, key.arn, {**_via(secret, key), **encryption})


def _of_secret(secret: SecretResource) -> dict[str, str | tuple[str, ...]]:
    found: dict[str, str | tuple[str, ...]] = {"aws:ResourceAccount": account_of(secret.arn)}
    if secret.function:
        found[f"{_MANAGER}:resource/AllowRotationLambdaArn"] = secret.function
    for name, value in secret.tags.items():
        found[f"{_MANAGER}:ResourceTag/{name}"] = found[f"aws:ResourceTag/{name}"] = value
    return found


def _via(secret: SecretResource, key: KeyResource) -> Context:
    """Condition keys of the calls of KMS that Secrets Manager makes."""
    return {
        "aws:ResourceAccount": account_of(key.arn),
        "kms:ViaService": f"{_MANAGER}.{region_of(secret.arn)}.amazonaws.com",
        **{f"aws:ResourceTag/{name}": value for name, value in key.tags.items()},
    }


def account_of(arn: str) -> str:
    """Return the account in the ARN ``arn``.

    Args:
        arn: ARN with all six parts.
    """
    return arn.split(":")[4]


def region_of(arn: str) -> str:
    """Return the Region in the ARN ``arn``.

    Args:
        arn: ARN with all six parts.
    """
    return arn.split(":")[3]
