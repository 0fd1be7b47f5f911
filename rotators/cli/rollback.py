"""`rotators rollback SECRET`: return to an older version; the target and the stage move together."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import click

from rotators.aws import clients
from rotators.cli.auditing import AuditedStore, audited
from rotators.cli.changing import yes_option
from rotators.cli.output import Screen, console, json_option
from rotators.cli.signals import finish
from rotators.cli.stopping import STOPS, end, error_member, exit_unless, state_of
from rotators.core.settings import Settings
from rotators.core.states import Stage
from rotators.recovery.mending import moves
from rotators.recovery.rollback import Rollback, RollbackPlan, document, left


@click.command()
@click.argument("secret")
@click.option("--version", metavar="ID", help="Id of the wanted version; `rotators show` lists them.")
@click.option(
    "--stage", type=click.Choice([Stage.PREVIOUS.value]), help="Stage of the wanted version; the default."
)
@yes_option
@json_option
def rollback(secret: str, version: str | None, stage: str | None, yes: bool) -> None:
    """Return SECRET to an older version: the target and AWSCURRENT move together.

    SECRET is a name or ARN. Run it where the target can be reached. The command first tries the wanted
    version. If it logs in, only the stage moves; otherwise the command sets it on the target, as a rotation
    does. Without an engine, or with a custom rotator, only the stage moves. Exit status 0 means that the
    wanted version is current.
    """
    if version is not None and stage is not None:
        raise click.UsageError("Give --version or --stage, not both.")
    if version == "":
        raise click.UsageError("The id after --version is empty.")
    out = console()
    with clients.in_region_of(secret):
        found = Rollback(AuditedStore(), Settings.from_environment(os.environ), secret, version)
        with out.status(f"examining {secret} …"):
            plan = found.plan()
        result = _Result(clients.short_id(secret, plan.arn), found, plan)
        _show(result, out, yes=yes)
        if yes and plan.acts:
            with out.status(f"rolling {secret} back …"):
                result.run()
    out.document(result.document())
    if plan.acts:
        out.print(f"\n{result.ending}Next: {result.next}")
    result.end()


@dataclass
class _Result:
    """The result of a plan.

    Attributes:
        secret: its name, or its ARN where the next command needs that.
        found: makes the changes.
        plan: its plan.
        stopped: error or signal that ended the changes before the last one, or None.
    """

    secret: str
    found: Rollback
    plan: RollbackPlan
    stopped: BaseException | None = None

    def run(self) -> None:
        """Make the changes.

        An error or signal that stops them is kept, because the remaining state is shown.
        """
        try:
            with audited(self.plan.arn) as facts:
                try:
                    self.found.run(self.plan)
                finally:
                    facts["moved"] = moves(self.found.made, self.plan.current)
            finish()
        except STOPS as error:
            finish()
            self.stopped = error

    @property
    def state(self) -> str:
        if self.stopped is not None:
            return state_of(self.stopped)
        if not self.plan.acts:
            return "unneeded"
        return "done" if self.found.made else "planned"

    @property
    def next(self) -> str:
        if self.state == "done":
            return f"`rotators doctor {self.secret}` tries the versions."
        if self.state == "unneeded":
            return f"`rotators show {self.secret}` lists the versions."
        return f"`{self.again}` {'does it' if self.state == 'planned' else 'continues'}."

    @property
    def again(self) -> str:
        """The command with the version id.

        AWSPREVIOUS moves too, so with the stage a repetition would undo it.
        """
        return f"rotators rollback {self.secret} --version {self.plan.wanted} --yes"

    @property
    def ending(self) -> str:
        if self.state == "done":
            return "Done. "
        if self.state == "planned":
            return "Nothing was changed. "
        return f"{self.state.capitalize()}: {left(self.plan, self.found.begun)}.\n\n"

    def document(self) -> dict[str, Any]:
        told = left(self.plan, self.found.begun) if self.stopped is not None else None
        return {
            **document(self.plan),
            "state": self.state,
            "made": [str(act.move) for act in self.found.made],
            "left": told,
            "error": error_member(self.stopped),
            "next": self.next,
        }

    def end(self) -> None:
        if self.stopped is not None:
            end(self.stopped)
        exit_unless(self.state in {"done", "unneeded"})


def _show(result: _Result, out: Screen, *, yes: bool) -> None:
    plan = result.plan
    out.print(f"Plan: return {plan.name} to version {plan.wanted}; {plan.reason}.")
    for act in plan.acts:
        out.print(f"  {act}")
    if plan.acts and yes:
        out.print(f"If the command does not end with Done, repeat it with `{result.again}`.")
    if not plan.acts:
        out.print(f"\nNothing to do. Next: {result.next}")
