"""Every error of the framework, in one tree.

An error that only one folder uses is in the `errors.py` of that folder.

::

    RotatorsError
    ├── InvalidInput                bad event, environment, secret or argument: nothing was changed
    │   ├── InvalidEvent            ├── UnknownStep
    │   ├── ConfigurationError      ├── SecretFormatError
    │   │                           │   └── SealedValueError
    │   └── CallerRefused
    ├── RotationStateError          the stages of the versions do not allow this step
    │   ├── RotationNotEnabled      ├── VersionNotStaged
    │   ├── VersionNotPending       ├── PendingHasNoValue
    │   └── NoCurrentValue
    ├── RotatorFailure              what a rotator raises about its target
    │   ├── CredentialsRejected     ├── TargetUnavailable (retryable)
    │   ├── TargetRefused           ├── IdentityMismatch
    │   └── RotatorDefect           (an exception that no rotator should raise)
    ├── RegistryError
    │   ├── RotatorNotFound         ├── DuplicateRotator        └── BrokenRotator
    ├── StoreError                  Secrets Manager, RDS or KMS said no
    │   ├── SecretNotFound          ├── SecretDeleted           ├── AccessDenied
    │   ├── ServiceThrottled (retryable)                        ├── ServiceUnavailable (retryable)
    │   ├── VersionConflict         ├── KeyUnusable             ├── SecretManagedByService
    │   └── LimitExceeded           └── RequestRefused
    └── UnexpectedError             a function failed with an exception that is not expected

Each class carries a stable ``code`` that dashboards and runbooks may rely on, and a default ``remedy``;
an instance may have a ``reason``, which narrows the code, and its own remedy.
``docs/reference/errors.md`` lists all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar


class RotatorsError(Exception):
    """The base of all errors raised on purpose by this framework.

    Args:
        cause: one sentence, without a closing full stop and without any value of a secret.
        remedy: the next action of the reader; the class's own when left out.
        reason: a stable word that narrows the code (``timeout``, ``tls``), when one class has many causes.
    """

    code: ClassVar[str] = "rotators-error"
    remedy: str = "Read the cause."
    retryable: ClassVar[bool] = False
    """True if the same call may succeed later without any change by a person."""

    def __init__(self, cause: str, *, remedy: str | None = None, reason: str | None = None) -> None:
        super().__init__(cause)
        self.reason = reason
        if remedy is not None:
            self.remedy = remedy

    @property
    def cause(self) -> str:
        """The cause, without code and remedy."""
        return str(self.args[0])

    @property
    def full_code(self) -> str:
        """The code, narrowed by the reason where there is one: ``target-unavailable/timeout``."""
        return f"{self.code}/{self.reason}" if self.reason else self.code

    def __str__(self) -> str:
        return f"[{self.full_code}] {self.cause}. Next: {self.remedy}"


class InvalidInput(RotatorsError):
    """An argument, event, environment variable or secret breaks a rule; nothing was changed."""

    code = "invalid-input"
    remedy = "Correct the named field and call again."


class InvalidEvent(InvalidInput):
    """The event given to a handler lacks a field or breaks its rule."""

    code = "invalid-event"
    remedy = "Send an event in the documented form; events/ has an example of each kind."


class UnknownStep(InvalidEvent):
    """The event's Step is none of the four."""

    code = "unknown-step"
    remedy = "Use createSecret, setSecret, testSecret or finishSecret, in exactly this spelling."


class ConfigurationError(InvalidInput):
    """An environment variable of the function has a value that cannot be used."""

    code = "configuration"
    remedy = "Correct the environment variable on the function and rotate again."


class SecretFormatError(InvalidInput):
    """The secret's JSON lacks a key or holds a value of the wrong kind."""

    code = "secret-format"
    remedy = "Store a value with the documented keys (docs/reference/secret.md), then rotate again."


class SealedValueError(SecretFormatError):
    """A value that is encrypted before it is stored cannot be opened, or a value should be and is not."""

    code = "sealed-value"
    remedy = (
        "Find out who changed it. `rotators doctor SECRET` shows which versions can be opened; store a value "
        "that works through a function or command that seals it."
    )


class CallerRefused(InvalidInput):
    """The retrieve function has rules for its callers, and they do not permit this request."""

    code = "caller-refused"
    remedy = (
        "Sign the request to the function's URL as a role of the parameter RetrieveCallers, and use names."
    )


class RotationStateError(RotatorsError):
    """The stages of the secret's versions do not allow this step; nothing was changed."""

    code = "rotation-state"
    remedy = "Examine the versions and stages with `rotators show SECRET`."


class RotationNotEnabled(RotationStateError):
    """Rotation is switched off for the secret."""

    code = "rotation-not-enabled"
    remedy = "Configure rotation with RotateSecret (function ARN and schedule), which also starts one."


class VersionNotStaged(RotationStateError):
    """The token is no version of the secret, or has no stage."""

    code = "version-not-staged"
    remedy = "Start a rotation with RotateSecret; it stages the version before it calls the function."


class VersionNotPending(RotationStateError):
    """The token's version has stages, but AWSPENDING is not one of them."""

    code = "version-not-pending"
    remedy = "Start a new rotation with RotateSecret; the current rotation has another version."


class PendingHasNoValue(RotationStateError):
    """The pending version is staged, but createSecret never stored a value in it."""

    code = "pending-has-no-value"
    remedy = "Run createSecret for this token first, or start a new rotation."


class NoCurrentValue(RotationStateError):
    """The secret has no version with the stage AWSCURRENT that holds a value."""

    code = "no-current-value"
    remedy = "Store the working credential with PutSecretValue, then rotate."


class RotatorFailure(RotatorsError):
    """The base of the errors that a rotator may raise about its target."""

    code = "rotator-failure"


class CredentialsRejected(RotatorFailure):
    """The target answered, and refused every credential that was allowed to be tried."""

    code = "credentials-rejected"
    remedy = (
        "Run `rotators doctor SECRET`. If no stored credential works, store a working one with "
        "PutSecretValue, or add a masterarn to the secret; then rotate."
    )


class TargetUnavailable(RotatorFailure):
    """The target could not be reached or did not answer in time; no credential was rejected."""

    code = "target-unavailable"
    remedy = "Check network, security groups and the target's health; the next attempt may succeed."
    retryable = True


class TargetRefused(RotatorFailure):
    """The target knows who asks and says no: a policy, a missing privilege, a role that is not ours."""

    code = "target-refused"
    remedy = "Grant the right that the cause names, or change the target's policy, then rotate again."


class IdentityMismatch(RotatorFailure):
    """The pending version names another user or target than the current one; nothing was tried with it."""

    code = "identity-mismatch"
    remedy = (
        "Find out who stored it, and run `rotators doctor SECRET`, which checks whether the value is "
        "in use before AWSPENDING is removed."
    )


class RotatorDefect(RotatorFailure):
    """A rotator, or a library that it uses, raised an exception that is not one of these errors."""

    code = "rotator-defect"
    remedy = "Report it to the rotator's author, with the type that the cause names and the log's traceback."


class RegistryError(RotatorsError):
    """A rotator's name could not be turned into a rotator."""

    code = "registry"


class RotatorNotFound(RegistryError):
    """No installed distribution registers the name in the entry-point group ``rotators``."""

    code = "rotator-not-found"
    remedy = "Install the package that provides it into the function, or correct ROTATOR or the engine key."


class DuplicateRotator(RegistryError):
    """Two installed distributions register the same name."""

    code = "duplicate-rotator"
    remedy = "Remove one of the distributions from the function, or rename one entry point."


class BrokenRotator(RegistryError):
    """The entry point exists, but loading it failed or gave something that is no rotator."""

    code = "broken-rotator"
    remedy = "Repair or reinstall the named distribution with its extras (its driver may be missing)."


class StoreError(RotatorsError):
    """Secrets Manager, or a service it leans on, refused a call."""

    code = "store"


class SecretNotFound(StoreError):
    """No secret has this name or ARN here, or it holds no such version."""

    code = "secret-not-found"
    remedy = (
        "Check the name, the account and the Region; a partial ARN whose name ends in -xxxxxx is not found."
    )


class SecretDeleted(StoreError):
    """The secret is scheduled for deletion; its value cannot be read or changed."""

    code = "secret-deleted"
    remedy = "Restore it with RestoreSecret if it is still needed."


class AccessDenied(StoreError):
    """The caller's role may not do this."""

    code = "access-denied"
    remedy = "Grant the named action on this secret (and kms:Decrypt, kms:GenerateDataKey on its key)."


class ServiceThrottled(StoreError):
    """The service asked to slow down and kept doing so through all retries."""

    code = "service-throttled"
    remedy = "Try again; if the error persists, spread rotations over their windows."
    retryable = True


class ServiceUnavailable(StoreError):
    """The service's endpoint could not be reached, or it failed on its side."""

    code = "service-unavailable"
    remedy = "Check the route to the endpoint (VPC endpoint, security group, DNS), then try again."
    retryable = True


class VersionConflict(StoreError):
    """Another writer was there first: the version holds another value, or a stage moved meanwhile."""

    code = "version-conflict"
    remedy = (
        "Examine the versions with `rotators show SECRET`; if your call stored the version, retry "
        "with the same token."
    )


class KeyUnusable(StoreError):
    """The KMS key cannot encrypt or decrypt: disabled, deleted, asymmetric or of another Region."""

    code = "key-unusable"
    remedy = "Enable the key, or give the secret a symmetric encryption key of the same Region."


class SecretManagedByService(StoreError):
    """An AWS service owns the secret and rotates it itself."""

    code = "secret-managed-by-service"
    remedy = "Change it through the service that owns it."


class LimitExceeded(StoreError):
    """A size or count limit of Secrets Manager would be broken."""

    code = "limit-exceeded"
    remedy = "Make the value, or the number of versions or stages, smaller."


class RequestRefused(StoreError):
    """The service refused the request for a reason that has no separate class here."""

    code = "request-refused"
    remedy = "Read the service's message; correct the request."


class UnexpectedError(RotatorsError):
    """A function, or a library that it uses, raised an exception that is not expected.

    The type is kept, and the text only where it is known which values have to be masked in it.
    """

    code = "unexpected"
    remedy = "Report it with the traceback in the function's log; the same event may be sent again."


_TOLD = re.compile(
    r"\[(?P<code>[^\]/]+)(?:/(?P<reason>[^\]]+))?\] (?P<cause>.*)\. Next: (?P<remedy>.*)", re.DOTALL
)


def error_of(text: str) -> RotatorsError | None:
    """Return the error whose text another process gave, such as the errorMessage of a Lambda function.

    Args:
        text: what ``str`` gave of the error there.

    Returns:
        An error of the same class, code, cause and next action; None when the text is not of our form.
    """
    told = _TOLD.fullmatch(text)
    if told is None:
        return None
    kind = next((each for each in _tree(RotatorsError) if each.code == told["code"]), None)
    return None if kind is None else kind(told["cause"], remedy=told["remedy"], reason=told["reason"])


def _tree(kind: type[RotatorsError]) -> Iterator[type[RotatorsError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)
