"""Rotation as in the service: it validates and returns, then calls the four steps in the background.

The rules and their sources (pages as in the service's documentation):

- RotateSecret attaches AWSPENDING to the token's version without a value, returns, and calls createSecret,
  setSecret, testSecret, finishSecret, each as soon as the one before has ended; it stops at the first
  failure and leaves AWSPENDING where it is (UG:rotate-secrets_lambda).
- AWSPENDING on another version than AWSCURRENT means that a rotation is not complete: the call is refused,
  and unless it runs right now, the stuck token's rotation is driven again (API:RotateSecret). The real
  service also retries by itself within the rotation window; here only a call does.
- A call with the stuck token, or with a completed one, is a repetition and not an error.
- After success AWSPENDING is removed, as the service's maintainers describe; AWS also documents that it may
  remain, so code must accept both.
- AWSCURRENT on a third version in the middle of a rotation: RotationAbandoned, AWSPENDING removed
  (UG:cloudtrail_log_entries). CancelRotateSecret stops the run before its next step and leaves AWSPENDING.
- RotateImmediately=false calls testSecret alone, with a version that is removed afterwards
  (API:RotateSecret). It has the value of AWSCURRENT (recorded on AWS by moto's tests,
  test_rotate_secret_using_lambda_dont_rotate_immediately).
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import lambda_backends
from moto.secretsmanager.models import FakeSecret, secretsmanager_backends

from rotators.local.errors import LocalStackError
from rotators.local.options import ACCOUNT, Options
from rotators.local.records import Result, RotationOutcome, StepRecord
from rotators.local.secretsmanager import versions
from rotators.local.secretsmanager.refusals import NOT_COMPLETE, invalid_request
from rotators.local.secretsmanager.versions import CURRENT, PENDING, PREVIOUS

if TYPE_CHECKING:
    from rotators.local.secretsmanager.events import EventLog
    from rotators.local.secretsmanager.replication import LocalReplica

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
_STOP_SECONDS = 5.0


@dataclass
class RotationState:
    """The state of a secret's rotation that moto's record does not contain.

    Attributes:
        rules: RotationRules as stored.
        last_changed: Time at which AWSCURRENT was last moved; the next date counts from it.
        last_rotated: Time at which a rotation last succeeded.
        running: The run in progress, or None.
        outcomes: The newest outcome per token.
    """

    rules: dict[str, Any] = field(default_factory=dict)
    last_changed: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    last_rotated: dt.datetime | None = None
    running: Run | None = None
    outcomes: dict[str, RotationOutcome] = field(default_factory=dict)


@dataclass
class Run:
    """One run of the steps.

    Attributes:
        secret: Moto's record.
        token: Id of the pending version.
        rotation_token: Proves to PutSecretValue that the caller is this rotation; sensitive.
        function_arn: ARN of the rotation function.
        current: Id of the version that has AWSCURRENT at the start, or None.
        steps: Steps to call.
        unproven: True if an assumed role stored the pending value without the rotation token.
    """

    secret: FakeSecret
    token: str
    function_arn: str
    current: str | None
    steps: tuple[str, ...] = STEPS
    rotation_token: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    unproven: bool = False

    @property
    def test_only(self) -> bool:
        """Return True for the test of RotateImmediately=false."""
        return self.steps != STEPS


class Rotations:
    """All rotations of one local AWS.

    Attributes:
        lock: held while a secret's record is read or changed, never while a function runs.

    Args:
        events: receives the service's events.
        options: options of the local AWS.
    """

    def __init__(self, events: EventLog, options: Options) -> None:
        self.lock = threading.RLock()
        self._options = options
        self._events = events
        self._changed = threading.Condition(self.lock)
        self._states: dict[str, RotationState] = {}
        self._threads: set[threading.Thread] = set()
        self._stopping = False

    def find(self, secret_id: str, region: str) -> FakeSecret | None:
        """Return moto's record of a secret, or None; replicas are not found.

        Args:
            secret_id: name or ARN.
            region: Region of the secret.
        """
        found = self.record(secret_id, region)
        return found if isinstance(found, FakeSecret) else None

    def record(self, secret_id: str, region: str) -> FakeSecret | LocalReplica | None:
        """Return moto's record of a secret or replica, or None.

        Args:
            secret_id: name or ARN.
            region: Region of the secret or replica.
        """
        account = secret_id.split(":")[4] if secret_id.startswith("arn:") else ACCOUNT
        with self.lock:
            found = secretsmanager_backends[account][region].secrets.get(secret_id)
        return cast("FakeSecret | LocalReplica | None", found)

    def stage(self, secret_id: str, token: str, region: str) -> bool:
        """Attach AWSPENDING to the token's version, made empty if it does not exist.

        Args:
            secret_id: name or ARN.
            token: the version's id.
            region: Region of the secret.

        Returns:
            True if there is such a secret.
        """
        secret = self.find(secret_id, region)
        if secret is not None:
            with self.lock:
                versions.stage_empty(secret, token)
        return secret is not None

    def state(self, secret: FakeSecret) -> RotationState:
        """Return the state of a ``secret``, created at the first call. Called with the lock held."""
        return self._states.setdefault(secret.arn, RotationState())

    def request(self, secret: FakeSecret, token: str, *, immediately: bool) -> None:
        """Start the rotation or test of RotateSecret.

        Called with the lock held, after the settings are stored.

        Args:
            secret: with a function ARN.
            token: ClientRequestToken or a new UUID.
            immediately: RotateImmediately.

        Raises:
            SecretsManagerClientError: InvalidRequestException, a previous rotation is not complete; the
                stuck one is driven again.
        """
        running = self.state(secret).running
        pending, current = versions.holder(secret, PENDING), versions.holder(secret, CURRENT)
        stages = secret.versions.get(token, {}).get("version_stages", [])
        if running and running.token == token:
            return
        if not running and (CURRENT in stages or PREVIOUS in stages):
            return  # that rotation is complete; a repeated call must not undo it
        # A trial of its own token would replace the value of a stuck rotation, and remove its version.
        stuck = pending not in (None, current, token) or (pending == token and not immediately)
        if running or stuck:
            if not running and pending is not None:
                self._start(Run(secret, pending, secret.rotation_lambda_arn, current))
            raise invalid_request(NOT_COMPLETE)
        if pending != token:
            versions.stage_empty(secret, token)
        if not immediately:
            value = secret.versions.get(current or "", {})
            for key in value.keys() & {"secret_string", "secret_binary"}:
                secret.versions[token][key] = value[key]
        steps = STEPS if immediately else ("testSecret",)
        self._start(Run(secret, token, secret.rotation_lambda_arn, current, steps))

    def value_changed(self, secret: FakeSecret) -> None:
        """Note that AWSCURRENT of ``secret`` moved. Called with the lock held."""
        self.state(secret).last_changed = dt.datetime.now(dt.UTC)

    def wait(self, secret_arn: str, token: str, timeout: float) -> RotationOutcome:
        """Wait until no run of the token is active, and return the outcome of the last one.

        Args:
            secret_arn: the secret.
            token: ClientRequestToken of the rotation.
            timeout: seconds.

        Returns:
            The outcome.

        Raises:
            LocalStackError: no outcome in time.
        """

        def ended() -> bool:
            state = self._states.get(secret_arn)
            return bool(state and token in state.outcomes)

        with self._changed:
            if not self._changed.wait_for(ended, timeout):
                raise LocalStackError(
                    f"rotation {token} of {secret_arn} did not end within {timeout:g} s",
                    remedy="Read the rotation function's log; check that the rotation was started.",
                    reason="timeout",
                )
            return self._states[secret_arn].outcomes[token]

    def forget(self) -> None:
        """Delete the state of rotations of deleted secrets; their runs end before their next step."""
        with self.lock:
            self._states.clear()

    def refuse_more(self) -> None:
        """Prevent all runs from beginning another step."""
        with self.lock:
            self._stopping = True

    def stop(self) -> None:
        """End all runs before their next step, and wait a moment for them."""
        self.refuse_more()
        with self.lock:
            threads = list(self._threads)
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start(self, run: Run) -> None:
        state = self.state(run.secret)
        state.running = run
        state.outcomes.pop(run.token, None)
        thread = threading.Thread(target=self._drive, args=(run,), daemon=True, name=f"rotation {run.token}")
        self._threads.add(thread)
        thread.start()

    def _drive(self, run: Run) -> None:
        test = "Test" if run.test_only else ""
        self._events.service_event(f"{test}RotationStarted", run.secret.arn)
        steps: list[StepRecord] = []
        result: Result = "failed"
        message: str | None = "The local AWS failed; see the error of its rotation thread."
        try:
            result, message = self._call_steps(run, steps)
        finally:
            self._finish(run, result)
            if result != "cancelled":
                self._events.service_event(f"{test}Rotation{result.capitalize()}", run.secret.arn, message)
            self._record(
                RotationOutcome(run.secret.arn, run.token, result, run.test_only, (*steps,), message)
            )

    def _call_steps(self, run: Run, steps: list[StepRecord]) -> tuple[Result, str | None]:
        for step in run.steps:
            if self._cancelled(run):
                return "cancelled", None
            record = self._call(run, step)
            steps.append(record)
            if self._options.on_step:
                self._options.on_step(record)
            with self.lock:
                result = self._judge(run, record)
            if result:
                return result
        return "succeeded", None

    def _call(self, run: Run, step: str) -> StepRecord:
        event = {
            "Step": step,
            "SecretId": run.secret.arn,
            "ClientRequestToken": run.token,
            "RotationToken": run.rotation_token,
        }
        backend = lambda_backends[run.function_arn.split(":")[4]][run.secret.region]
        headers: dict[str, Any] = {}
        now, begin = dt.datetime.now(dt.UTC), time.perf_counter()
        try:
            answer = backend.invoke(run.function_arn, None, json.dumps(event), {}, headers)
            error = json.loads(answer or "{}") if "x-amz-function-error" in headers else {}
        except LambdaClientError as refused:  # the function was deleted meanwhile
            error = {"errorType": refused.error_type, "errorMessage": refused.message}
        seconds = time.perf_counter() - begin
        kind = error.get("errorType", "Error") if error else None
        return StepRecord(run.secret.arn, run.token, step, now, seconds, kind, error.get("errorMessage"))

    def _judge(self, run: Run, record: StepRecord) -> tuple[Result, str | None] | None:
        """Return the result and message if the rotation ends after a step, else None."""
        current = versions.holder(run.secret, CURRENT)
        if current not in (run.current, run.token) and not run.test_only:
            return "abandoned", None
        if not record.ok:
            return "failed", f"Error when executing lambda {run.function_arn} during {record.step} step"
        version = run.secret.versions.get(run.token, {})
        if record.step == "createSecret" and (run.unproven or not versions.has_value(version)):
            return "failed", (
                f"Pending secret version {run.token} for Secret {run.secret.arn} was not created by Lambda "
                f"{run.function_arn}. Remove the AWSPENDING staging label and restart rotation."
            )
        if record.step == "finishSecret" and current != run.token:
            return "failed", f"{run.function_arn} left finishSecret without moving AWSCURRENT to {run.token}"
        return None

    def _cancelled(self, run: Run) -> bool:
        with self.lock:
            backend = secretsmanager_backends[run.secret.account_id][run.secret.region]
            deleted = run.secret.is_deleted() or run.secret.arn not in backend.secrets
            return self._stopping or deleted or not run.secret.rotation_enabled

    def _finish(self, run: Run, result: Result) -> None:
        with self.lock:
            self.state(run.secret).running = None
            if run.test_only:
                run.secret.versions.pop(run.token, None)
            elif result in {"succeeded", "abandoned"} and versions.holder(run.secret, PENDING) == run.token:
                versions.detach(run.secret, PENDING)
            if result == "succeeded" and not run.test_only:
                self.state(run.secret).last_rotated = dt.datetime.now(dt.UTC)

    def _record(self, outcome: RotationOutcome) -> None:
        with self._changed:
            state = self._states.setdefault(outcome.secret_id, RotationState())
            state.outcomes[outcome.token] = outcome
            self._threads.discard(threading.current_thread())
            self._changed.notify_all()
