"""`rotators repair SECRET`: do what the doctor said, where it is sure to lose nothing."""

from __future__ import annotations

import os
import sys

import click

from rotators.aws.store import SecretStore
from rotators.cli.doctor import check_up, document, idle_option, show_checkup
from rotators.cli.output import console, json_option, print_json
from rotators.core.settings import Settings
from rotators.recovery.mending import refuse_unsure, repair


@click.command(name="repair")
@click.argument("secret")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@idle_option
@json_option
def repair_command(secret: str, dry_run: bool, idle: bool, as_json: bool) -> None:
    """Mend SECRET: move labels, or make the target accept the current password again.

    Nothing is deleted, and where it is not sure what loses nothing, nothing is done and the needed human
    action is named. Exit status 0 means that the secret is healthy (with --dry-run: that it would be mended).
    """
    out = console()
    out.quiet = as_json
    with out.status(f"examining {secret} …"):
        before = check_up(secret, idle=idle)
    diagnosis = before.diagnosis
    refuse_unsure(diagnosis)
    acts = [str(act) for act in diagnosis.acts]
    out.print(f"{diagnosis.state}: {diagnosis.sentence}", soft_wrap=True, markup=False)
    for act in acts:
        out.print(f"  {'would ' if dry_run else ''}{act}", soft_wrap=True, markup=False)
    if dry_run or not acts:
        if as_json:
            print_json({"dry_run": dry_run, "acts": acts, **document(before)})
        out.print("Nothing was changed." if dry_run else "Nothing to do.")
        return
    with out.status("mending …"):
        current = before.found.current.version if before.found.current else None
        repair(SecretStore(), Settings.from_environment(os.environ), before.view.arn, current, diagnosis)
        after = check_up(before.view.arn, idle=True)
    if as_json:
        print_json({"dry_run": False, "acts": acts, **document(after)})
    else:
        show_checkup(after, out)
    if not after.diagnosis.healthy:
        sys.exit(1)
