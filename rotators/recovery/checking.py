"""The document that `rotators check` shows: whether a rotation of a secret would work.

Everything is read; nothing is changed. The checks stand in the order of a rotation, so the first that failed
is the first thing to do.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rotators.aws import clients
from rotators.aws.faults import not_aws, translated
from rotators.aws.views import arn_in, primary_region
from rotators.core.errors import (
    AccessDenied,
    RequestRefused,
    RotationStateError,
    RotatorsError,
    SecretDeleted,
    SecretFormatError,
    SecretManagedByService,
    SecretNotFound,
    ServiceThrottled,
    ServiceUnavailable,
)
from rotators.core.redaction import masked_texts, masking
from rotators.core.rotation import Rotation
from rotators.core.settings import Settings
from rotators.core.states import Stage, holder
from rotators.recovery.checks import Check, Result, failed_by, of_rotator
from rotators.recovery.coverage import (
    READING,
    ROTATION,
    FunctionView,
    denied,
    denied_key,
    function_view,
    key_of,
)
from rotators.recovery.database_checks import DatabaseChecks
from rotators.recovery.faults import fault_of, rotator_of
from rotators.strategies.rotator import engine_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rotators.core.contracts import Store
    from rotators.core.secret import Secret

Document = dict[str, Any]

_UNASKED = (AccessDenied, RequestRefused, ServiceThrottled, ServiceUnavailable)


def preflight(store: Store, own: Settings, secret_id: str, *, function: str | None, default: str) -> Document:
    """Check whether a rotation of a secret would work.

    Args:
        store: the gateway to Secrets Manager.
        own: this process's settings. Of them the trusted roots count, and where the function's own cannot
            be read, in the operate function, all.
        secret_id: name or ARN of the secret.
        function: name or ARN of the function to check; None for the one that the secret names.
        default: the function to check if the secret names none.

    Returns:
        ``name``, ``arn``, ``ready`` (whether nothing failed), ``state`` (``ready``, ``partly-checked`` if
        some checks could not be made, or ``not-ready``),
        ``checks`` (a list of ``name``, ``result``, ``detail``, ``next``), and ``next`` (the first thing to
        do).

    Raises:
        SecretNotFound, AccessDenied: the secret cannot be described; nothing else was looked at.
    """
    with clients.in_region_of(secret_id):
        return _preflight(store, own, secret_id, function, default)


def _preflight(store: Store, own: Settings, secret_id: str, function: str | None, default: str) -> Document:
    with translated("DescribeSecret", secret_id):
        described = clients.secrets_manager().describe_secret(SecretId=secret_id)
    if "ARN" not in described:
        raise not_aws("DescribeSecret", secret_id)
    run = _Preflight(store, own, described, function or described.get("RotationLambdaARN") or default)
    with masking(run.seen):
        checks = list(run.checks())
    failed = next((check for check in checks if check.result is Result.FAILED), None)
    unknown = sum(check.result is Result.UNKNOWN for check in checks)
    document: Document = {
        "name": described["Name"],
        "arn": described["ARN"],
        "ready": failed is None,
        "state": "not-ready" if failed else "partly-checked" if unknown else "ready",
        "checks": [{**dataclasses.asdict(check), "result": str(check.result)} for check in checks],
        "next": failed.next if failed else _when_nothing_failed(described, unknown),
    }
    # Servers and rotators choose these words, so they may hold a value.
    masked: Document = masked_texts(document, run.seen, ("detail", "next"))
    return masked


def _when_nothing_failed(described: Mapping[str, Any], unknown: int) -> str:
    if described.get("RotationEnabled"):
        action = f"`rotators rotate {described['Name']}` rotates it now."
    else:
        action = "turn rotation on with `aws secretsmanager rotate-secret`."
    if unknown:
        return f"nothing failed, but {unknown} checks could not be made; look at those, then {action}"
    return f"nothing is in the way; {action}"


@dataclass
class _Preflight:
    """One run of the checks; what an earlier one found is kept for the later ones."""

    store: Store
    own: Settings
    described: Mapping[str, Any]
    function: str
    seen: set[str] = field(default_factory=set, repr=False)
    settings: Settings | None = None
    view: FunctionView | None = None
    admin: Secret | None = field(default=None, repr=False)

    @property
    def arn(self) -> str:
        return str(self.described["ARN"])

    def checks(self) -> Iterator[Check]:
        value, check = self._value()
        yield check
        yield self._function()
        yield from self._permissions("the function's role may use the secret", self.described, ROTATION)
        if value is None:
            return
        yield from self._admin_permissions(value)
        settings = self.settings or self.own
        try:
            if fault := fault_of(value, settings):
                raise fault
            rotator = rotator_of(value, settings)
        except RotatorsError as error:
            yield failed_by("the value", error)
            return

        def login() -> None:
            rotator.verify(Rotation(value, settings, value))

        engine = engine_of(rotator)
        if engine is not None:
            known = self.settings is not None
            yield from DatabaseChecks(engine, value, self.admin, settings, known).all(login)
        else:
            yield of_rotator(login)
        yield self._schedule()

    def _value(self) -> tuple[Secret | None, Check]:
        name = "the secret and its value"
        try:
            if deleted := self.described.get("DeletedDate"):
                raise SecretDeleted(f"the secret is scheduled for deletion ({deleted:%Y-%m-%d})")
            if home := primary_region(self.described):
                raise RotationStateError(
                    f"this is a replica; the secret itself is in {home}, and only that one rotates",
                    reason="replica",
                    remedy=f"Run `rotators check {arn_in(home, self.arn)}`.",
                )
            if owner := self.described.get("OwningService"):
                raise SecretManagedByService(f"the secret belongs to {owner}, which rotates it itself")
            version = holder(self.described.get("VersionIdsToStages", {}), Stage.CURRENT)
            value = self.store.value(self.arn, version) if version else None
            if value is None:
                raise SecretFormatError("the secret has no AWSCURRENT version that holds a value")
        except AccessDenied as error:
            return None, Check(name, Result.UNKNOWN, str(error))
        except RotatorsError as error:
            return None, failed_by(name, error)
        self.seen.update(value.sensitive())
        return value, Check(name, Result.OK, "AWSCURRENT holds a JSON object")

    def _function(self) -> Check:
        name, function = "Secrets Manager may invoke the function", self.function
        try:
            self.view = function_view(function, self.arn.split(":")[4])
            self.settings = dataclasses.replace(
                Settings.from_environment(self.view.environment), ssl_root_cert=self.own.ssl_root_cert
            )
        except SecretNotFound:
            return Check(
                name,
                Result.FAILED,
                f"there is no function {function}",
                "Deploy the stack (docs/how-to/deploying.md), or name yours with --stack.",
            )
        except _UNASKED as error:
            # The operate function has the rotate function's settings in its own environment.
            self.settings = self.own if "ROTATE_FUNCTION" in os.environ else None
            return Check(name, Result.UNKNOWN, str(error))
        except RotatorsError as error:
            return failed_by(name, error)
        if self.view.invocable is None:
            return Check(name, Result.UNKNOWN, "the function's policy may not be read (lambda:GetPolicy)")
        if not self.view.invocable:
            return Check(
                name,
                Result.FAILED,
                f"the policy of {function} does not admit Secrets Manager of this account",
                "Add lambda:InvokeFunction for secretsmanager.amazonaws.com, with this account as"
                " SourceAccount (the template does it; for another account: SecretAccountId).",
            )
        return Check(name, Result.OK, self.view.arn)

    def _permissions(
        self, name: str, secret: Mapping[str, Any], operations: tuple[str, ...]
    ) -> Iterator[Check]:
        writes = operations == ROTATION
        yield self._asked(
            name, lambda view: denied(view.role, secret, operations, view.arn), _NAME_REMEDY[writes]
        )
        name = name.replace("may use", "may use the key of").replace("may read", "may use the key of")
        try:
            key = key_of(secret)
        except _UNASKED as error:
            yield Check(name, Result.UNKNOWN, str(error))
            return
        except RotatorsError as error:
            yield failed_by(name, error)
            return
        if key is None:
            yield Check(name, Result.OK, "the key is aws/secretsmanager")
        elif key.fault:
            yield Check(name, Result.FAILED, key.fault, "Enable the key, or give the secret another one.")
        else:
            check = self._asked(
                name,
                lambda view: denied_key(view.role, key, secret["ARN"], writes=writes),
                f"Add {key.arn} to the stack's parameter KmsKeyArns and deploy again.",
            )
            if check.result is Result.FAILED and key.tags is None:
                check = Check(name, Result.UNKNOWN, "the key's tags may not be read (kms:ListResourceTags)")
            yield check

    def _asked(self, name: str, ask: Callable[[FunctionView], list[str]], remedy: str) -> Check:
        view = self.view
        if view is None:
            return Check(name, Result.UNKNOWN, "the function's role is not known")
        if role := view.environment.get("TARGET_ROLE_ARN"):
            return Check(
                name, Result.UNKNOWN, f"the function assumes {role}; check the policies of that role"
            )
        try:
            missing = ask(view)
        except (*_UNASKED, SecretNotFound) as error:
            return Check(name, Result.UNKNOWN, str(error))
        if missing:
            return Check(name, Result.FAILED, f"{view.role} lacks {', '.join(missing)}", remedy)
        return Check(name, Result.OK, view.role)

    def _admin_permissions(self, value: Secret) -> Iterator[Check]:
        name = "the function's role may read the admin's secret"
        if "masterarn" not in value:
            yield Check(name, Result.UNNEEDED, "the secret names no masterarn")
            return
        try:
            admin = value.text("masterarn")
            with translated("DescribeSecret", admin):
                described = clients.secrets_manager().describe_secret(SecretId=admin)
            self.admin = self.store.admin(admin)
            self.seen.update(self.admin.sensitive())
        except _UNASKED as error:
            yield Check(name, Result.UNKNOWN, str(error))
            return
        except RotatorsError as error:
            yield failed_by(name, error)
            return
        yield from self._permissions(name, described, READING)

    def _schedule(self) -> Check:
        name = "rotation and schedule"
        pending = holder(self.described.get("VersionIdsToStages", {}), Stage.PENDING)
        current = holder(self.described.get("VersionIdsToStages", {}), Stage.CURRENT)
        if pending is not None and pending != current:
            return Check(
                name,
                Result.FAILED,
                "AWSPENDING is on a version of its own: a rotation runs or was cut off",
                f"Run `rotators doctor {self.described['Name']}`.",
            )
        if not self.described.get("RotationEnabled"):
            return Check(name, Result.OK, "rotation is off, and no rotation is under way")
        upcoming = self.described.get("NextRotationDate")
        return Check(
            name, Result.OK, f"next by {upcoming:%Y-%m-%d}" if upcoming else "on, without a next date"
        )


_NAME_REMEDY = {
    True: "Add a prefix of the secret's name to the stack's parameter SecretNamePrefixes and deploy again,"
    " or tag the secret (SecretTagValue).",
    False: "Add the secret's ARN to the stack's parameter AdminSecretArns and deploy again, or tag the"
    " secret (AdminTagValue).",
}
