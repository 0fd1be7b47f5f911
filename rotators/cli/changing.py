"""Changes of many secrets on the command line: the plan, ``--yes``, and the outcome of each change."""

from __future__ import annotations

import datetime as dt
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from rotators.cli.output import console, counted, json_option, print_json, progress_bars, styled
from rotators.cli.selecting import nothing_selected, require_conditions, selector_options
from rotators.manage.changes import run_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rotators.cli.output import Screen
    from rotators.manage.changes import Change, Outcome
    from rotators.manage.inventory import Entry
    from rotators.manage.selector import Selector

    Planner = Callable[[Entry], Iterable[Change]]

_ROWS = 50

yes_option = click.option("--yes", is_flag=True, help="Make the changes; without it, the plan is shown.")


def changes_secrets(*, deleted: bool = False) -> Callable[[Callable[..., Planner]], Callable[..., None]]:
    """Make a command from a function that gives the changes of one secret.

    The command has the selector's options, ``--yes`` and ``--json``. It shows a plan, and makes the changes
    only with ``--yes``. The process ends with status 1 if something was not changed. The function gets the
    command's own options, and returns the function that plans the changes of a secret.

    Args:
        deleted: True if secrets that are scheduled for deletion are selected too.
    """

    def decorated(command: Callable[..., Planner]) -> Callable[..., None]:
        @selector_options
        @yes_option
        @json_option
        @wraps(command)
        def changing(selector: Selector, yes: bool, as_json: bool, **options: Any) -> None:
            chosen = replace(selector, deleted=deleted)
            _change(chosen, command(**options), yes=yes, as_json=as_json)

        return changing

    return decorated


def _change(selector: Selector, planned: Planner, *, yes: bool, as_json: bool) -> None:
    """Show the plan, and make the changes with ``yes``.

    Raises:
        SelectorInvalid: there is no condition; a change of all secrets is never meant by leaving them out.
        NothingSelected: no secret meets the conditions.
    """
    require_conditions(selector)
    out = console(quiet=as_json)
    with out.status("listing secrets …"):
        selection = selector.select(dt.datetime.now(dt.UTC))
        selected = unchanged = 0
        plan: list[Change] = []
        for entry in selection:
            fresh = selection.now(entry)
            if fresh is not None:
                changes = list(planned(fresh))
                selected += 1
                unchanged += not changes
                plan += changes
    selection.require_complete()
    if not selected:
        raise nothing_selected()
    carry_out(Plan(plan, selected, unchanged), yes=yes, as_json=as_json)


@dataclass(frozen=True)
class Plan:
    """The changes of a command.

    Attributes:
        changes: what remains to be changed.
        selected: number of the secrets that the command is about.
        unchanged: number of these secrets that need no change, because an earlier command made it.
        ordered: True if each change needs those before it, so a refused one ends the plan.
        after: next action when everything is done; None to show one of the secrets.
        noun: what is changed: ``secret`` or ``key``.
        lists: the command that lists these.
    """

    changes: Sequence[Change]
    selected: int
    unchanged: int = 0
    ordered: bool = False
    after: str | None = None
    noun: str = "secret"
    lists: str = "rotators list"


def carry_out(plan: Plan, *, yes: bool, as_json: bool) -> None:
    """Show a plan, and make its changes with ``yes``.

    Ctrl-C ends it between two changes, or during one. The process ends with status 1 if something was not
    changed.

    Args:
        plan: the changes.
        yes: True to make the changes.
        as_json: True to print one JSON document.
    """
    out = console(quiet=as_json)
    _show_plan(plan, out)
    outcomes = _run(plan, out) if yes else []
    if as_json:
        print_json({"unchanged": plan.unchanged, **_document(plan, outcomes)})
    elif plan.changes:
        _show_end(plan, outcomes, out, interrupted=yes and _was_interrupted(plan, outcomes))
    if len(outcomes) < len(plan.changes) or any(outcome.error for outcome in outcomes):
        sys.exit(1)


def _was_interrupted(plan: Plan, outcomes: Sequence[Outcome]) -> bool:
    refused = plan.ordered and any(outcome.error for outcome in outcomes)
    return len(outcomes) < len(plan.changes) and not refused


def _show_plan(plan: Plan, out: Screen) -> None:
    if not plan.changes:
        out.print(f"{counted(plan.selected, plan.noun)} selected; nothing remains to be changed.")
        out.print(f"\nNext: `{plan.lists}` shows them.")
        return
    verb = "needs" if plan.unchanged == 1 else "need"
    done = f" {plan.unchanged:,} of them {verb} no change." if plan.unchanged else ""
    count = counted(len(plan.changes), "change")
    out.print(f"Plan: {count}, {counted(plan.selected, plan.noun)} selected.{done}")
    table = Table()
    table.add_column(plan.noun, overflow="fold")
    table.add_column("change", overflow="fold")
    for each in plan.changes[:_ROWS]:
        table.add_row(each.secret, each.words)
    out.print(table)
    if len(plan.changes) > _ROWS:
        out.print(f"… and {len(plan.changes) - _ROWS} more; --json shows all.")


def _run(plan: Plan, out: Screen) -> list[Outcome]:
    """The outcomes; fewer than changes if Ctrl-C was pressed, or a change was refused that others need."""
    outcomes: list[Outcome] = []
    bars = progress_bars(out)
    with bars, suppress(KeyboardInterrupt):
        made = run_all(plan.changes, ordered=plan.ordered)
        for outcome in bars.track(made, total=len(plan.changes), description="changing"):
            outcomes.append(outcome)
            if outcome.error:
                out.print(outcome.change.secret, styled(str(outcome.error), "red"), soft_wrap=True)
    return outcomes


def _show_end(plan: Plan, outcomes: Sequence[Outcome], out: Screen, *, interrupted: bool) -> None:
    if not outcomes and not interrupted:
        out.print("\nNothing was changed. Next: repeat the command with --yes to make these changes.")
        return
    refused = sum(outcome.error is not None for outcome in outcomes)
    out.print(f"{len(outcomes) - refused} of {counted(len(plan.changes), 'change')} made.")
    if interrupted:
        out.print("Interrupted; the change that was under way may have been made.")
        action = "repeat the command; it makes the changes that remain."
    elif refused:
        action = "correct what the errors name, then repeat the command; it changes what remains."
    else:
        action = plan.after or f"`rotators show {plan.changes[0].secret}` shows one of them."
    out.print(f"\nNext: {action}", soft_wrap=True)


def _document(plan: Plan, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    done = {id(outcome.change): outcome for outcome in outcomes}

    def result(each: Change) -> dict[str, Any]:
        outcome = done.get(id(each))
        error = outcome.error if outcome else None
        state = "planned" if outcome is None else "refused" if error else "done"
        told = {"code": error.full_code, "cause": error.cause, "next": error.remedy} if error else None
        return {plan.noun: each.secret, "change": each.words, "state": state, "error": told}

    return {"selected": plan.selected, "changes": [result(each) for each in plan.changes]}
