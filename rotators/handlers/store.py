"""Creates or updates a secret. A repetition of the same call changes nothing.

The secret is described first and only what differs is called for, so a call that stopped between two steps
is completed by repeating it. Whatever can be checked is checked before the first write. The value is written
first: if the token belongs to another value, nothing has changed yet.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from rotators.aws import clients, sealing
from rotators.aws.faults import translated
from rotators.aws.secrets import describe
from rotators.core.audit import Facts, StageMove
from rotators.core.contracts import ChecksValues, Rotator, declared_members
from rotators.core.errors import (
    BrokenRotator,
    IdentityMismatch,
    InvalidEvent,
    RotationStateError,
    RotatorNotFound,
    RotatorsError,
    SecretDeleted,
    SecretFormatError,
    SecretNotFound,
    UnexpectedError,
    VersionConflict,
)
from rotators.core.redaction import masking
from rotators.core.registry import load
from rotators.core.secret import Members, Secret
from rotators.core.settings import Settings, flag
from rotators.core.states import holder
from rotators.handlers.events import StoreRequest
from rotators.handlers.telemetry import observed

CREATED, UPDATED, UNCHANGED = "created", "updated", "unchanged"

_VALIDATE = "VALIDATE_SECRETS"
_CURRENT, _PENDING = "AWSCURRENT", "AWSPENDING"
_DEFAULT_KEY = "alias/aws/secretsmanager"
_NOT_COMPARED = (
    "The version of this ClientRequestToken is already stored. It is sealed, so it was not compared."
)


def handler(event: object, context: object = None) -> dict[str, Any]:
    """Create the secret or store a new value; set key, description, tags and rotation as requested.

    Idempotent by ``ClientRequestToken``: the same token with the same value makes no second version.
    Without a token each call creates a version. Only the members of the event are changed: tags are added or
    overwritten, never removed; key, description and rotation that are left out stay. Rotation is configured
    again (and, unless ``RotateImmediately`` is false, started) only when it is off or differs. A new secret
    whose event names no key gets that of the environment's ``STORE_KMS_KEY_ID``, if it is set.

    With ``SEALING_KEYS`` in the environment, the value is sealed (``rotators.aws.sealing``). A repeated token
    is then not compared with the stored value, because this function cannot open it.

    A value that names an installed engine is checked by the rules of its rotation, without a login, before
    anything is called. ``VALIDATE_SECRETS=false`` in the environment leaves that out.

    A value stored while a rotation runs makes Secrets Manager abandon that rotation
    (UG:cloudtrail_log_entries, RotationAbandoned), so it is refused unless ``DuringRotation`` is true. A
    rotation that starts between our look and our write is not noticed.

    Args:
        event: ``Name``, one of ``Value`` (JSON object), ``SecretString``, ``SecretBinary`` (base64), and
            optionally ``KmsKeyId``, ``Description``, ``Tags`` (list of ``Key``, ``Value``),
            ``ClientRequestToken``, ``DuringRotation``, ``Rotation`` (``FunctionArn``,
            ``AutomaticallyAfterDays`` or ``ScheduleExpression``, ``Duration``, ``RotateImmediately``).
        context: Lambda's context; its ids are in the audit record.

    Returns:
        ``ARN``, ``Name``, ``VersionId``, ``VersionStages``, ``Action`` (``created``, ``updated``,
        ``unchanged``), ``RotationEnabled`` and ``Warnings`` (sentences); never the value.

    Raises:
        InvalidEvent: a field breaks a rule; nothing was called.
        SecretFormatError, IdentityMismatch: the engine that the value names does not take it; nothing was
            called.
        SecretDeleted: the secret is scheduled for deletion; nothing was changed.
        RotationStateError: a rotation is under way; nothing was changed.
        VersionConflict: the token was used with another value; nothing was changed.
        AccessDenied, …: another refusal. If something was stored before it, the cause says what, and the
            next action names the token with which the same event completes the work.
    """
    with observed("store", context) as observation:
        request = StoreRequest.from_event(event)
        token = request.client_request_token or str(uuid.uuid4())
        observation.add(secret=request.name, token=token)
        facts: Facts = {}
        observation.records = [facts]
        answer = _stored(request, token, facts)
        observation.add(outcome=answer["Action"], secret=answer["ARN"])
        return answer


def _stored(request: StoreRequest, token: str, facts: Facts) -> dict[str, Any]:
    """Check and store the value, return the function's answer, and fill in the facts of the audit record."""
    storing = _Storing(request, token, facts)
    try:
        with masking(_private(request), UnexpectedError):
            unserved = _unserved_engine(request)
            answer = storing.run()
    except RotatorsError as error:
        if not storing.done:
            raise
        raise storing.unfinished(error) from None
    return answer | {"Warnings": [*_warnings(request.name), *unserved, *storing.warnings]}


def _private(request: StoreRequest) -> Iterator[str]:
    """Yield the strings that no error may show. It runs after a failure only: it may load an engine."""
    try:
        members = declared_members(_rotator_of(request.secret()))
    except Exception:  # noqa: BLE001 - a defective rotator must not prevent that the other values are masked
        members = Members()
    yield from request.sensitive(members)


def _rotator_of(secret: Secret | None) -> Rotator | None:
    """Return the installed rotator of the engine that a value names; None without one."""
    engine = None if secret is None else secret.get("engine")
    try:
        return load(engine) if isinstance(engine, str) else None
    except (RotatorNotFound, BrokenRotator):
        # Other tools have other engines, and an artifact may lack the driver of an engine of this project.
        return None


def _unserved_engine(request: StoreRequest) -> list[str]:
    """Check the value as its engine does; a warning if no installed rotator serves the engine it names."""
    secret = request.secret() if flag(os.environ, _VALIDATE, default=True) else None
    if secret is None or not isinstance(secret.get("engine"), str):
        return []
    rotator = _rotator_of(secret)
    if rotator is None:
        return ["No installed rotator supports the engine of the value, so the value was not checked."]
    if isinstance(rotator, ChecksValues):
        settings = Settings.from_environment(os.environ)
        try:
            rotator.check_value(secret, settings)
        except (SecretFormatError, IdentityMismatch) as error:
            raise type(error)(
                error.cause,
                remedy=f"Correct the value and send the event again, or set {_VALIDATE}=false on the store"
                " function to store values unchecked.",
                reason=error.reason,
            ) from None
    return []


class _Storing:
    """One run: the request, its token, the changes made so far, and the remarks for the caller."""

    def __init__(self, request: StoreRequest, token: str, facts: Facts) -> None:
        self._request = request
        self._token = token
        self._facts = facts
        self._action = UNCHANGED
        self.done: list[str] = []
        self.warnings: list[str] = []

    def run(self) -> dict[str, Any]:
        found = self._described()
        self._check_function(found or {})
        answer = self._create() if found is None else None
        if answer is None:
            # Another call created it after our DescribeSecret (or that came from a stale replica).
            found = found or self._described() or {}
            answer = self._update(found)
        enabled = self._rotation(found or {})
        return {**answer, "Action": self._action, "RotationEnabled": enabled}

    def unfinished(self, error: RotatorsError) -> RotatorsError:
        """Return the error that stopped the run, with the changes before it and how to complete the work.

        Args:
            error: error that stopped the run.
        """
        return type(error)(
            f"{error.cause}. Before that, {' and '.join(self.done)}",
            remedy=f"{error.remedy} Then send the same event with ClientRequestToken {self._token}: it"
            " completes the work and stores nothing twice.",
            reason=error.reason,
        )

    def _check_function(self, found: Mapping[str, Any]) -> None:
        """Check with Lambda that the rotation function exists and the caller may invoke it; nothing is run.

        RotateSecret makes the same check, but only after the value was stored.
        """
        rotation = self._request.rotation
        if rotation is None or self._rotates_already(found):
            return
        try:
            with translated("Invoke", rotation.function_arn):
                answer = clients.functions().invoke(
                    FunctionName=rotation.function_arn, InvocationType="DryRun"
                )
                answer["Payload"].read()  # empty; an unread answer keeps its connection from later calls
        except SecretNotFound:
            raise InvalidEvent(
                f"Rotation.FunctionArn: there is no function {rotation.function_arn}; nothing was stored"
            ) from None

    def _rotates_already(self, found: Mapping[str, Any]) -> bool:
        """Return True if rotation is on with the wanted function and rules."""
        rotation = self._request.rotation
        if rotation is None or not found.get("RotationEnabled"):
            return False
        # The service may add rules (days calculated from a cron), so only the requested ones are compared.
        known = found.get("RotationRules", {})
        same = found.get("RotationLambdaARN") == rotation.function_arn
        return same and all(known.get(name) == value for name, value in rotation.rules().items())

    def _described(self) -> Mapping[str, Any] | None:
        try:
            found = describe(self._request.name)
        except SecretNotFound:
            return None
        if found.get("DeletedDate"):
            raise SecretDeleted(f"the secret {self._request.name} is scheduled for deletion")
        return found

    def _create(self) -> dict[str, Any] | None:
        """Create the secret; return None if it exists by now."""
        request = self._request
        given: dict[str, Any] = {
            "KmsKeyId": request.kms_key_id or os.environ.get("STORE_KMS_KEY_ID"),
            "Description": request.description,
            "Tags": self._tags(),
        }
        content = self._content(request.name)
        try:
            with translated("CreateSecret", request.name):
                made = clients.secrets_manager().create_secret(
                    Name=request.name,
                    ClientRequestToken=self._token,
                    **content,
                    **{name: value for name, value in given.items() if value},
                )
        except VersionConflict:
            return None
        self._action = CREATED
        self.done.append(f"the secret {made['ARN']} was created")
        self._stored(made["ARN"], None)
        return self._answer(made, [_CURRENT])

    def _update(self, found: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._put(found)
        self._properties(found)
        missing = [tag for tag in self._tags() if tag not in found.get("Tags", [])]
        if missing:
            with translated("TagResource", self._request.name):
                clients.secrets_manager().tag_resource(SecretId=self._request.name, Tags=missing)
            self._changed("tags were set")
        return answer

    def _put(self, found: Mapping[str, Any]) -> dict[str, Any]:
        stages = found.get("VersionIdsToStages", {})
        self._refuse_during_rotation(stages)
        if sealing.seals() and self._is_repeated(stages):
            return self._not_compared(found)
        content = self._content(found.get("Name", self._request.name))
        try:
            with translated("PutSecretValue", self._request.name):
                put = clients.secrets_manager().put_secret_value(
                    SecretId=self._request.name, ClientRequestToken=self._token, **content
                )
        except VersionConflict:
            if not sealing.seals() or self._token in stages:
                raise
            return self._not_compared(found)  # its version has lost its stages, so it is not described
        wanted = put.get("VersionStages", [])
        # A known token changes nothing. A version without stages is not described, and gets none.
        if self._token not in stages and _CURRENT in wanted:
            self._changed(f"the value of {put['ARN']} was stored")
            self._stored(put["ARN"], holder(stages, _CURRENT))
        return self._answer(put, wanted)

    def _not_compared(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a repeated token: sealed again, the same value differs from the stored one."""
        self.warnings.append(_NOT_COMPARED)
        return self._answer(found, found.get("VersionIdsToStages", {}).get(self._token, []))

    def _answer(self, secret: Mapping[str, Any], stages: list[str]) -> dict[str, Any]:
        version = {"VersionId": self._token, "VersionStages": stages}
        return {"ARN": secret["ARN"], "Name": secret["Name"], **version}

    def _content(self, name: str) -> dict[str, Any]:
        """Return the value for the API, sealed if SEALING_KEYS is set."""
        return {kind: sealing.stored(name, value) for kind, value in self._request.content().items()}

    def _is_repeated(self, stages: Mapping[str, list[str]]) -> bool:
        """Return True if an earlier call has stored the version of the token."""
        return self._token in stages and self._token not in _pending(stages)

    def _refuse_during_rotation(self, stages: Mapping[str, list[str]]) -> None:
        pending = _pending(stages)
        if not pending or self._is_repeated(stages) or self._request.during_rotation:
            return
        raise RotationStateError(
            f"a rotation of {self._request.name} is in progress or stuck (AWSPENDING is on a "
            "version other than AWSCURRENT); a new value would make Secrets Manager abandon it",
            reason="rotation-in-progress",
            remedy='Wait until the rotation has ended, or send "DuringRotation": true to abandon it.',
        )

    def _properties(self, found: Mapping[str, Any]) -> None:
        request, changes = self._request, {}
        if request.kms_key_id and not _same_key(request.kms_key_id, found.get("KmsKeyId")):
            changes["KmsKeyId"] = request.kms_key_id
        if request.description is not None and request.description != found.get("Description", ""):
            changes["Description"] = request.description
        if changes:
            with translated("UpdateSecret", request.name):
                clients.secrets_manager().update_secret(SecretId=request.name, **changes)
            self._changed(f"{' and '.join(changes)} was changed")

    def _rotation(self, found: Mapping[str, Any]) -> bool:
        """Configure rotation if the event asks for it and it differs; return True if it is on afterwards."""
        rotation = self._request.rotation
        enabled = bool(found.get("RotationEnabled"))
        if rotation is None:
            return enabled
        if self._rotates_already(found):
            return True
        with translated("RotateSecret", self._request.name):
            clients.secrets_manager().rotate_secret(
                SecretId=self._request.name,
                RotationLambdaARN=rotation.function_arn,
                RotationRules=rotation.rules(),  # type: ignore[arg-type]  # checked by the model
                RotateImmediately=rotation.rotate_immediately,
            )
        self._changed("rotation was turned on")
        return True

    def _stored(self, arn: str, replaced: str | None) -> None:
        """Note for the audit record that a version was stored as AWSCURRENT, in place of another one."""
        moved = [StageMove(_CURRENT, replaced, self._token)]
        self._facts.update({"secret": arn, "versions": [self._token], "moved": moved})

    def _tags(self) -> list[Any]:
        return [{"Key": tag.key, "Value": tag.value} for tag in self._request.tags]

    def _changed(self, what: str) -> None:
        self.done.append(what)
        if self._action == UNCHANGED:
            self._action = UPDATED


def _pending(stages: Mapping[str, list[str]]) -> list[str]:
    """Return the versions of rotations that are under way or got stuck."""
    return [version for version, held in stages.items() if _PENDING in held and _CURRENT not in held]


def _same_key(wanted: str, known: str | None) -> bool:
    # The service may show the ARN of a key that was named by its id or alias, and omits its default key.
    known = known or _DEFAULT_KEY
    return known == wanted or known.endswith((f":key/{wanted}", f":{wanted}"))


def _warnings(name: str) -> list[str]:
    # API:CreateSecret, Name. Only advice, because names such as app-config are common and work.
    if re.search(r"-[A-Za-z0-9]{6}$", name):
        return ["The name ends in a hyphen and six characters: a partial ARN of this secret is not found."]
    return []
