"""Checks who may use the keys of a key change: the caller, the rotation functions, and readers of secrets.

The result of a dry run in KMS is the result of the call: it includes policies of the key and the caller,
grants, other accounts and the key's state (KMS Developer Guide, testing-permissions). But the dry run does
not pass through Secrets Manager, so a condition on kms:ViaService can refuse it. After a refused dry run, the
policies are evaluated as in `rotators access`. IAM's policy simulator ignores policies of keys and grants
(IAM API reference, SimulatePrincipalPolicy), so its result is not a proof here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.aws.views import UNASKED, UNTOLD
from rotators.core.errors import AccessDenied, RequestRefused, RotatorsError
from rotators.core.states import Stage, holder
from rotators.manage.access import AccessAnswer, key_use, reads
from rotators.manage.changes import Remark
from rotators.manage.errors import AccessUnknown, KeyChangeRefused, PrincipalNotFound
from rotators.manage.guards import Guarded, Guards
from rotators.manage.inventory import Entry
from rotators.manage.key_inventory import KeyEntry
from rotators.manage.principals import IamAccount, Principal, caller_arn, read_account

_ROLE = "TARGET_ROLE_ARN"
_TO_NEW = ("Encrypt", "GenerateDataKey", "Decrypt")
_TO_OLD = ("Decrypt",)
_OF_ROTATION = ("kms:Decrypt", "kms:GenerateDataKey")
_TO_READ = ("kms:Decrypt",)
_PLAINTEXT = b"RequestToValidateKeyAccess"


class KeyPermissions:
    """Decides who may use keys, and caches what it has read."""

    def __init__(self) -> None:
        self._guards = Guards()
        self._roles: dict[str, str | RotatorsError] = {}

    def check(self, entry: Entry, old: KeyEntry, new: KeyEntry) -> list[Remark]:
        """Check that a secret can be moved, still rotates afterwards, and is read by those who read it now.

        Args:
            entry: the secret.
            old: its key.
            new: its new key.

        Returns:
            Descriptions of readers that would lose access, and of facts that could not be checked.

        Raises:
            KeyChangeRefused: the caller may not move it, or its rotation function may not use the new key.
            StoreError: AWS cannot be asked.
        """
        for key, operations in ((old, _TO_OLD), (new, _TO_NEW)):
            self._check_caller(entry, key, operations)
        if new.of_secrets_manager:
            return []
        words = [*self._function(entry, new), *self._readers(entry, old, new)]
        return [Remark(entry.name, each) for each in words]

    def _check_caller(self, entry: Entry, key: KeyEntry, operations: Sequence[str]) -> None:
        if key.of_secrets_manager:  # its whole account may use it (User Guide, security-encryption)
            return
        refused = [f"kms:{each}" for each in operations if not _dry_run(key, each, entry)]
        caller = self._caller() if refused else None
        if caller is None:
            return  # the change itself will show it
        verdict = key_use(self._guarded(entry, key), caller, refused)
        if verdict.answer is AccessAnswer.NO:
            raise KeyChangeRefused(
                f"{caller.name} may not use the key {key.name} for the secret {entry.name}: {verdict.why}",
                reason="not-permitted",
                remedy=f"Grant {', '.join(refused)} on {key.arn}, then repeat the command.",
            )

    def _function(self, entry: Entry, new: KeyEntry) -> Iterator[str]:
        """Check the rotation function; yield descriptions of facts that could not be checked."""
        if not entry.rotation_enabled or entry.function_arn is None:
            return
        role = self._role_of(entry.function_arn, entry.arn)
        if isinstance(role, RotatorsError):
            yield f"whether its rotation function may use {new.name} was not checked: {role.cause}"
            return
        principal = self._principal(role)
        if principal is None:
            yield f"whether its rotation function may use {new.name}, as {role}, was not checked"
            return
        verdict = key_use(self._guarded(entry, new), principal, _OF_ROTATION)
        if verdict.answer is AccessAnswer.NO:
            raise KeyChangeRefused(
                f"the rotation function of {entry.name} may not use {new.name}: {verdict.why} ({role})",
                reason="function",
                remedy=f"Add {new.arn} to the stack's parameter KmsKeyArns and deploy again, or grant the "
                "role kms:Decrypt and kms:GenerateDataKey; then repeat the command.",
            )
        if verdict.answer is AccessAnswer.CONDITIONAL:
            yield f"its rotation function may use {new.name} only if {'; '.join(verdict.conditions)} ({role})"

    def _readers(self, entry: Entry, old: KeyEntry, new: KeyEntry) -> Iterator[str]:
        """Yield descriptions of users and roles that can read the secret now, but not its next value."""
        account = self._account
        if isinstance(account, RotatorsError):
            yield f"whether all who read it may use {new.name} was not checked: {account.cause}"
            return
        named = replace(entry, key=None if old.of_secrets_manager else old.arn)
        now, then = self._guards.of(named), self._guarded(entry, new)
        if unread := next(iter(self._guards.unread.values()), None):
            yield f"whether all who read it may use {new.name} was not checked: {unread.cause}"
            return
        lost = [
            each.name
            for each in account.principals
            if key_use(then, each, _TO_READ).answer is AccessAnswer.NO and reads(now, each)
        ]
        if lost:
            yield (
                "these callers can read the current value, but not the next value, because they cannot use "
                f"{new.name}: {', '.join(lost)}"
            )

    def _role_of(self, function: str, secret: str) -> str | RotatorsError:
        """Return the role that a function reads and writes secrets as."""
        if function not in self._roles:
            try:
                with clients.in_region_of(secret), translated("GetFunctionConfiguration", function):
                    found = clients.functions().get_function_configuration(FunctionName=function)
                    assumed = found.get("Environment", {}).get("Variables", {}).get(_ROLE)
                    self._roles[function] = str(assumed or found["Role"])
            except UNTOLD as error:
                self._roles[function] = error
        return self._roles[function]

    def _caller(self) -> Principal | None:
        try:
            return self._principal(os.environ.get(_ROLE) or caller_arn())
        except UNASKED:
            return None

    def _principal(self, arn: str) -> Principal | None:
        """Return a user or role with its policies; None if unreadable or of another account."""
        if isinstance(self._account, RotatorsError):
            return None
        try:
            return self._account.find(arn)
        except PrincipalNotFound:
            return None

    @cached_property
    def _account(self) -> IamAccount | RotatorsError:
        try:
            return read_account()
        except (AccessUnknown, *UNASKED) as error:
            return error

    def _guarded(self, entry: Entry, key: KeyEntry) -> Guarded:
        with clients.in_region_of(key.arn):
            return Guarded(entry, None, self._guards.key(key.arn, key.region))


def _dry_run(key: KeyEntry, operation: str, entry: Entry) -> bool:
    """Return True if KMS permits an operation to the caller, with the context of a secret's current version.

    Raises:
        StoreError: KMS refuses it for another reason than permissions, or cannot be asked.
    """
    current = holder(entry.stages, Stage.CURRENT)
    context = {"SecretARN": entry.arn, **({"SecretVersionId": current} if current else {})}
    with clients.in_region_of(key.arn):
        method = getattr(clients.kms_lister(), xform_name(operation))
    try:
        with translated(operation, key.name):
            try:
                method(KeyId=key.arn, DryRun=True, EncryptionContext=context, **_PARAMETERS[operation])
            except ClientError as error:
                if error.response["Error"]["Code"] != "DryRunOperationException":
                    raise
    except AccessDenied as error:
        if error.reason == "credentials":
            raise
        return False
    except RequestRefused as error:
        if error.reason != "parameters":  # an older boto3 does not know DryRunModifiers
            raise
        return False
    return True


_PARAMETERS: dict[str, dict[str, Any]] = {
    "Decrypt": {"DryRunModifiers": ["IGNORE_CIPHERTEXT"]},
    "Encrypt": {"Plaintext": _PLAINTEXT},
    "GenerateDataKey": {"KeySpec": "AES_256"},
}
