"""`rotators audit`: the records of what was done with secrets."""

from __future__ import annotations

import click

from rotators.cli.audit_ocsf import ocsf


@click.group()
def audit() -> None:
    """Evaluate the records of what was done with secrets."""


audit.add_command(ocsf)
