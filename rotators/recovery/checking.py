"""Document of `rotators check`, which checks whether a rotation of a secret would work.

The checks only read; nothing is changed. They are in the order of a rotation, so the first failed check is
the first thing to fix.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rotators.aws import clients, sealing
from rotators.aws.secrets import describe
from rotators.aws.views import UNASKED, UNTOLD, arn_in, primary_region
from rotators.core.errors import (
    AccessDenied,
    RotationStateError,
    RotatorsError,
    SecretDeleted,
    SecretFormatError,
    SecretManagedByService,
    SecretNotFound,
)
from rotators.core.redaction import masked_texts, masking
from rotators.core.rotation import Rotation, Seen
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.core.states import Stage, holder
from rotators.core.store import Store
from rotators.recovery.checks import Check, CheckResult, failed_by, of_rotator
from rotators.recovery.coverage import (
    READING,
    ROTATION,
    FunctionView,
    denied,
    denied_key,
    denied_sealing,
    function_view,
    key_of,
)
from rotators.recovery.database_checks import DatabaseChecks
from rotators.recovery.faults import declared_members_of, fault_of, rotator_of
from rotators.strategies.rotator import engine_of

Document = dict[str, Any]


def preflight(store: Store, own: Settings, secret_id: str, *, function: str | None, default: str) -> Document:
    """Check whether a rotation of a secret would work.

    Args:
        store: the gateway to Secrets Manager.
        own: settings of this process. Only the trusted roots are used, except in the operate function, which
            uses all of them if the function's settings cannot be read.
        secret_id: name or ARN of the secret.
        function: name or ARN of the function to check; None for the one that the secret names.
        default: the function to check if the secret names none.

    Returns:
        ``name``, ``arn``, ``ready`` (True if no check failed), ``state`` (``ready``, ``partly-checked`` if
        some checks could not be made, or ``not-ready``),
        ``checks`` (a list of ``name``, ``result``, ``detail``, ``next``), and ``next`` (the first thing to
        do).

    Raises:
        SecretNotFound, AccessDenied: the secret cannot be described; nothing else was checked.
    """
    with clients.in_region_of(secret_id):
        described = describe(secret_id)
        run = _Preflight(store, own, described, function or described.get("RotationLambdaARN") or default)
        with masking(run.seen):
            checks = list(run.checks())
    failed = next((check for check in checks if check.result is CheckResult.FAILED), None)
    unknown = sum(check.result is CheckResult.UNKNOWN for check in checks)
    document: Document = {
        "name": described["Name"],
        "arn": described["ARN"],
        "ready": failed is None,
        "state": "not-ready" if failed else "partly-checked" if unknown else "ready",
        "checks": [{**dataclasses.asdict(check), "result": str(check.result)} for check in checks],
        "next": failed.next if failed else _when_nothing_failed(described, unknown),
    }
    # Servers and rotators choose these texts, so they may contain a value.
    masked: Document = masked_texts(document, run.seen, ("detail", "next"))
    return masked


def _when_nothing_failed(described: Mapping[str, Any], unknown: int) -> str:
    if described.get("RotationEnabled"):
        action = f"`rotators rotate {clients.short_id(described['Name'], described['ARN'])}` rotates it now."
    else:
        action = "turn rotation on with `aws secretsmanager rotate-secret`."
    if unknown:
        return f"nothing failed, but {unknown} checks could not be made; examine these, then {action}"
    return f"no check failed; {action}"


@dataclass
class _Preflight:
    """One run of the checks; results of earlier checks are kept for later ones."""

    store: Store
    own: Settings
    described: Mapping[str, Any]
    function: str
    seen: Seen = field(default_factory=Seen, repr=False)
    settings: Settings | None = None
    view: FunctionView | None = None
    admin: Secret | None = field(default=None, repr=False)

    @property
    def arn(self) -> str:
        return str(self.described["ARN"])

    def _holder(self, stage: Stage) -> str | None:
        return holder(self.described.get("VersionIdsToStages", {}), stage)

    def checks(self) -> Iterator[Check]:
        value, check = self._value()
        yield check
        yield self._function()
        yield from self._permissions("the function's role may use the secret", self.described, ROTATION)
        if self.view and (keys := self.view.environment.get(sealing.KEYS)):
            yield self._asked(
                "the function's role may use the sealing keys",
                lambda view: denied_sealing(view.role, keys.split(","), self.described["Name"]),
                "Add the keys to the stack's parameter SealingKeyArns, and the secret's prefix to"
                " SecretNamePrefixes, and deploy again.",
            )
        if value is None:
            return
        yield from self._admin_permissions(value)
        settings = self.settings or self.own
        self.seen.members = declared_members_of(value, settings)
        try:
            if fault := fault_of(value, settings):
                raise fault
            rotator = rotator_of(value, settings)
        except RotatorsError as error:
            yield failed_by("the value", error)
            return

        login = partial(rotator.verify, Rotation(value, settings, value))
        if (engine := engine_of(rotator)) is not None:
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
                    f"this is a replica; the primary secret is in {home}, and only the primary rotates",
                    reason="replica",
                    remedy=f"Run `rotators check {arn_in(home, self.arn)}`.",
                )
            if owner := self.described.get("OwningService"):
                raise SecretManagedByService(f"the secret belongs to {owner}, which rotates it itself")
            version = self._holder(Stage.CURRENT)
            value = self.store.value(self.arn, version) if version else None
            if value is None:
                raise SecretFormatError("the secret has no AWSCURRENT version with a value")
        except AccessDenied as error:
            return None, Check.unknown(name, str(error))
        except RotatorsError as error:
            return None, failed_by(name, error)
        self.seen.add(value)
        return value, Check.ok(name, "AWSCURRENT contains a JSON object")

    def _function(self) -> Check:
        name, function = "Secrets Manager may invoke the function", self.function
        try:
            self.view = function_view(function, self.arn.split(":")[4])
            self.settings = dataclasses.replace(
                Settings.from_environment(self.view.environment), ssl_root_cert=self.own.ssl_root_cert
            )
        except SecretNotFound:
            return Check.failed(
                name,
                f"there is no function {function}",
                "Deploy the stack (docs/how-to/deploying.md), or name yours with --stack.",
            )
        except UNASKED as error:
            # The operate function has the rotate function's settings in its environment.
            self.settings = self.own if "ROTATE_FUNCTION" in os.environ else None
            return Check.unknown(name, str(error))
        except RotatorsError as error:
            return failed_by(name, error)
        if self.view.invocable is None:
            return Check.unknown(name, "the function's policy may not be read (lambda:GetPolicy)")
        if not self.view.invocable:
            return Check.failed(
                name,
                f"the policy of {function} does not permit calls by Secrets Manager of this account",
                "Add lambda:InvokeFunction for secretsmanager.amazonaws.com, with this account "
                "as SourceAccount. The template adds it; for another account, set "
                "SecretAccountId.",
            )
        return Check.ok(name, self.view.arn)

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
        except RotatorsError as error:
            yield _ended_by(name, error)
            return
        if key is None:
            yield Check.ok(name, "the key is aws/secretsmanager")
        elif key.fault:
            yield Check.failed(name, key.fault, "Enable the key, or give the secret another key.")
        else:
            check = self._asked(
                name,
                lambda view: denied_key(view.role, key, secret["ARN"], writes=writes),
                f"Add {key.arn} to the stack's parameter KmsKeyArns and deploy again.",
            )
            if check.result is CheckResult.FAILED and key.tags is None:
                check = Check.unknown(name, "the key's tags may not be read (kms:ListResourceTags)")
            yield check

    def _asked(self, name: str, ask: Callable[[FunctionView], list[str]], remedy: str) -> Check:
        view = self.view
        if view is None:
            return Check.unknown(name, "the function's role is not known")
        if role := view.environment.get("TARGET_ROLE_ARN"):
            return Check.unknown(name, f"the function assumes {role}; check the policies of that role")
        try:
            missing = ask(view)
        except UNTOLD as error:
            return Check.unknown(name, str(error))
        if missing:
            return Check.failed(name, f"{view.role} lacks {', '.join(missing)}", remedy)
        return Check.ok(name, view.role)

    def _admin_permissions(self, value: Secret) -> Iterator[Check]:
        name = "the function's role may read the admin's secret"
        if "masterarn" not in value:
            yield Check.unneeded(name, "the secret names no masterarn")
            return
        try:
            admin = value.text("masterarn")
            described = describe(admin)
            self.admin = self.store.admin(admin)
            self.seen.add(self.admin)
        except RotatorsError as error:
            yield _ended_by(name, error)
            return
        yield from self._permissions(name, described, READING)

    def _schedule(self) -> Check:
        name = "rotation and schedule"
        if self._holder(Stage.PENDING) not in {None, self._holder(Stage.CURRENT)}:
            return Check.failed(
                name,
                "AWSPENDING is on a separate version: a rotation is running or was interrupted",
                f"Run `rotators doctor {clients.short_id(self.described['Name'], self.arn)}`.",
            )
        if not self.described.get("RotationEnabled"):
            return Check.ok(name, "rotation is off, and no rotation is in progress")
        upcoming = self.described.get("NextRotationDate")
        return Check.ok(name, f"next by {upcoming:%Y-%m-%d}" if upcoming else "on, without a next date")


def _ended_by(name: str, error: RotatorsError) -> Check:
    """Return the check that an error of AWS ended: it failed, or it could not be made."""
    return Check.unknown(name, str(error)) if isinstance(error, UNASKED) else failed_by(name, error)


_NAME_REMEDY = {
    True: "Add a prefix of the secret's name to the stack's parameter SecretNamePrefixes and deploy again,"
    " or tag the secret (SecretTagValue).",
    False: "Add the secret's ARN to the stack's parameter AdminSecretArns and deploy again, or tag the"
    " secret (AdminTagValue).",
}
