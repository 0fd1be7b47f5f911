"""Changes of many secrets on the command line: the plan, ``--yes``, and the outcome of each change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import wraps
from typing import Any

import click

from rotators.cli.auditing import audited_changes
from rotators.cli.output import (
    Screen,
    console,
    counted,
    error_document,
    json_option,
    print_error,
    progress_bars,
    styled,
    table,
)
from rotators.cli.selecting import nothing_selected, require_conditions, selector_options
from rotators.cli.signals import finish
from rotators.cli.stopping import STOPS, end, error_member, exit_unless, state_of
from rotators.core.errors import RotatorsError, ServiceUnavailable
from rotators.manage.changes import Change, ChangeOutcome, Remark, run_all
from rotators.manage.inventory import Entry
from rotators.manage.selector import Selector

Planner = Callable[[Entry], Iterable[Change]]

_ROWS = 50

yes_option = click.option(
    "--yes", is_flag=True, help="Make the changes. Without this option, only the plan is shown."
)


def changes_secrets(*, deleted: bool = False) -> Callable[[Callable[..., Planner]], Callable[..., None]]:
    """Make a command from a function that returns the changes of one secret.

    The command has the selector's options, ``--yes`` and ``--json``. It shows a plan, and makes the changes
    only with ``--yes``. The process ends with status 1 if something was not changed. The function gets the
    command's own options, and returns the function that plans the changes of a secret.

    Args:
        deleted: True if secrets that are scheduled for deletion are selected too.

    Returns:
        A decorator.
    """

    def decorated(command: Callable[..., Planner]) -> Callable[..., None]:
        @selector_options
        @yes_option
        @json_option
        @wraps(command)
        def changing(selector: Selector, yes: bool, **options: Any) -> None:
            chosen = replace(selector, deleted=deleted)
            _change(chosen, command(**options), yes=yes)

        return changing

    return decorated


def _change(selector: Selector, planned: Planner, *, yes: bool) -> None:
    """Show the plan, and make the changes with ``yes``.

    Raises:
        SelectorInvalid: there is no condition, which does not mean all secrets.
        NothingSelected: no secret meets the conditions.
    """
    require_conditions(selector)
    out = console()
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
    carry_out(ChangePlan(plan, selected, unchanged), yes=yes)


@dataclass(frozen=True)
class ChangePlan:
    """The changes of a command.

    Attributes:
        changes: remaining changes.
        selected: number of the selected secrets.
        unchanged: number of these secrets that need no change, because an earlier command made it.
        ordered: True if each change needs those before it, so a refused one ends the plan.
        after: next action after all changes; None to show one of the secrets.
        noun: kind of the changed objects: ``secret`` or ``key``.
        lists: command that lists these objects.
        refused: changes that cannot be made, with the reasons.
        remarks: facts about the plan, such as versions that it leaves under an old key.
    """

    changes: Sequence[Change]
    selected: int
    unchanged: int = 0
    ordered: bool = False
    after: str | None = None
    noun: str = "secret"
    lists: str = "rotators list"
    refused: Sequence[ChangeOutcome] = ()
    remarks: Sequence[Remark] = ()


def carry_out(plan: ChangePlan, *, yes: bool) -> None:
    """Show a plan, and make its changes with ``yes``.

    A signal ends it between two changes, or during one. The process ends with status 1 if something was not
    changed. In every case the output lists the changes that were made and those that were not, and the next
    action.

    Args:
        plan: the changes.
        yes: True to make the changes.
    """
    out = console()
    _show_plan(plan, out)
    result = _run(plan, out) if yes and plan.changes else Result(plan, [])
    try:
        out.document(_document(result))
        if plan.changes:
            _show_end(result, out)
    except OSError:  # reported by the caller
        print_error(f"{_made(result)} Next: {result.next}")
        raise
    if result.stopped is not None:
        end(result.stopped)
    exit_unless(result.state in {"done", "unneeded"})


@dataclass(frozen=True)
class Result:
    """The result of a plan.

    Attributes:
        plan: the plan.
        outcomes: outcomes of the changes that were tried and answered, in the plan's order.
        stopped: error or signal that ended the command during the next change, which may have been made; or
            None.
    """

    plan: ChangePlan
    outcomes: Sequence[ChangeOutcome]
    stopped: BaseException | None = None

    @property
    def state(self) -> str:
        """``unneeded``, ``planned``, ``done``, ``incomplete``, ``failed`` or ``interrupted``."""
        if self.stopped is not None:
            return state_of(self.stopped)
        if not self.plan.changes:
            return "incomplete" if self.plan.refused else "unneeded"
        if not self.outcomes:
            return "planned"
        failed = self.plan.refused or any(outcome.error for outcome in self.outcomes)
        return "incomplete" if failed else "done"

    @property
    def next(self) -> str:
        """The next action."""
        if self.state == "unneeded":
            return f"`{self.plan.lists}` shows them."
        if self.state == "planned":
            return "repeat the command with --yes to make these changes."
        if self.state == "done":
            return self.plan.after or f"`rotators show {self.plan.changes[0].id}` shows one of them."
        if self.state == "incomplete":
            return (
                "correct the causes that the errors name, then repeat the command; it makes the "
                "remaining changes."
            )
        return "repeat the command; it makes the remaining changes."


def _show_plan(plan: ChangePlan, out: Screen) -> None:
    if not plan.changes:
        remains = "no change can be made" if plan.refused else "no change is needed"
        out.print(f"{counted(plan.selected, plan.noun)} selected; {remains}.")
        _show_reasons(plan, out)
        out.next(Result(plan, []).next)
        return
    verb = "needs" if plan.unchanged == 1 else "need"
    done = f" {plan.unchanged:,} of them {verb} no change." if plan.unchanged else ""
    count = counted(len(plan.changes), "change")
    out.print(f"Plan: {count}, {counted(plan.selected, plan.noun)} selected.{done}")
    out.print(table((plan.noun, "change"), [(each.secret, each.words) for each in plan.changes[:_ROWS]]))
    out.rest(len(plan.changes) - _ROWS)
    _show_reasons(plan, out)


def _show_reasons(plan: ChangePlan, out: Screen) -> None:
    """Show the changes that cannot be made, and the remarks."""
    for title, facts in (
        ("Cannot be changed:", [(each.change.secret, str(each.error)) for each in plan.refused]),
        ("Remarks:", [(each.secret, each.words) for each in plan.remarks]),
    ):
        about: dict[str, list[str]] = {}
        for name, words in facts:
            about.setdefault(words, []).append(name)
        if about:
            out.print(title)
        for words, names in list(about.items())[:_ROWS]:
            others = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
            out.print(f"  {names[0]}{others}:", words)
        if len(about) > _ROWS:
            out.print(f"  … and {len(about) - _ROWS:,} more; --json shows all.")


def _run(plan: ChangePlan, out: Screen) -> Result:
    outcomes: list[ChangeOutcome] = []
    bars = progress_bars(out)
    try:
        with bars:
            made = run_all(audited_changes(plan.changes, plan.noun), ordered=plan.ordered)
            for outcome in bars.track(made, total=len(plan.changes), description="changing"):
                outcomes.append(outcome)
                if outcome.error:
                    out.print(outcome.change.secret, styled(str(outcome.error), "red"))
        finish()
    except STOPS as stopped:
        finish()
        return Result(plan, outcomes, stopped if len(outcomes) < len(plan.changes) else None)
    return Result(plan, outcomes)


def _show_end(result: Result, out: Screen) -> None:
    if result.state == "planned":
        out.print(f"\nNothing was changed. Next: {result.next}")
        return
    out.print(_made(result))
    if result.stopped is not None:
        out.print(f"{result.state.capitalize()}; the change in progress may have been made.")
    out.next(result.next)


def _made(result: Result) -> str:
    made = sum(outcome.error is None for outcome in result.outcomes)
    return f"{made} of {counted(len(result.plan.changes), 'change')} made."


def _document(result: Result) -> dict[str, Any]:
    plan = result.plan
    return {
        "state": result.state,
        "selected": plan.selected,
        "unchanged": plan.unchanged,
        "changes": [
            *(_told(result, number, each) for number, each in enumerate(plan.changes)),
            *(_described(plan, each.change, "refused", each.error) for each in plan.refused),
        ],
        "error": error_member(result.stopped),
        **({"remarks": [asdict(each) for each in plan.remarks]} if plan.remarks else {}),
        "next": result.next,
    }


def _told(result: Result, number: int, change: Change) -> dict[str, Any]:
    """Return a change as JSON types; ``unknown`` is one that may have been made."""
    error = None
    if number < len(result.outcomes):
        error = result.outcomes[number].error
        state = "done" if error is None else "unknown" if isinstance(error, ServiceUnavailable) else "refused"
    else:
        under_way = result.stopped is not None and number == len(result.outcomes)
        state = "unknown" if under_way else "planned"
    return _described(result.plan, change, state, error)


def _described(plan: ChangePlan, change: Change, state: str, error: RotatorsError | None) -> dict[str, Any]:
    return {
        plan.noun: change.secret,
        "arn": change.arn,
        "change": change.words,
        "state": state,
        "error": error_document(error) if error else None,
    }
