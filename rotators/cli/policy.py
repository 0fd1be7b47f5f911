"""`rotators policy`: check the inventory against rules."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import click
from rich.table import Column

from rotators.cli.output import (
    console,
    counted,
    format_option,
    print_document,
    print_json,
    print_json_stream,
    styled,
    table,
)
from rotators.cli.stopping import exit_unless
from rotators.manage.policy import LEVELS, PRESETS, PolicyFinding, SecretPolicy, preset, read_policy
from rotators.manage.reports import junit, sarif

_ROWS = 50


@click.group()
def policy() -> None:
    """Check all secrets against rules."""


@policy.command(short_help="Check all secrets against a file or a preset.")
@click.argument("file", required=False)
@click.option("--preset", "name", type=click.Choice(PRESETS), help="A policy that is included in rotators.")
@format_option("table", "json", "sarif", "junit")
def check(file: str | None, name: str | None, output: str) -> None:
    """Check all secrets of the account and Region against the rules in FILE, or in a preset.

    Exit status 1 means that a rule of the level error is broken, or could not be checked. No value is read.
    """
    if (file is None) == (name is None):
        raise click.UsageError("Give a file, or --preset.")
    rules = read_policy(file) if file is not None else preset(str(name))
    checked = _Checked(rules, dt.datetime.now(dt.UTC))
    with console().status("checking secrets …"):
        _PRINTERS[output](checked)
    exit_unless(not checked.failed)


class _Checked:
    """The findings, yielded one by one, and their counts. Only the findings that are shown are kept.

    Args:
        rules: the policy.
        now: time that ages are counted from.

    Attributes:
        rules: the policy.
        count: number of findings; complete after the iteration.
        broken: number of secrets that break each rule, by its id; complete at the same time.
        failed: True if a rule of the level error is broken; complete at the same time.
    """

    def __init__(self, rules: SecretPolicy, now: dt.datetime) -> None:
        self.rules, self._now = rules, now
        self.count, self.failed = 0, False
        self.broken: Counter[str] = Counter()

    def __iter__(self) -> Iterator[PolicyFinding]:
        latest: dict[str, str] = {}
        for finding in self.rules.findings(self._now):
            self.count += 1
            self.failed |= finding.rule.level == LEVELS[0]
            # A secret may break several requirements of a rule; its findings come one after the other.
            self.broken[finding.rule.id] += latest.get(finding.rule.id) != finding.secret.arn
            latest[finding.rule.id] = finding.secret.arn
            yield finding


def _print_sarif(checked: _Checked) -> None:
    print_json(sarif(checked.rules, list(checked)))


def _print_junit(checked: _Checked) -> None:
    print_document(junit(checked.rules, list(checked)))


def _print_json(checked: _Checked) -> None:
    rules = checked.rules
    found = map(_document, checked)
    print_json_stream("findings", found, lambda: {"checked": rules.checked, "applied": dict(rules.applied)})


def _document(finding: PolicyFinding) -> dict[str, Any]:
    return {
        "rule": finding.rule.id,
        "level": finding.rule.level,
        "secret": finding.secret.name,
        "arn": finding.secret.arn,
        "message": finding.message,
        "unknown": finding.unknown,
    }


def _print_table(checked: _Checked) -> None:
    out, rules = console(), checked.rules
    findings = iter(checked)
    shown = list(islice(findings, _ROWS))
    for _ in findings:  # counted but not kept
        pass
    numbers = (Column("about", justify="right"), Column("broken by", justify="right"))
    rows = [
        (
            rule.id,
            rule.level,
            rule.title,
            str(rules.applied[rule.id]),
            styled(str(checked.broken[rule.id]), "red") if checked.broken[rule.id] else "0",
        )
        for rule in rules.rules
    ]
    out.print(table(("rule", "level", "title", *numbers), rows))
    for rule in rules.rules:
        if not rules.applied[rule.id]:
            out.print(f"{rule.id} selects no secret; check its conditions.")
    for each in shown:
        out.print(f"{each.rule.id}  {each.secret.name}: {each.message}")
    if checked.count > _ROWS:
        out.print(f"… and {checked.count - _ROWS} more; -o json shows all.")
    out.print(f"{counted(checked.count, 'finding')} in {counted(rules.checked, 'secret')}.")
    first = f"`rotators show {shown[0].secret.id}` shows the first secret." if shown else ""
    out.next(first or "nothing needs to be done.")


_PRINTERS: dict[str, Callable[[_Checked], None]] = {
    "table": _print_table,
    "json": _print_json,
    "sarif": _print_sarif,
    "junit": _print_junit,
}
