"""The stack of template.yaml, deployed into a local AWS with the built artifact."""

from __future__ import annotations

import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import uuid
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rotators.cli.stack import Stack
from rotators.core.errors import LocalStackError
from rotators.local.translation import translated

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "rotators"
REGION = "us-east-1"
_BUCKET, _KEY = "rotators-artifacts", "functions.zip"
# What the demonstration's secrets are called, and how its admin is known.
_PARAMETERS = {"SecretNamePrefixes": "demo/", "AdminTagValue": "demo"}
_ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


class DeployedStack(Stack):
    """A local AWS whose functions came by CloudFormation, and a PostgreSQL.

    Args:
        template: the SAM template.
        parameters: of the stack, on top of those that the demonstration needs.
    """

    def __init__(self, template: Path, parameters: Mapping[str, str]) -> None:
        super().__init__(functions={})
        self.template = template
        self._parameters = {**_PARAMETERS, "Architecture": _architecture(), **parameters}

    def deploy(self) -> list[dict[str, str]]:
        """Build the artifact, upload it, and create the stack.

        Returns:
            The stack's resources: ``id``, ``type``, ``physical``.

        Raises:
            LocalStackError: the artifact could not be built, or CloudFormation refused the stack.
        """
        folder = built(self.template.parent, self._parameters["Architecture"])
        storage = self.aws.client("s3")
        storage.create_bucket(Bucket=_BUCKET)
        storage.put_object(Bucket=_BUCKET, Key=_KEY, Body=zipped(folder))
        body = translated(self.template, REGION, f"s3://{_BUCKET}/{_KEY}")
        formation = self.aws.client("cloudformation")
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in self._parameters.items()]
        # Only here, for the service is the caller's to be told of: a wrong template is no fault of ours.
        from botocore.exceptions import ClientError  # noqa: PLC0415 - moto has imported it by now

        try:
            formation.create_stack(
                StackName=NAME,
                TemplateBody=json.dumps(body),
                Parameters=given,
                Capabilities=["CAPABILITY_IAM"],
            )
        except ClientError as error:
            raise LocalStackError(
                f"the stack was refused: {error.response['Error']['Message']}",
                remedy="Correct the template or the parameters.",
            ) from None
        found = formation.describe_stack_resources(StackName=NAME)["StackResources"]
        return [
            {
                "id": resource["LogicalResourceId"],
                "type": resource["ResourceType"],
                "physical": resource.get("PhysicalResourceId", ""),
            }
            for resource in found
            if "LogicalResourceId" in resource  # moto lists what a condition left out, too
        ]

    def remove(self) -> None:
        """Delete the stack."""
        self.aws.client("cloudformation").delete_stack(StackName=NAME)

    def rotation_function(self) -> str:
        """The ARN that the stack gives as its output."""
        return self.output("RotateFunctionArn")

    def output(self, name: str) -> str:
        """An output of the stack."""
        stack = self.aws.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"][0]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        return str(outputs[name])

    def rotate_by_cli(self, arn: str) -> str:
        """Ask for a rotation with the unmodified AWS CLI; gives the token.

        Raises:
            LocalStackError: there is no AWS CLI, or it failed.
        """
        token = str(uuid.uuid4())
        command = ["secretsmanager", "rotate-secret", "--secret-id", arn, "--client-request-token", token]
        done = subprocess.run([_aws(), *command], check=False, capture_output=True, text=True)
        if done.returncode:
            raise LocalStackError(f"aws rotate-secret failed: {done.stderr.strip()}")
        return token

    def log_lines(self, function: str) -> list[dict[str, Any]]:
        """The JSON lines in a function's log group: what was told, and the metrics."""
        pages = self.aws.client("logs").get_paginator("filter_log_events")
        found = pages.paginate(logGroupName=f"/aws/lambda/{NAME}-{function}")
        messages = (event["message"] for page in found for event in page["events"])
        lines = (line for message in messages for line in message.splitlines())
        return [json.loads(line) for line in lines if line.startswith("{")]


_OF_MAKE = re.compile(r"make(\[\d+\])?: ")


def built(checkout: Path, architecture: str) -> Path:
    """The artifact, as make builds it for a processor.

    Raises:
        LocalStackError: it could not be built; the cause is the last line that is not make's own.
    """
    if not (checkout / "Makefile").is_file():
        raise LocalStackError(
            f"{checkout} is not a checkout of this project",
            remedy="Name the template.yaml of a checkout with --template.",
        )
    command = ["make", "--silent", "artifact", f"ARCHITECTURE={architecture}"]
    try:
        done = subprocess.run(command, cwd=checkout, check=False, capture_output=True, text=True)
    except OSError:
        raise LocalStackError("there is no make here", remedy="Install make.") from None
    if done.returncode:
        # Within another make, its name is followed by a level: make[1].
        lines = [line for line in done.stderr.strip().splitlines() if not _OF_MAKE.match(line)]
        last = (lines or [""])[-1]
        raise LocalStackError(
            f"the artifact could not be built: {last}", remedy=f"Run `{' '.join(command)}`."
        )
    return checkout / done.stdout.split()[-1]


def zipped(folder: Path) -> bytes:
    """A folder as Lambda takes it."""
    buffer = io.BytesIO()
    # Stored, not compressed: it is unpacked a moment later.
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


def _architecture() -> str:
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise LocalStackError(
            f"Lambda has no processor like this machine's ({machine})", remedy="Use another machine."
        )
    return _ARCHITECTURES[machine]


def _aws() -> str:
    beside = Path(sys.executable).parent
    found = shutil.which("aws", path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if not found:
        raise LocalStackError("there is no AWS CLI here", remedy="Install it; `make test` brings one.")
    return found
