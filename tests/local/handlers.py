"""Small handlers for the tests of the local AWS; each container imports them again."""

from __future__ import annotations

import io
import json
import os
import sys
import time
import zipfile
from typing import Any

import boto3


def rotate(event: dict[str, Any], context: Any) -> None:
    """A correct rotation of a JSON secret without a target; keys in the secret cause errors.

    ``fail``: the step that raises. ``skip``: the step that does nothing. ``hand``: the step in which
    the value is overwritten from outside. ``forge``: a wrong RotationToken is sent. ``slow``: the step that
    waits until the secret is tagged ``go``.
    """
    secrets, arn, token = boto3.client("secretsmanager"), event["SecretId"], event["ClientRequestToken"]
    print(f"{event['Step']} {token} {sorted(event)} {len(event['RotationToken'])}")
    current = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    step = event["Step"]
    if current.get("fail") == step:
        raise RuntimeError(f"{step} was told to fail")
    if current.get("hand") == step:
        secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({"password": "by-hand"}))
        return
    if current.get("slow") == step:
        _wait_for_tag(secrets, arn)
    if current.get("skip") != step:
        _STEPS[step](secrets, arn, token, current, event)


def _create(secrets: Any, arn: str, token: str, current: dict[str, Any], event: dict[str, Any]) -> None:
    try:
        secrets.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")
    except secrets.exceptions.ResourceNotFoundException:
        wrong = "wrong-" * 10
        secrets.put_secret_value(
            SecretId=arn,
            ClientRequestToken=token,
            SecretString=json.dumps({**current, "password": token}),
            VersionStages=["AWSPENDING"],
            RotationToken=wrong[:40] if current.get("forge") else event["RotationToken"],
        )


def _nothing(*_: Any) -> None:
    pass


def _test(secrets: Any, arn: str, token: str, *_: Any) -> None:
    secrets.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")


def _finish(secrets: Any, arn: str, token: str, *_: Any) -> None:
    stages = secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
    current = next(version for version, held in stages.items() if "AWSCURRENT" in held)
    secrets.update_secret_version_stage(
        SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
    )


_STEPS = {"createSecret": _create, "setSecret": _nothing, "testSecret": _test, "finishSecret": _finish}


def _wait_for_tag(secrets: Any, arn: str) -> None:
    while not any(tag["Key"] == "go" for tag in secrets.describe_secret(SecretId=arn).get("Tags", [])):
        time.sleep(0.02)


def echo(event: Any, context: Any) -> Any:
    """Answer with the event, the context and the environment."""
    print("printed to stdout")
    print("printed to stderr", file=sys.stderr)
    return {
        "event": event,
        "pid": os.getpid(),
        "environment": dict(os.environ),
        "context": {
            "function_name": context.function_name,
            "memory": context.memory_limit_in_mb,
            "arn": context.invoked_function_arn,
            "request_id": context.aws_request_id,
            "remaining": context.get_remaining_time_in_millis(),
        },
    }


def misbehave(event: dict[str, Any], _context: Any) -> Any:
    """Raise, exit, hang, or answer with text that is not JSON, as the event requests."""
    match event["how"]:
        case "raise":
            raise KeyError("masterarn")
        case "exit":
            os._exit(3)
        case "hang":
            time.sleep(600)
        case "unserialisable":
            return object()
    return "well"


_refused: list[Any] = []


def refuse_first(event: dict[str, Any], _context: Any) -> None:
    """Fail at the first delivery of an event, and accept the next one."""
    told = f"{event['detail']['eventName']} {event['detail']['additionalEventData']['SecretId']}"
    if event["id"] not in _refused:
        _refused.append(event["id"])
        print(f"refused {told}")
        raise RuntimeError("not now")
    print(f"accepted {told}")


def forgetful(event: dict[str, Any], context: Any) -> None:
    """Store a value with an assumed role, without the RotationToken."""
    from rotators.aws import clients  # noqa: PLC0415 - only this handler needs it

    if event["Step"] == "createSecret":
        clients.secrets_manager().put_secret_value(
            SecretId=event["SecretId"],
            ClientRequestToken=event["ClientRequestToken"],
            SecretString=json.dumps({"a": "c"}),
            VersionStages=["AWSPENDING"],
        )


def uploaded(name: str, code: str, **files: str) -> dict[str, Any]:
    """Return the parameters of a CreateFunction whose archive has a module ``lambda_function`` and more."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in {"lambda_function": code, **files}.items():
            archive.writestr(f"{path}.py", content)
    return {
        "FunctionName": name,
        "Handler": "lambda_function.handler",
        "Runtime": "python3.13",
        "Role": "arn:aws:iam::123456789012:role/rotators-local",
        "Code": {"ZipFile": buffer.getvalue()},
    }
