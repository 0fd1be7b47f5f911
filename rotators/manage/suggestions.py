"""Policies that permit an application only to read its secrets; they are printed, not attached.

A read needs GetSecretValue; AWS's own caching libraries need DescribeSecret too. With a customer managed key,
a read also needs kms:Decrypt, which is permitted only through Secrets Manager and only for these secrets
(UG:security-encryption, kms:ViaService and kms:EncryptionContext).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rotators.aws import clients
from rotators.core.errors import AccessDenied, SecretNotFound
from rotators.iam.documents import statements_of
from rotators.iam.rules import PreparedPolicy
from rotators.manage.access import AccessAnswer, access_to
from rotators.manage.calls import call, faults_of_policy, policy_of
from rotators.manage.errors import PrincipalNotFound, SuggestionRefused
from rotators.manage.guards import Guarded
from rotators.manage.principals import IamAccount, Principal, caller_arn

Document = dict[str, Any]

_VERSION = "2012-10-17"
_READING = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
_METADATA = [
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetResourcePolicy",
    "secretsmanager:ListSecretVersionIds",
]
"""The actions that an exclusive policy does not deny, so that inventories stay complete."""
_EXCLUSIVE = "DenyOthers"
_ROTATE, _OPERATE = "-rotate", "-operate"  # suffixes of the names of a stack's functions


@dataclass(frozen=True)
class TagSelection:
    """A tag that identifies secrets.

    Attributes:
        key, value: of the tag.
    """

    key: str
    value: str


@dataclass(frozen=True)
class ResourcePolicy:
    """A policy for a secret.

    Attributes:
        guarded: the secret, with the policies that it has now.
        document: the policy.
        findings: faults that ValidateResourcePolicy found.
    """

    guarded: Guarded
    document: Document
    findings: Sequence[str] = ()


@dataclass
class Suggestion:
    """Policies for an application.

    Attributes:
        role: ARN of its role.
        identity: policy for the role.
        resources: policies for the secrets; empty unless the secrets become exclusive.
        faults: differences between the effect of the policies and the wanted one, in words.
    """

    role: str
    identity: Document
    resources: Sequence[ResourcePolicy] = ()
    faults: list[str] = field(default_factory=list)


def suggested(
    secrets: Sequence[Guarded],
    account: IamAccount,
    role: str,
    tag: TagSelection | None,
    kept: Sequence[str] | None,
) -> Suggestion:
    """Create the policies for an application, and check their effect.

    Args:
        secrets: the secrets that it reads.
        account: the users and roles.
        role: name or ARN of its role.
        tag: permit all secrets with this tag; None for these secrets alone.
        kept: principals that policies of the secrets do not deny; None for no such policies.

    Returns:
        The policies; nothing is changed.

    Raises:
        PrincipalNotFound: the account has no such role.
        SuggestionRefused: a policy cannot be made; the cause says why.
        StoreError: a policy could not be validated.
    """
    arn = account.find(role if role.startswith("arn:") else f"role/{role}").name
    found = Suggestion(arn, identity_policy(secrets, tag))
    if kept is not None:
        found.resources = [
            validated(each, exclusive_policy(each, kept_principals(each, account, arn, kept)))
            for each in secrets
        ]
    found.faults += faults_of(found, secrets, account)
    return found


def identity_policy(secrets: Sequence[Guarded], tag: TagSelection | None = None) -> Document:
    """Return the policy that an application needs to read secrets.

    Args:
        secrets: the secrets.
        tag: permit all secrets with this tag in the Regions of the secrets; None for these secrets alone.

    Raises:
        SuggestionRefused: a secret does not have the tag, or its key is not known.
    """
    for each in secrets:
        _require_known(each, tag)
    arns = _patterns(secrets) if tag else sorted(each.entry.arn for each in secrets)
    reading: Document = {"Sid": "Read", "Effect": "Allow", "Action": _READING, "Resource": arns}
    if tag:
        reading["Condition"] = {"StringEquals": {f"secretsmanager:ResourceTag/{tag.key}": tag.value}}
    return {"Version": _VERSION, "Statement": [reading, *_decryption(secrets, tag)]}


def _require_known(secret: Guarded, tag: TagSelection | None) -> None:
    entry = secret.entry
    if secret.key.undecided:
        raise SuggestionRefused(
            f"the key of {entry.name} could not be read",
            remedy=f"Attach a policy to the caller with kms:DescribeKey on {entry.key}.",
            reason="key",
        )
    if tag and entry.tags.get(tag.key) != tag.value:
        raise SuggestionRefused(
            f"{entry.name} does not have the tag {tag.key}={tag.value}",
            remedy=f"Set it: `rotators tag {entry.id} --set {tag.key}={tag.value} --yes`.",
            reason="tag",
        )


def _patterns(secrets: Sequence[Guarded]) -> list[str]:
    """All secrets of the accounts and Regions of these."""
    return sorted({f"{each.entry.arn.rpartition(':secret:')[0]}:secret:*" for each in secrets})


def _decryption(secrets: Sequence[Guarded], tag: TagSelection | None) -> Iterator[Document]:
    """Yield a statement for each key, because each condition on the encryption context belongs to one key."""
    keys = sorted({each.key.resource.arn for each in secrets if each.key.resource})
    for number, arn in enumerate(keys, 1):
        of_key = [each for each in secrets if each.key.resource and each.key.resource.arn == arn]
        service = f"secretsmanager.{of_key[0].entry.region}.amazonaws.com"
        context, via = "kms:EncryptionContext:SecretARN", {"kms:ViaService": service}
        exact = {"StringEquals": {**via, context: sorted(each.entry.arn for each in of_key)}}
        tagged = {"StringEquals": via, "StringLike": {context: _patterns(of_key)}}
        yield {
            "Sid": f"Decrypt{number}",
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": arn,
            "Condition": tagged if tag else exact,
        }


def exclusive_policy(secret: Guarded, kept: Sequence[str]) -> Document:
    """Return a policy for a secret that denies its use to all but some principals.

    AWS's services are not denied, because they act for the account (rotation, replication). Statements that
    the secret's policy has already stay.

    Args:
        secret: the secret.
        kept: ARNs of the principals that are not denied.

    Raises:
        StoreError: the policy of the secret cannot be read, so its statements cannot be kept.
    """
    text = policy_of(secret.entry.arn)
    document: Document = json.loads(text) if text else {"Version": _VERSION, "Statement": []}
    found = document["Statement"]
    listed = found if isinstance(found, list) else [found]
    present = [each for each in listed if each.get("Sid") != _EXCLUSIVE]
    denial = {
        "Sid": _EXCLUSIVE,
        "Effect": "Deny",
        "Principal": "*",
        "NotAction": _METADATA,
        "Resource": "*",
        "Condition": {
            "ArnNotEquals": {"aws:PrincipalArn": sorted(set(kept))},
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
        },
    }
    return {**document, "Statement": [*present, denial]}


def kept_principals(secret: Guarded, account: IamAccount, role: str, named: Sequence[str]) -> list[str]:
    """List the principals that must keep access to a secret, so that no caller is locked out.

    Args:
        secret: the secret.
        account: the users and roles.
        role: ARN of the application's role.
        named: principals to keep in addition: names or ARNs.

    Returns:
        ARNs: the role, the named ones, the roles of the rotation function and of the stack's operate
        function, the caller, and the root user of the account.

    Raises:
        PrincipalNotFound: the account has no user or role of a name.
        SuggestionRefused: the role of the rotation function is not known.
    """
    others = [each if each.startswith("arn:") else account.find(each).name for each in named]
    root = f"arn:{role.split(':')[1]}:iam::{account.id}:root"
    return [role, *others, *_function_roles(secret), _known_arn(account, caller_arn()), root]


def _known_arn(account: IamAccount, arn: str) -> str:
    """Return the ARN that IAM compares for a caller: for a session, that of its role."""
    try:
        return account.find(arn).name
    except PrincipalNotFound:
        return arn


def _function_roles(secret: Guarded) -> Iterator[str]:
    function = secret.entry.function_arn
    if function is None:
        return
    with clients.in_region_of(secret.entry.arn):
        try:
            yield _role_of(function)
        except (AccessDenied, SecretNotFound) as error:
            raise SuggestionRefused(
                f"the role of the rotation function of {secret.entry.name} is not known: {error.cause}",
                remedy=f"Attach a policy to the caller with lambda:GetFunctionConfiguration on {function}.",
                reason="function",
            ) from None
        if function.endswith(_ROTATE):
            try:
                yield _role_of(function.removesuffix(_ROTATE) + _OPERATE)
            except (AccessDenied, SecretNotFound):
                return  # a function of another stack, or an older one


def _role_of(function: str) -> str:
    client = clients.functions()
    return str(call(client, "GetFunctionConfiguration", function, "Role", FunctionName=function))


def validated(secret: Guarded, document: Document) -> ResourcePolicy:
    """Let Secrets Manager validate a policy for a secret; nothing is changed.

    Args:
        secret: the secret.
        document: the policy.

    Returns:
        The policy, with the faults that the service found.

    Raises:
        AccessDenied: the caller lacks secretsmanager:ValidateResourcePolicy or PutResourcePolicy.
    """
    faults = faults_of_policy(secret.entry.arn, json.dumps(document))
    return ResourcePolicy(secret, document, [] if faults is None else faults or ["it did not pass"])


def faults_of(suggestion: Suggestion, secrets: Sequence[Guarded], account: IamAccount) -> Iterator[str]:
    """Check with the evaluator that the policies have the wanted effect.

    Args:
        suggestion: the policies.
        secrets: the secrets.
        account: the users and roles.

    Yields:
        Descriptions of the differences.
    """
    role = account.find(suggestion.role)
    added = PreparedPolicy(statements_of(suggestion.identity, "the suggested policy"))
    able = replace(role, identity=PreparedPolicy.joined([role.identity, added]))
    policies = {each.guarded.entry.arn: each.document for each in suggestion.resources}
    for secret in secrets:
        document = policies.get(secret.entry.arn)
        policy = (
            PreparedPolicy(statements_of(document, "the suggested policy")) if document else secret.policy
        )
        guarded = replace(secret, policy=policy)
        yield from _fault_of_reader(guarded, able)
    for each in suggestion.resources:
        for finding in each.findings:
            yield f"{each.guarded.entry.name}: {finding.rstrip('.')}"


def _fault_of_reader(guarded: Guarded, role: Principal) -> Iterator[str]:
    verdict = access_to(guarded, role).verdicts["read"]
    name = guarded.entry.name
    if verdict.answer is AccessAnswer.NO:
        yield f"the role could not read {name}: {verdict.why}"
    elif verdict.answer is AccessAnswer.CONDITIONAL:
        yield f"the role could read {name} only if {', '.join(verdict.conditions)}"
