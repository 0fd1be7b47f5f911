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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from rotators.cli.stack import PostgresStack
from rotators.local.cloudformation.sam import translated
from rotators.local.errors import LocalStackError

NAME = "rotators"
REGION = "us-east-1"
_BUCKET, _KEY = "rotators-artifacts", "functions.zip"
# Names of the demonstration's secrets, and the tag of its admin's secret.
_PARAMETERS = {"SecretNamePrefixes": "demo/", "AdminTagValue": "demo"}
_ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


class DeployedStack(PostgresStack):
    """A local AWS whose functions were deployed by CloudFormation, and a PostgreSQL.

    Args:
        template: the SAM template.
        parameters: parameters of the stack, in addition to those of the demonstration.

    Raises:
        LocalStackError: the template is not in a checkout, or Lambda does not support this machine's
            processor.
    """

    def __init__(self, template: Path, parameters: Mapping[str, str]) -> None:
        # Checked before anything is started.
        if not (template.parent / "Makefile").is_file():
            raise LocalStackError(
                f"{template.parent} is not a checkout of this project",
                remedy="Name the template.yaml of a checkout with --template.",
            )
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
        # Only here does the caller need the service's message: the template can be wrong.
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
            if "LogicalResourceId" in resource  # moto also lists resources that a condition excludes
        ]

    def remove(self) -> None:
        """Delete the stack."""
        self.aws.client("cloudformation").delete_stack(StackName=NAME)

    def rotation_function(self) -> str:
        """Return the ARN of the rotate function, an output of the stack."""
        return self.output("RotateFunctionArn")

    def output(self, name: str) -> str:
        """Return an output of the stack.

        Args:
            name: key of the output.
        """
        stack = self.aws.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"][0]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        return str(outputs[name])

    def rotate_by_cli(self, arn: str) -> str:
        """Request a rotation with the unmodified AWS CLI, and return its token.

        Args:
            arn: ARN of the secret.

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
        """Return the JSON lines in a function's log group: log lines and metrics.

        Args:
            function: name of the function.

        Returns:
            One object for each line, oldest first. Lines that are not JSON objects are left out.
        """
        pages = self.aws.client("logs").get_paginator("filter_log_events")
        found = pages.paginate(logGroupName=f"/aws/lambda/{NAME}-{function}")
        messages = (event["message"] for page in found for event in page["events"])
        lines = (line for message in messages for line in message.splitlines())
        return [json.loads(line) for line in lines if line.startswith("{")]


_OF_MAKE = re.compile(r"make(\[\d+\])?: ")


def built(checkout: Path, architecture: str) -> Path:
    """Return the artifact's folder, built by make for a processor.

    Args:
        checkout: folder of the project.
        architecture: processor, as Lambda names it.

    Raises:
        LocalStackError: the build failed; the cause is the last line that is not from make itself.
    """
    command = ["make", "--silent", "artifact", f"ARCHITECTURE={architecture}"]
    try:
        done = subprocess.run(command, cwd=checkout, check=False, capture_output=True, text=True)
    except OSError:
        raise LocalStackError("make is not installed", remedy="Install make.") from None
    if done.returncode:
        # Inside another make, a level follows the name: make[1].
        lines = [line for line in done.stderr.strip().splitlines() if not _OF_MAKE.match(line)]
        last = (lines or [""])[-1]
        raise LocalStackError(
            f"the artifact could not be built: {last}", remedy=f"Run `{' '.join(command)}`."
        )
    return checkout / done.stdout.split()[-1]


def zipped(folder: Path) -> bytes:
    """Return a folder as a ZIP file for Lambda.

    Args:
        folder: folder to pack.

    Returns:
        The archive's bytes; names are relative to the folder.
    """
    buffer = io.BytesIO()
    # Stored without compression, because it is unpacked immediately.
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


def _architecture() -> str:
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise LocalStackError(
            f"Lambda does not support the processor of this machine ({machine})",
            remedy="Use another machine.",
        )
    return _ARCHITECTURES[machine]


def _aws() -> str:
    beside = Path(sys.executable).parent
    found = shutil.which("aws", path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if not found:
        raise LocalStackError(
            "the AWS CLI is not installed", remedy="Install it; `make test` installs one in .venv."
        )
    return found
