"""`rotators doctor SECRET`: try every stored credential, look at all that a rotation needs, and explain."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.aws.store import SecretStore
from rotators.cli.aws import Failure, SecretView, last_error, last_failure, read_secret
from rotators.cli.output import age, console, json_option, print_json
from rotators.core.errors import AccessDenied, RequestRefused, SecretNotFound
from rotators.core.settings import Settings
from rotators.recovery.diagnosis import Diagnosis, diagnose
from rotators.recovery.examination import Examination

if TYPE_CHECKING:
    from rich.console import Console

    from rotators.recovery.findings import Findings

idle_option = click.option(
    "--idle", is_flag=True, help="No rotation is running now: judge a young AWSPENDING too."
)


@dataclass(frozen=True)
class Checkup:
    """All that the doctor found.

    Attributes:
        view: the secret without values.
        found: its versions and admin, tried.
        diagnosis: what follows from that.
        function: whether Secrets Manager may invoke the function: ``yes``, ``no``, ``unknown`` (it may not be
            asked), ``none``.
        failure: the last failed rotation and its reason in words, or None.
    """

    view: SecretView
    found: Findings
    diagnosis: Diagnosis
    function: str
    failure: tuple[Failure, str] | None

    @property
    def notes(self) -> list[str]:
        """What does not concern the stored values, and will stop the next rotation."""
        view, notes = self.view, []
        if not view.rotation_enabled:
            notes.append("Rotation is off, so nothing will rotate this secret.")
        elif view.next_rotation is None:
            notes.append("No rotation is scheduled.")
        elif view.next_rotation < dt.datetime.now(dt.UTC):
            notes.append("The next rotation is overdue.")
        if self.function == "no":
            notes.append("Secrets Manager may not invoke the function: add lambda:InvokeFunction for it.")
        if self.found.admin not in {None, "accepted"}:
            notes.append(f"The admin is {self.found.admin}: {self.found.admin_detail}")
        if self.found.twin and self.found.previous is not None:
            notes.append(f"The second user is not usable: {self.found.twin}")
        return notes


@click.command()
@click.argument("secret")
@idle_option
@json_option
def doctor(secret: str, idle: bool, as_json: bool) -> None:
    """Try every stored credential of SECRET and explain its state; changes nothing, shows no value.

    Run it where the target can be reached. Each rejected credential is a failed login there. Exit status 0
    means healthy.
    """
    out = console()
    out.quiet = as_json
    with out.status(f"examining {secret} …"):
        checkup = check_up(secret, idle=idle)
    if as_json:
        print_json(document(checkup))
    else:
        show_checkup(checkup, out)
    if not checkup.diagnosis.healthy:
        sys.exit(1)


def check_up(secret: str, *, idle: bool) -> Checkup:
    """Examine a secret with everything around it.

    Args:
        secret: its name or ARN.
        idle: whether no rotation is known to run.

    Raises:
        StoreError, RegistryError, ConfigurationError: see `Examination.examine`.
    """
    view = read_secret(secret)
    found = Examination(SecretStore(), Settings.from_environment(os.environ), idle).examine(view.arn)
    failure = last_failure(view.arn)
    pending = view.holder("AWSPENDING")
    why = (failure and pending and last_error(view, pending)) or (failure.message if failure else "")
    return Checkup(
        view, found, diagnose(found, view.name), _invocable(view), (failure, why) if failure else None
    )


def _invocable(view: SecretView) -> str:
    """Whether the function's policy lets Secrets Manager invoke it."""
    if view.function_arn is None:
        return "none"
    try:
        with translated("GetPolicy", view.function_arn):
            policy = clients.functions().get_policy(FunctionName=view.function_arn)["Policy"]
    except SecretNotFound:
        return "no"
    except (AccessDenied, RequestRefused):
        return "unknown"
    statements = json.loads(policy)["Statement"]
    allowed = any(
        each.get("Effect") == "Allow" and "secretsmanager.amazonaws.com" in json.dumps(each.get("Principal"))
        for each in statements
    )
    return "yes" if allowed else "no"


def show_checkup(checkup: Checkup, out: Console) -> None:
    """Print what was found, the state in one sentence, and the action."""
    view, found, diagnosis = checkup.view, checkup.found, checkup.diagnosis
    created = {version.id: version.created for version in view.versions}
    table = Table(title=view.name, title_justify="left")
    for column in ("version", "stages", "age", "login"):
        table.add_column(column)
    for finding in found.versions():
        table.add_row(
            finding.version[:8],
            ", ".join(finding.stages) or "(none)",
            age(created.get(finding.version)),
            str(finding.trial),
        )
    out.print(table)
    out.print(f"admin      {found.admin or 'none'}")
    out.print(f"schedule   {_schedule(view)}")
    out.print(f"function   {_function(checkup.function)}")
    if checkup.failure:
        failure, why = checkup.failure
        out.print(f"failure    {failure.event} {age(failure.time)} ago: {why}", soft_wrap=True, markup=False)
    out.print(f"\n{diagnosis.state}: {diagnosis.sentence}", soft_wrap=True, markup=False)
    for note in checkup.notes:
        out.print(f"also: {note}", soft_wrap=True, markup=False)
    out.print(f"Next: {diagnosis.action}", soft_wrap=True, markup=False)


def _schedule(view: SecretView) -> str:
    if not view.rotation_enabled:
        return "rotation is off"
    until = f", next by {view.next_rotation:%Y-%m-%d %H:%M} UTC" if view.next_rotation else ""
    return f"{view.schedule or 'none'}{until}"


def _function(state: str) -> str:
    return {
        "yes": "Secrets Manager may invoke it",
        "no": "Secrets Manager may not invoke it",
        "unknown": "its policy may not be read",
        "none": "none",
    }[state]


def document(checkup: Checkup) -> dict[str, Any]:
    """A checkup for machines."""
    found, diagnosis = checkup.found, checkup.diagnosis
    return {
        "name": checkup.view.name,
        "arn": checkup.view.arn,
        "healthy": diagnosis.healthy,
        "state": diagnosis.state,
        "sentence": diagnosis.sentence,
        "action": diagnosis.action,
        "repair": [{"move": str(act.move), "version": act.version} for act in diagnosis.acts],
        "notes": checkup.notes,
        "versions": [asdict(finding) for finding in found.versions()],
        "admin": found.admin and {"login": found.admin, "detail": found.admin_detail},
        "function": checkup.function,
        "rotation_enabled": checkup.view.rotation_enabled,
        "next_rotation": checkup.view.next_rotation,
        "last_failure": checkup.failure and {**vars(checkup.failure[0]), "message": checkup.failure[1]},
    }
