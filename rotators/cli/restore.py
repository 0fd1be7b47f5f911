"""`rotators restore`: restore secrets that are scheduled for deletion."""

from __future__ import annotations

import click

from rotators.cli.changing import Planner, changes_secrets
from rotators.manage.changes import restoration


@click.command()
@changes_secrets(deleted=True)
def restore() -> Planner:
    """Restore secrets that are scheduled for deletion, with all their versions.

    Secrets are named, or selected by the conditions of `rotators list`.
    """
    return restoration
