"""A sealing key of the local KMS, and secrets with sealed values."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from rotators.aws import clients, sealing
from rotators.local.aws import LocalAws
from rotators.local.inprocess import InProcessFunction
from rotators.testing._case import STEPS
from tests.world import World, remembered, unique


class Sealed:
    """Secrets whose values are sealed, and their key.

    Args:
        world: of the tests.
        key: ARN of the sealing key.
    """

    def __init__(self, world: World, key: str, environment: pytest.MonkeyPatch) -> None:
        self.world, self.key, self._environment = world, key, environment
        self.kms: Any = world.aws.client("kms")

    def secret(self, value: dict[str, Any], *, rotates: bool = False) -> str:
        """Store a value sealed; return the ARN."""
        name = unique("sealed")
        arn = str(self.world.secrets.create_secret(Name=name, SecretString=self.text(name, value))["ARN"])
        if rotates:
            self.world.aws.enable_rotation(arn)
        return arn

    def rotate(self, arn: str) -> None:
        """Run a complete rotation."""
        token = self.world.begin(arn)
        for step in STEPS:
            self.world.step(step, arn, token)

    def deny(self, *actions: str) -> None:
        """Act as a role whose policy denies actions on the sealing key, from now on."""
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        self.world.aws.watch(
            {"sealer": [everything, {"Effect": "Deny", "Action": list(actions), "Resource": self.key}]}
        )
        self._become("local-sealer")

    def allow(self) -> None:
        """End ``deny``."""
        self.world.aws.watch(None)
        self._become("local")

    def _become(self, access_key: str) -> None:
        """Use an access key in new clients."""
        if os.environ["AWS_ACCESS_KEY_ID"] != access_key:
            self._environment.setenv("AWS_ACCESS_KEY_ID", access_key)
            clients._client.cache_clear()

    def text(self, name: str, value: dict[str, Any]) -> str:
        """A value in its sealed form."""
        return str(sealing.stored(name, json.dumps(value)))

    def raw(self, arn: str, stage: str = "AWSCURRENT") -> str:
        """Return the value as Secrets Manager stores it."""
        return str(self.world.secrets.get_secret_value(SecretId=arn, VersionStage=stage)["SecretString"])

    def value(self, arn: str, stage: str = "AWSCURRENT") -> dict[str, Any]:
        """The clear value of a version."""
        name = arn.split(":")[6][:-7]
        value: dict[str, Any] = json.loads(sealing.opened(name, self.raw(arn, stage)))
        remembered(value["password"])
        return value


@pytest.fixture(scope="module")
def key(aws: LocalAws) -> str:
    return str(aws.client("kms").create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def sealed(world: World, key: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sealed]:
    """The environment with the sealing key of the module."""
    yield from _sealed(world, key, monkeypatch)


@pytest.fixture
def own_key(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sealed]:
    """The same with a key that the test may change."""
    key = str(world.aws.client("kms").create_key()["KeyMetadata"]["Arn"])
    yield from _sealed(world, key, monkeypatch)


def _sealed(world: World, key: str, environment: pytest.MonkeyPatch) -> Iterator[Sealed]:
    environment.setenv("SEALING_KEYS", key)
    InProcessFunction().restart()
    made = Sealed(world, key, environment)
    yield made
    made.allow()
    InProcessFunction().restart()
