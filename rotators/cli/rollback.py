"""`rotators rollback SECRET`: return to an older version; the target and the stage move together."""

from __future__ import annotations

import os
import sys

import click

from rotators.aws import clients
from rotators.aws.secrets import SecretStore
from rotators.cli.changing import yes_option
from rotators.cli.output import console, json_option, print_json
from rotators.core.settings import Settings
from rotators.core.states import Stage
from rotators.recovery.rollback import Rollback, RollbackPlan, document


@click.command()
@click.argument("secret")
@click.option("--version", metavar="ID", help="Id of the wanted version; `rotators show` lists them.")
@click.option(
    "--stage", type=click.Choice([Stage.PREVIOUS.value]), help="Stage of the wanted version; the default."
)
@yes_option
@json_option
def rollback(secret: str, version: str | None, stage: str | None, yes: bool, as_json: bool) -> None:
    """Return SECRET to an older version: the target and AWSCURRENT move together.

    SECRET is a name or ARN. Run it where the target can be reached. The wanted version is tried first: if it
    logs in, only the stage moves; otherwise the target is set to it as by a rotation. Without an engine, or
    with a custom rotator, only the stage moves. Exit status 0 means that the wanted version is current.
    """
    if version is not None and stage is not None:
        raise click.UsageError("Give --version or --stage, not both.")
    if version == "":
        raise click.UsageError("The id after --version is empty.")
    out = console(quiet=as_json)
    with clients.in_region_of(secret):
        found = Rollback(SecretStore(), Settings.from_environment(os.environ), secret, version)
        with out.status(f"examining {secret} …"):
            plan = found.plan()
        if not as_json:
            _show(plan, yes=yes)
        if yes:
            with out.status(f"rolling {secret} back …"):
                found.run(plan)
    done = yes and bool(plan.acts)
    if as_json:
        print_json(document(plan, done=done))
    elif plan.acts:
        out.print(f"\n{_ending(plan, done=done)}", soft_wrap=True)
    if plan.acts and not done:
        sys.exit(1)


def _show(plan: RollbackPlan, *, yes: bool) -> None:
    out = console()
    out.print(f"Plan: return {plan.name} to version {plan.wanted}; {plan.reason}.", soft_wrap=True)
    for line in plan.words():
        out.print(f"  {line}", soft_wrap=True)
    if plan.acts and yes:
        out.print(f"If it does not end with Done, repeat it with `{_again(plan)}`.", soft_wrap=True)
    if not plan.acts:
        out.print(f"\nNothing to do. Next: `rotators show {plan.name}` lists the versions.", soft_wrap=True)


def _ending(plan: RollbackPlan, *, done: bool) -> str:
    if done:
        return f"Done. Next: `rotators doctor {plan.name}` tries the versions."
    return f"Nothing was changed. Next: `{_again(plan)}` does it."


def _again(plan: RollbackPlan) -> str:
    """The command with the id, not the stage: AWSPREVIOUS moves too, and a repetition must not undo it."""
    return f"rotators rollback {plan.name} --version {plan.wanted} --yes"
