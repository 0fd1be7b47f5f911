"""The policies that apply to secrets: their own, and those of their keys, with the keys' grants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rotators.aws import clients
from rotators.core.errors import AccessDenied, RequestRefused, RotatorsError, SecretDeleted, SecretNotFound
from rotators.iam.calls import (
    ApiCall,
    Context,
    KeyResource,
    Keys,
    Parameters,
    SecretResource,
    account_of,
    calls_about,
    key_use,
)
from rotators.iam.documents import UNREAD, statements_of, unread
from rotators.iam.errors import PolicyUnsupported
from rotators.iam.grants import statements_of_grants
from rotators.iam.principals import principals_of
from rotators.iam.rules import PreparedPolicy
from rotators.manage.calls import call, elements
from rotators.manage.inventory import Entry
from rotators.manage.keys import OWN_KEY
from rotators.manage.principals import Principal, outsider

_KNOWN = (
    "aws:RequestTag/",
    "aws:TagKeys",
    "kms:EncryptionContext:SecretARN",
    "kms:GrantIsForAWSResource",
    "secretsmanager:ResourceTag/",
    "secretsmanager:resource/",
)
"""Prefixes of the condition keys of a secret whose values are complete, and of those that no request has."""


@dataclass(frozen=True)
class Key:
    """A key with the policies that apply to it.

    Attributes:
        resource: as IAM compares it; None if it was not found.
        policy: its policy and its grants.
        tagged: True if its tags are known.
        undecided: further conditions of access to it.
    """

    resource: KeyResource | None = None
    policy: PreparedPolicy | None = None
    tagged: bool = True
    undecided: tuple[str, ...] = ()

    @property
    def is_of_aws(self) -> bool:
        """True for aws/secretsmanager, which admits no other account (UG:auth-and-access_examples_cross)."""
        return self.resource is None and not self.undecided


@dataclass(frozen=True)
class _Request:
    """A call by any principal."""

    action: str
    resource: str
    keys: Keys
    known: tuple[str, ...]

    def by(self, principal: Principal) -> ApiCall:
        """Return the call of a principal."""
        own = principal.keys_for_kms if self.action.startswith("kms:") else principal.keys
        known = (*self.known, *principal.known)
        return ApiCall(principal.name, self.action, self.resource, self.keys.with_others(own), known)


@dataclass(frozen=True)
class Guarded:
    """A secret with the policies that apply to it.

    Attributes:
        entry: the secret.
        policy: its policy; None without one.
        key: its key.
    """

    entry: Entry
    policy: PreparedPolicy | None
    key: Key
    _requests: dict[str, tuple[_Request, ...]] = field(default_factory=dict, init=False, repr=False)

    @property
    def account(self) -> str:
        """The account of the secret."""
        return account_of(self.entry.arn)

    def outsiders(self, account: str) -> Iterator[Principal]:
        """List the principals outside an account that the policy of the secret admits.

        Args:
            account: the account whose users and roles are known.

        Yields:
            The principals, without doubles.
        """
        found = {
            named
            for statement in self.policy or ()
            if statement["Effect"] == "Allow" and "Principal" in statement and UNREAD not in statement
            for named in principals_of(statement)
        }
        for kind, name in sorted(found):
            if kind != "AWS" or name == "*" or _account(name) not in {account, ""}:
                yield outsider(kind, name)

    def calls(self, principal: Principal, operation: str) -> Iterator[ApiCall]:
        """List the calls that IAM decides about for an operation.

        Args:
            principal: the caller.
            operation: operation of Secrets Manager, such as ``GetSecretValue``.

        Returns:
            The calls, the operation's own first.
        """
        if operation not in self._requests:
            found = calls_about(self._request, operation, self._secret, Parameters())
            self._requests[operation] = tuple(found)
        return (each.by(principal) for each in self._requests[operation])

    def key_uses(self, principal: Principal, actions: Iterable[str]) -> Iterator[ApiCall]:
        """List the calls of KMS that Secrets Manager makes for a principal.

        Args:
            principal: the caller.
            actions: actions of KMS, such as ``kms:Encrypt``.

        Yields:
            The calls; none without a key that was found.
        """
        if (resource := self.key.resource) is None:
            return
        for action in actions:
            if action not in self._requests:
                self._requests[action] = (key_use(self._request, action, self._secret, resource),)
            yield from (each.by(principal) for each in self._requests[action])

    @property
    def _secret(self) -> SecretResource:
        entry = self.entry
        return SecretResource(entry.arn, self.key.resource, entry.function_arn, entry.tags)

    def _request(self, action: str, resource: str, context: Context) -> _Request:
        tagged = self.key.tagged or not action.startswith("kms:")
        known = ("aws:ResourceTag/", *_KNOWN) if tagged else _KNOWN
        every = {"aws:SecureTransport": "true", "aws:RequestedRegion": self.entry.region}
        return _Request(action, resource, Keys({**every, **context}), known)


def _account(name: str) -> str:
    """Return the account of a principal; empty for the id of one that was deleted."""
    if name.startswith("arn:"):
        return name.split(":")[4]
    return name if name.isdigit() else ""


class Guards:
    """Reads the policies of secrets and keys; those of a key once.

    Attributes:
        unread: descriptions of the parts that could not be read, with the error.
    """

    def __init__(self) -> None:
        self.unread: dict[str, RotatorsError] = {}
        self._keys: dict[tuple[str, str], Key] = {}

    def of(self, entry: Entry) -> Guarded:
        """Read the policies that apply to a secret.

        Args:
            entry: the secret.

        Returns:
            The secret with its policies. A policy that could not be read may allow or deny everything.

        Raises:
            StoreError: AWS cannot be asked.
        """
        with clients.in_region_of(entry.arn):
            return Guarded(entry, self._secret_policy(entry), self._key(entry))

    def _secret_policy(self, entry: Entry) -> PreparedPolicy | None:
        what = f"the policy of {entry.name}"
        client = clients.secrets_lister()
        answer = self._asked(what, call, client, "GetResourcePolicy", entry.arn, SecretId=entry.arn)
        if answer is None:
            return PreparedPolicy(unread(what))
        document = answer.get("ResourcePolicy")
        return self._policy(document, what) if document else None

    def _key(self, entry: Entry) -> Key:
        if not entry.key or entry.key.endswith(f"alias/{OWN_KEY}"):
            return Key()
        return self.key(entry.key, entry.region)

    def key(self, name: str, region: str) -> Key:
        """Read the policies that apply to a key, once.

        Args:
            name: its id, ARN or alias.
            region: its Region.

        Returns:
            The key with its policy and grants. A part that could not be read may allow or deny everything.

        Raises:
            StoreError: AWS cannot be asked.
        """
        if (region, name) not in self._keys:
            self._keys[region, name] = self._read_key(name)
        return self._keys[region, name]

    def _read_key(self, name: str) -> Key:
        client, what = clients.kms_lister(), f"the key {name}"
        described = self._asked(what, call, client, "DescribeKey", name, KeyId=name)
        if described is None:
            return Key(undecided=(what,))
        arn = described["KeyMetadata"]["Arn"]
        what = f"the tags of {arn}"
        tags = self._asked(what, elements, client, "ListResourceTags", arn, "Tags", KeyId=arn)
        resource = KeyResource(arn, {each["TagKey"]: each["TagValue"] for each in tags or ()})
        policy = PreparedPolicy.joined([self._key_policy(client, arn), self._grants(client, arn)])
        return Key(resource, policy, tags is not None)

    def _key_policy(self, client: Any, arn: str) -> PreparedPolicy:
        what = f"the policy of {arn}"
        found = self._asked(what, call, client, "GetKeyPolicy", arn, KeyId=arn, PolicyName="default")
        return PreparedPolicy(unread(what)) if found is None else self._policy(found["Policy"], what)

    def _grants(self, client: Any, arn: str) -> PreparedPolicy:
        what = f"the grants of {arn}"
        found = self._asked(what, elements, client, "ListGrants", arn, "Grants", KeyId=arn)
        return PreparedPolicy(unread(what)[:1] if found is None else statements_of_grants(found))

    def _policy(self, document: str, what: str) -> PreparedPolicy:
        try:
            statements = statements_of(document, what)
            for each in statements:
                tuple(principals_of(each))  # raises an error if they are unknown
            return PreparedPolicy(statements)
        except PolicyUnsupported as error:
            self.unread[what] = error
            return PreparedPolicy(unread(what))

    def _asked(self, what: str, ask: Callable[..., Any], *given: Any, **parameters: Any) -> Any:
        """Return the answer of AWS; None if the caller may not have it."""
        try:
            return ask(*given, **parameters)
        except (AccessDenied, RequestRefused, SecretDeleted, SecretNotFound) as error:
            if error.reason == "credentials":
                raise
            self.unread[what] = error
            return None
