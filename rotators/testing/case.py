"""One secret for one credential of one target, and the doors to all of them."""

from __future__ import annotations

import io
import itertools
import json
import secrets
import uuid
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Self

from rotators.core.request import Step
from rotators.core.secret import Secret
from rotators.core.states import Stage, holder
from rotators.local.inprocess import InProcessFunction
from rotators.testing.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotators.core.contracts import Rotator
    from rotators.local.aws import LocalAws
    from rotators.testing.target import Target, Value

STEPS = tuple(str(step) for step in Step)

EXTRA = {"team": "payments", "nested": {"list": [1, 2.5, None, True]}, "ünï": "çödé"}
"""Members of every secret of the kit that no rotator knows, and that must survive."""

_numbers = itertools.count(1)


class Kit:
    """Makes cases of one rotator with one strategy; use as a context manager.

    Args:
        aws: the running local AWS; the process's environment points at it.
        target: where the credentials are.
        rotator: an installed rotator's name, an object, or None for the one of the target's ``engine``.
        strategy: the secret's ``strategy``; None leaves the key out.
        with_admin: whether the secret names an admin.
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
        self.aws, self.target, self.strategy, self.with_admin = aws, target, strategy, with_admin
        named = isinstance(rotator, str)
        self.rotator: Rotator | None = None if rotator is None or isinstance(rotator, str) else rotator
        self._engine = {"engine": rotator} if named else {}
        self.function = InProcessFunction(self.rotator)
        self.recorder = Recorder(target.operations)
        self.client = aws.client("secretsmanager")
        self._made: list[str] = []

    def __enter__(self) -> Self:
        self.recorder.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.recorder.__exit__()
        for arn in self._made:
            self.client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
        self.client.close()

    @property
    def always_usable(self) -> bool:
        """Whether the strategy promises that the current value logs in at every instant."""
        return self.strategy in {"alternating", "dual"}

    @contextmanager
    def case(
        self,
        *,
        rotations: int = 0,
        name: str | None = None,
        password: str | None = None,
        port: int | None = None,
    ) -> Iterator[Case]:
        """A new credential in a new secret, removed in the end; see `open`."""
        case = self.open(rotations=rotations, name=name, password=password, port=port)
        try:
            yield case
        finally:
            case.close()

    def open(
        self,
        *,
        rotations: int = 0,
        name: str | None = None,
        password: str | None = None,
        port: int | None = None,
    ) -> Case:
        """A new credential in a new secret.

        Args:
            rotations: how many it has behind it.
            name: of the user, see Target.create.
            password: likewise.
            port: where the rotator is to find the target, for a proxy.
        """
        value = {**self.target.create(name, password), **self._engine, **EXTRA}
        if self.strategy is not None:
            value["strategy"] = self.strategy
        if self.with_admin:
            admin = self.target.admin()
            if admin is None:
                raise ValueError("with_admin needs a target with an admin")
            value["masterarn"] = self.store(admin if port is None else self.target.moved(admin, port))
        stored = value if port is None else self.target.moved(value, port)
        case = Case(self, self.store(stored), value)
        self.aws.enable_rotation(case.arn)
        for _ in range(rotations):
            case.rotate()
        return case

    def store(self, value: Value) -> str:
        """Store a value in a new secret; gives its ARN."""
        name = f"kit/{secrets.token_hex(4)}-{next(_numbers)}"
        arn = str(self.client.create_secret(Name=name, SecretString=json.dumps(value))["ARN"])
        self._made.append(arn)
        return arn

    def delete(self, arn: str) -> None:
        """Delete a secret at once."""
        self.client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
        self._made.remove(arn)


class Case:
    """One secret, its rotations, and its credential.

    Args:
        kit: where it belongs.
        arn: the secret's.
        value: the credential's first value, as the target made it.

    Attributes:
        output: what the function printed in this case.
    """

    def __init__(self, kit: Kit, arn: str, value: Value) -> None:
        self.kit, self.arn, self.first = kit, arn, value
        self.output = io.StringIO()

    def begin(self) -> str:
        """Stage an empty AWSPENDING version, as the service does before createSecret; gives its token."""
        token = str(uuid.uuid4())
        self.kit.aws.stage(self.arn, token)
        return token

    def event(self, step: str, token: str) -> dict[str, str]:
        """What the service would send."""
        return {
            "Step": step,
            "SecretId": self.arn,
            "ClientRequestToken": token,
            "RotationToken": str(uuid.uuid4()),
        }

    def step(self, step: str, token: str) -> None:
        """Run one step, recorded."""
        with redirect_stdout(self.output), self.kit.recorder.step(step):
            self.kit.function.invoke(self.event(step, token))

    def steps(self, token: str, *steps: str) -> None:
        """Run several steps; all four when none is named."""
        for step in steps or STEPS:
            self.step(step, token)

    def rotate(self) -> Value:
        """A whole rotation with a new token; gives the new current value."""
        self.steps(self.begin())
        return self.current()

    def current(self) -> Value:
        """The AWSCURRENT value."""
        return self._value(VersionStage=Stage.CURRENT)

    def pending(self, token: str) -> Value:
        """The value stored for a token."""
        return self._value(VersionId=token)

    def current_version(self) -> str | None:
        """The id of the AWSCURRENT version."""
        return holder(self.stages(), Stage.CURRENT)

    def stages(self) -> dict[str, list[str]]:
        """Version id to labels."""
        found: dict[str, list[str]] = self.kit.client.describe_secret(SecretId=self.arn)["VersionIdsToStages"]
        return found

    def values(self) -> list[Value]:
        """The values of all versions, those with a label first, then those without one."""
        return list(self._each_value())

    def _each_value(self) -> Iterator[Value]:
        listed = self.kit.client.list_secret_version_ids(SecretId=self.arn, IncludeDeprecated=True)
        for version in sorted(listed["Versions"], key=lambda version: not version.get("VersionStages")):
            try:
                yield self.pending(version["VersionId"])
            except self.kit.client.exceptions.ResourceNotFoundException:
                continue  # staged, and never filled

    def put(self, value: Value, token: str, stage: str) -> None:
        """Store a value by hand."""
        self.kit.client.put_secret_value(
            SecretId=self.arn,
            ClientRequestToken=token,
            SecretString=json.dumps(value),
            VersionStages=[stage],
        )

    def drop_pending(self, token: str) -> None:
        """Take AWSPENDING away from a version that has it, as people do to get out of a stuck rotation."""
        if Stage.PENDING in self.stages().get(token, ()):
            self.kit.client.update_secret_version_stage(
                SecretId=self.arn, VersionStage=Stage.PENDING, RemoveFromVersionId=token
            )

    def current_logs_in(self) -> bool:
        """Whether the AWSCURRENT value opens the target."""
        return self.kit.target.logs_in(self.current())

    def some_logs_in(self) -> bool:
        """Whether any stored value opens the target; reads no more of them than that takes."""
        return any(self.kit.target.logs_in(value) for value in self._each_value())

    def sensitive(self) -> set[str]:
        """All strings of all values, and of the admin's, that must be seen nowhere."""
        admin = self.kit.target.admin() or {}
        return {
            text for value in (*self.values(), self.first, admin) for text in Secret(value).sensitive()
        } - set(Secret(EXTRA).sensitive())

    def close(self) -> None:
        """Remove the credential, the secret, and the admin's that was made for it."""
        self.kit.target.remove(self.first)
        self.kit.delete(self.arn)
        if "masterarn" in self.first:
            self.kit.delete(self.first["masterarn"])

    def _value(self, **which: str) -> Value:
        answer = self.kit.client.get_secret_value(SecretId=self.arn, **which)
        value: Value = json.loads(answer["SecretString"])
        return value
