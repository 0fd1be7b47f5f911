"""A group of secrets for a test, and the command."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from rotators.cli import cli
from tests.world import unique

if TYPE_CHECKING:
    from rotators.local.aws import LocalAws


@dataclass
class Fleet:
    """Secrets whose names begin alike."""

    aws: LocalAws
    prefix: str

    @property
    def secrets(self) -> Any:
        return self.aws.client("secretsmanager")

    def add(self, name: str, value: object = "value", **parameters: Any) -> str:
        """Create a secret, and return its name."""
        tags = parameters.pop("tags", {})
        content = value if isinstance(value, str) else json.dumps(value)
        created = self.secrets.create_secret(
            Name=f"{self.prefix}{name}",
            SecretString=content,
            Tags=[{"Key": key, "Value": text} for key, text in tags.items()],
            **parameters,
        )
        return str(created["Name"])

    def value(self, name: str) -> str:
        return str(self.secrets.get_secret_value(SecretId=f"{self.prefix}{name}")["SecretString"])

    def listed(self, *conditions: str) -> set[str]:
        """Names of the secrets of this group that meet conditions, without their common beginning."""
        result = run("list", "--name", self.prefix, *conditions, "-o", "names")
        return {line.removeprefix(self.prefix) for line in result.stdout.splitlines()}

    def document(self, command: str, *arguments: str) -> Any:
        """The JSON document of a command about this group."""
        return json.loads(run(command, "--name", self.prefix, *arguments, "--json").stdout)


def run(*arguments: str, text: str | None = None) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli, arguments, input=text)


@pytest.fixture
def fleet(aws: LocalAws) -> Fleet:
    """An empty group of secrets."""
    return Fleet(aws, f"{unique('fleet')}/")
