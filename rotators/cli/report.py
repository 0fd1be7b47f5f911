"""`rotators report`: one HTML file about all secrets."""

from __future__ import annotations

from pathlib import Path

import click

from rotators.cli.output import console, counted, print_document
from rotators.cli.selecting import nothing_selected, selector_options
from rotators.manage.details import read_details
from rotators.manage.page import html
from rotators.manage.report import current_report
from rotators.manage.selector import Selector


@click.command()
@selector_options
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    required=True,
    help="HTML file to write; - is standard output.",
)
def report(selector: Selector, output: str) -> None:
    """Write a page about secrets: those that need attention, failures, ages, due rotations, all secrets.

    Secrets are named, or selected by the conditions of `rotators list`; by default all of them. The page is
    one file without scripts. It contains no value.
    """
    out = console(quiet=output == "-")
    with out.status("listing secrets …"):
        found = current_report(selector)
        if not found.rows:
            raise nothing_selected()
        details = read_details(found.rows)
    if output == "-":
        print_document(html(found, details))
        return
    Path(output).write_text(html(found, details), encoding="utf-8")
    out.print(f"{counted(len(found.rows), 'secret')} in {output}.")
    out.next(f"open {output} in a browser.")
