"""One secret for one credential of one target, and operations on all three."""

from __future__ import annotations

import io
import itertools
import json
import secrets
import time
import uuid
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Self

from rotators.core.contracts import declared_members
from rotators.core.errors import RotatorsError
from rotators.core.registry import load
from rotators.core.request import Step
from rotators.core.secret import Secret
from rotators.core.states import Stage, holder
from rotators.local.inprocess import InProcessFunction
from rotators.testing._recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.core.contracts import Rotator
    from rotators.local.aws import LocalAws
    from rotators.testing._target import Target, Value

STEPS = tuple(str(step) for step in Step)

EXTRA = {"team": "payments", "nested": {"list": [1, 2.5, None, True]}, "ünï": "çödé"}
"""Members of every secret of the kit that no rotator uses, and that must be kept."""

_SESSION_END_SECONDS = 300.0  # much longer than a server needs to notice a closed connection
_PAUSE_SECONDS = 0.01

_numbers = itertools.count(1)


def step_event(arn: str, step: str, token: str) -> dict[str, str]:
    """Return the event that the service would send for one step.

    Args:
        arn: ARN of the secret.
        step: name of the step.
        token: token of the rotation.

    Returns:
        The event of AWS, with a random ``RotationToken``.
    """
    return {
        "Step": step,
        "SecretId": arn,
        "ClientRequestToken": token,
        "RotationToken": str(uuid.uuid4()),
    }


class Kit:
    """Creates cases of one rotator with one strategy; use as a context manager.

    Args:
        aws: running local AWS; the process's environment points at it.
        target: target of the credentials.
        rotator: name of an installed rotator, an object, or None for the one of the target's ``engine``.
        strategy: the secret's ``strategy``; None leaves the key out.
        with_admin: True if the secret names an admin, unless the target has no admins.
    """

    def __init__(
        self,
        aws: LocalAws,
        target: Target,
        *,
        rotator: str | Rotator | None = None,
        strategy: str | None = "single",
        with_admin: bool = False,
    ) -> None:
        self.aws, self.target, self.strategy = aws, target, strategy
        self.with_admin = with_admin and target.administered
        target.use(aws)
        named = isinstance(rotator, str)
        self.rotator: Rotator | None = None if rotator is None or isinstance(rotator, str) else rotator
        self._engine = {"engine": rotator} if named else {}
        self.function = InProcessFunction(self.rotator)
        self.recorder = Recorder(target.operations)
        self.client = aws.client("secretsmanager")
        self._made: list[str] = []
        self._admins: dict[int | None, str] = {}

    def __enter__(self) -> Self:
        self.recorder.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.recorder.__exit__()
        for arn in self._made:
            self.client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)

    @property
    def always_usable(self) -> bool:
        """True if the strategy promises that the current value logs in at every instant."""
        return self.strategy in {"alternating", "dual"}

    def case(
        self,
        *,
        rotations: int = 0,
        name: str | None = None,
        password: str | None = None,
        port: int | None = None,
        value: Value | None = None,
    ) -> Case:
        """Return a new credential in a new secret; as a context manager, the case is closed at the end.

        Args:
            rotations: number of rotations to run first.
            name: name of the user, see Target.create.
            password: password of the user, see Target.create.
            port: port where the rotator finds the target: that of a proxy.
            value: value of an existing credential; None creates one.

        Raises:
            ValueError: the kit was made with ``with_admin``, and the target has no admin.
        """
        value = {**(value or self.target.create(name, password)), **self._engine, **EXTRA}
        if self.strategy is not None:
            value["strategy"] = self.strategy
        if self.with_admin:
            value["masterarn"] = self._admin(port)
        stored = value if port is None else self.target.moved(value, port)
        case = Case(self, self.store(stored), value)
        self.aws.enable_rotation(case.arn)
        for _ in range(rotations):
            case.begin(*STEPS)
        return case

    def has_no_session(self, value: Value) -> bool:
        """Return True as soon as the target has no session of a user; False if one stays open.

        Args:
            value: value of the user.
        """
        deadline = time.monotonic() + _SESSION_END_SECONDS
        while self.target.sessions(value):
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_SECONDS)
        return True

    def _admin(self, port: int | None) -> str:
        """Return the ARN of the admin's secret; cases whose admin is at the same port share it."""
        if port not in self._admins:
            admin = self.target.admin()
            if admin is None:
                raise ValueError("with_admin needs a target with an admin")
            self._admins[port] = self.store(admin if port is None else self.target.moved(admin, port))
        return self._admins[port]

    def store(self, value: Value) -> str:
        """Store a value in a new secret, and return its ARN.

        Args:
            value: value of a secret.
        """
        name = f"kit/{secrets.token_hex(4)}-{next(_numbers)}"
        arn = str(self.client.create_secret(Name=name, SecretString=json.dumps(value))["ARN"])
        self._made.append(arn)
        return arn

    def delete(self, arn: str) -> None:
        """Delete a secret at once.

        Args:
            arn: ARN of the secret.
        """
        self.client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
        self._made.remove(arn)


class Case:
    """One secret, its rotations, and its credential.

    Args:
        kit: kit that the case belongs to.
        arn: ARN of the secret.
        value: first value of the credential, as the target created it.

    Attributes:
        output: output of the function in this case.
    """

    def __init__(self, kit: Kit, arn: str, value: Value) -> None:
        self.kit, self.arn, self.first = kit, arn, value
        self.output = io.StringIO()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, *steps: str) -> str:
        """Stage an empty AWSPENDING version as the service does before createSecret; return its token.

        Args:
            *steps: names of the steps to run with it.
        """
        token = str(uuid.uuid4())
        self.kit.aws.stage(self.arn, token)
        for step in steps:
            self.step(step, token)
        return token

    def event(self, step: str, token: str) -> dict[str, str]:
        """Return the event that the service would send.

        Args:
            step: name of the step.
            token: token of the rotation.

        Returns:
            See `step_event`.
        """
        return step_event(self.arn, step, token)

    def step(self, step: str, token: str) -> None:
        """Run one step, recorded.

        Args:
            step: name of the step.
            token: token of the rotation.
        """
        with redirect_stdout(self.output), self.kit.recorder.step(step):
            self.kit.function.invoke(self.event(step, token))

    def succeeds(self, step: str, token: str) -> bool:
        """Run one step, recorded; return False if it failed with an error of this project.

        Args:
            step: name of the step.
            token: token of the rotation.
        """
        try:
            self.step(step, token)
        except RotatorsError:
            return False
        return True

    def steps(self, token: str, *steps: str) -> None:
        """Run several steps.

        Args:
            token: token of the rotation.
            *steps: names of the steps; all four if none is given.
        """
        for step in steps or STEPS:
            self.step(step, token)

    def rotate(self) -> Value:
        """Run a whole rotation with a new token, and return the new current value."""
        self.begin(*STEPS)
        return self.current()

    def current(self) -> Value:
        """Return the AWSCURRENT value."""
        return self._value(VersionStage=Stage.CURRENT)

    def pending(self, token: str) -> Value:
        """Return the value that is stored for a token.

        Args:
            token: token of the rotation.
        """
        return self._value(VersionId=token)

    def current_version(self) -> str | None:
        """Return the id of the AWSCURRENT version.

        Returns:
            A version id; None if the secret has no AWSCURRENT version.
        """
        return holder(self.stages(), Stage.CURRENT)

    def stages(self) -> dict[str, list[str]]:
        """Return the stages of each version id.

        Returns:
            Stages such as ``AWSCURRENT`` by version id. Versions without a stage are not in it.
        """
        found: dict[str, list[str]] = self.kit.client.describe_secret(SecretId=self.arn)["VersionIdsToStages"]
        return found

    def values(self) -> Iterator[Value]:
        """Yield the values of all versions, those with a stage first.

        Yields:
            Each stored value; a version that has a stage but no value is left out.
        """
        listed = self.kit.client.list_secret_version_ids(SecretId=self.arn, IncludeDeprecated=True)
        for version in sorted(listed["Versions"], key=lambda version: not version.get("VersionStages")):
            try:
                yield self.pending(version["VersionId"])
            except self.kit.client.exceptions.ResourceNotFoundException:
                continue  # staged, without a value

    def put(self, value: Value, token: str = "", stage: str = Stage.CURRENT) -> str:
        """Store a value by hand, and return the id of the new version.

        Args:
            value: value to store.
            token: id of the new version; empty for a new one.
            stage: stage of the new version.
        """
        token = token or str(uuid.uuid4())
        self.kit.client.put_secret_value(
            SecretId=self.arn,
            ClientRequestToken=token,
            SecretString=json.dumps(value),
            VersionStages=[stage],
        )
        return token

    def drop_pending(self, token: str) -> None:
        """Take AWSPENDING off a version if it has it, as operators do to end a stuck rotation.

        Args:
            token: id of the version.
        """
        if Stage.PENDING in self.stages().get(token, ()):
            self.kit.client.update_secret_version_stage(
                SecretId=self.arn, VersionStage=Stage.PENDING, RemoveFromVersionId=token
            )

    def current_logs_in(self) -> bool:
        """Return True if the AWSCURRENT value logs in."""
        return self.kit.target.logs_in(self.current())

    def some_logs_in(self) -> bool:
        """Return True if any stored value logs in; reads no more values than needed."""
        return any(self.kit.target.logs_in(value) for value in self.values())

    @property
    def rotator(self) -> Rotator:
        """Return the rotator of the secret."""
        return self.kit.rotator or load(str(self.first["engine"]))

    def sensitive(self) -> set[str]:
        """Return all strings of all values, and of the admin's value, that must not appear anywhere.

        Returns:
            Texts to search for; those that the kit itself adds to each secret are not among them.
        """
        admin = self.kit.target.admin() or {}
        members = declared_members(self.rotator)
        return {
            text
            for value in (*self.values(), self.first, admin)
            for text in Secret(value).sensitive(*members)
        } - set(Secret(EXTRA).sensitive())

    def close(self) -> None:
        """Remove the credential and the secret."""
        self.kit.target.remove(self.first)
        self.kit.delete(self.arn)

    def _value(self, **which: str) -> Value:
        answer = self.kit.client.get_secret_value(SecretId=self.arn, **which)
        value: Value = json.loads(answer["SecretString"])
        return value
