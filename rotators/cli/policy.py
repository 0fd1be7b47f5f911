"""`rotators policy`: check the inventory against rules."""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from rotators.cli.output import console, counted, print_document, print_json, styled
from rotators.manage.policy import LEVELS, PRESETS, preset, read_policy
from rotators.manage.reports import junit, sarif

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rotators.manage.policy import Finding, Policy

_FORMATS = ("table", "json", "sarif", "junit")
_ROWS = 50


@click.group()
def policy() -> None:
    """Check all secrets against rules."""


@policy.command(short_help="Check all secrets against a file or a preset.")
@click.argument("file", required=False)
@click.option("--preset", "name", type=click.Choice(PRESETS), help="A policy that comes with rotators.")
@click.option("-o", "--output", type=click.Choice(_FORMATS), default="table", help="Format of the output.")
def check(file: str | None, name: str | None, output: str) -> None:
    """Check all secrets of the account and Region against the rules in FILE, or in a preset.

    Exit status 1 means that a rule of the level error is broken, or could not be checked. No value is read.
    """
    if (file is None) == (name is None):
        raise click.UsageError("Give a file, or --preset.")
    rules = read_policy(file) if file is not None else preset(str(name))
    with console(quiet=output != "table").status("checking secrets …"):
        findings = list(rules.findings(dt.datetime.now(dt.UTC)))
    _print(rules, findings, output)
    if any(each.rule.level == LEVELS[0] for each in findings):
        sys.exit(1)


def _print(rules: Policy, findings: Sequence[Finding], output: str) -> None:
    if output == "sarif":
        print_json(sarif(rules, findings))
    elif output == "junit":
        print_document(junit(rules, findings))
    elif output == "json":
        document = {"checked": rules.checked, "applied": dict(rules.applied)}
        print_json({**document, "findings": [_document(each) for each in findings]})
    else:
        _print_table(rules, findings)


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule.id,
        "level": finding.rule.level,
        "secret": finding.secret.name,
        "arn": finding.secret.arn,
        "message": finding.message,
        "unknown": finding.unknown,
    }


def _print_table(rules: Policy, findings: Sequence[Finding]) -> None:
    out = console()
    broken = {rule: len({each.secret.arn for each in findings if each.rule is rule}) for rule in rules.rules}
    table = Table()
    for column in ("rule", "level", "title"):
        table.add_column(column, overflow="fold")
    table.add_column("about", justify="right")
    table.add_column("broken by", justify="right")
    for rule in rules.rules:
        number = broken[rule]
        found = styled(str(number), "red") if number else "0"
        table.add_row(rule.id, rule.level, rule.title, str(rules.applied[rule.id]), found)
    out.print(table)
    for rule in rules.rules:
        if not rules.applied[rule.id]:
            out.print(f"{rule.id} is about no secret; check its conditions.")
    for each in findings[:_ROWS]:
        out.print(f"{each.rule.id}  {each.secret.name}: {each.message}", soft_wrap=True)
    if len(findings) > _ROWS:
        out.print(f"… and {len(findings) - _ROWS} more; -o json shows all.")
    out.print(f"{counted(len(findings), 'finding')} in {counted(rules.checked, 'secret')}.")
    first = findings[0].secret.name if findings else ""
    action = f"`rotators show {first}` shows the first secret." if first else "nothing needs to be done."
    out.print(f"\nNext: {action}", soft_wrap=True)
