"""Writes parameters like `sam deploy --guided`, and reads them like `sam deploy`.

The SAM CLI's own Python runs it. Each line of the input is a JSON object of parameters, name to value; each
line of the output is what SAM passes to CloudFormation for them, or `{"error": ...}` if SAM stops.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

import click
from samcli.cli.cli_config_file import ConfigProvider  # type: ignore[import-not-found]  # only in .venv-sam
from samcli.cli.types import CfnParameterOverridesType  # type: ignore[import-not-found]  # the same
from samcli.commands.deploy.guided_config import GuidedConfig  # type: ignore[import-not-found]  # the same


def round_trip(parameters: dict[str, str], folder: str) -> dict[str, str]:
    """Write a new samconfig.toml and read it back.

    Args:
        parameters: name to value, as entered in `sam deploy --guided`.
        folder: folder of the file.

    Returns:
        Name to value, as the next `sam deploy` sends them to CloudFormation.
    """
    file = Path(folder) / "samconfig.toml"
    file.unlink(missing_ok=True)
    answers = {name: {"Value": value, "Hidden": False} for name, value in parameters.items()}
    with (
        click.Context(click.Command("deploy"), info_name="deploy"),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        writer = GuidedConfig(template_file=str(Path(folder) / "template.yaml"), section="parameters")
        writer.save_config(answers, config_env="default", config_file=str(file))
        read = ConfigProvider(section="parameters")(file, "default", ["deploy"])
    passed: dict[str, str] = CfnParameterOverridesType().convert(read["parameter_overrides"], None, None)
    return passed


def main() -> None:
    """Write one line for each line of the input."""
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            try:
                answer = round_trip(json.loads(line), folder)
            except click.ClickException as error:
                answer = {"error": error.message}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
