"""`rotators deploy-local`: the deployed stack rotates a real PostgreSQL's users, without an AWS account."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rotators.cli.check import show_preflight
from rotators.cli.deployed import DeployedStack
from rotators.cli.doctor import show_checkup
from rotators.cli.failing import fail_once
from rotators.cli.output import Screen, console, json_option, table
from rotators.cli.stack import Seeded
from rotators.local.errors import LocalStackError

_ROTATION_SECONDS = 120.0
_STEPS = 4


@click.command("deploy-local")
@click.option(
    "--template",
    default="template.yaml",
    show_default=True,
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    help="The SAM template, in a checkout of this project.",
)
@click.option("--parameter", "parameters", multiple=True, metavar="KEY=VALUE", help="A stack parameter.")
@json_option
def deploy_local(template: Path, parameters: tuple[str, ...]) -> None:
    """Deploy template.yaml into a local AWS, and rotate two users with the built artifact.

    Then one rotation fails, and the message about it is shown.
    """
    out = console()
    started = time.monotonic()
    with DeployedStack(template, _parsed(parameters)) as stack:
        document = _run(stack, out)
    document["seconds"] = round(time.monotonic() - started, 2)
    out.document(document)
    _finish(document, out)


def _parsed(parameters: tuple[str, ...]) -> dict[str, str]:
    wrong = [text for text in parameters if "=" not in text]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} is not KEY=VALUE", param_hint="--parameter")
    return dict(text.split("=", 1) for text in parameters)


def _run(stack: DeployedStack, out: Screen) -> dict[str, Any]:
    resources = _timed(out, "building, packaging and deploying the stack", stack.deploy)
    rows = [(resource["id"], resource["type"]) for resource in resources]
    out.print(table(("resource", "type"), rows, "resources of the stack"))
    seeded = _timed(out, "storing secrets through the deployed store function", stack.seed)
    ready = _operated(stack, "check", seeded, out)
    rotations = [_rotate(stack, secret, out) for secret in seeded]
    told = _told(stack, out)
    healthy = _operated(stack, "doctor", seeded, out)
    message = _fail(stack, seeded[0], out)
    _timed(out, "deleting the stack", stack.remove)
    return {
        "resources": resources,
        "checks": ready,
        "rotations": rotations,
        **told,
        "doctor": healthy,
        "failure_message": message,
    }


def _timed(out: Screen, what: str, work: Callable[[], Any]) -> Any:
    begun = time.monotonic()
    with out.status(f"{what} …"):
        result = work()
    out.print(f"  {what:<60}{time.monotonic() - begun:>6.1f} s")
    return result


def _rotate(stack: DeployedStack, secret: Seeded, out: Screen) -> dict[str, Any]:
    """Rotate with the AWS CLI, and check which passwords log in.

    A pair of users needs two rotations until the old password is invalid.
    """
    out.rule(f"aws secretsmanager rotate-secret --secret-id {secret.name}", align="left")
    old, steps = stack.value(secret.arn), []
    for _ in range(2 if secret.strategy == "alternating" else 1):
        token = stack.rotate_by_cli(secret.arn)
        outcome = stack.aws.wait_for_rotation(secret.arn, token, _ROTATION_SECONDS)
        for step in outcome.steps:
            failed = f"  failed: {step.error_message}" if step.error_message else ""
            out.print(f"  {step.step:<60}{step.seconds * 1000:>6.0f} ms{failed}")
        steps += [
            {"step": step.step, "ms": round(step.seconds * 1000), "ok": step.ok} for step in outcome.steps
        ]
    new = stack.invoke("retrieve", {"SecretId": secret.arn})["Value"]
    return {
        "name": secret.name,
        "strategy": secret.strategy,
        "steps": steps,
        "old_password": "accepted" if stack.server.logs_in(old) else "refused",
        "new_password": "accepted" if new != old and stack.server.logs_in(new) else "refused",
    }


def _operated(stack: DeployedStack, action: str, secrets: list[Seeded], out: Screen) -> list[str]:
    """Run check or doctor in the deployed operate function, like --remote, and show its answer."""
    states = []
    for secret in secrets:
        out.rule(f"rotators {action} {secret.name} --remote", align="left")
        document = stack.invoke("operate", {"Action": action, "SecretId": secret.arn})
        (show_preflight if action == "check" else show_checkup)(document, out)
        states.append(document["state"])
    return states


def _told(stack: DeployedStack, out: Screen) -> dict[str, Any]:
    lines = stack.log_lines("rotate")
    told = {
        "log_lines": sum("outcome" in line for line in lines),
        "metrics": sum("_aws" in line for line in lines),
        "rotated": sum(line.get("Rotated", [0])[0] for line in lines),
    }
    out.print(
        f"  in the declared log group: {told['log_lines']} lines, {told['metrics']} metric records,"
        f" {told['rotated']:.0f} rotations counted"
    )
    return told


def _fail(stack: DeployedStack, secret: Seeded, out: Screen) -> dict[str, str]:
    """Let a rotation fail, and show the message on the alarm topic."""
    out.rule("a rotation that fails, because the password was changed at the database", align="left")
    message: dict[str, str] = _timed(
        out, "rotating, and waiting for the message", lambda: fail_once(stack, secret)
    )
    # Line by line: a line break within outside text is shown as a control character.
    out.print("", f"Subject: {message['subject']}", "", *message["body"].splitlines(), sep="\n")
    return message


def _finish(document: dict[str, Any], out: Screen) -> None:
    rotations = document["rotations"]
    steps = [step for rotation in rotations for step in rotation["steps"]]
    held = (
        all((each["old_password"], each["new_password"]) == ("refused", "accepted") for each in rotations)
        and all(step["ok"] for step in steps)
        and document["rotated"] == len(steps) / _STEPS
        and set(document["checks"]) == {"ready"}
        and set(document["doctor"]) == {"healthy"}
    )
    if not held:
        raise LocalStackError(
            "the deployed stack did not rotate the secrets correctly", remedy="Run with --json."
        )
    seconds = f"{document['seconds']:.1f} s"
    out.print(f"\nDeployed, rotated by the AWS CLI, and removed in {seconds}; nothing is left.")
    out.print(
        "Next: `make build`, then `sam deploy --guided`; docs/how-to/deploying.md describes the parameters."
    )
