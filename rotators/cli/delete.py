"""`rotators delete`: schedule secrets for deletion, after a recovery window."""

from __future__ import annotations

from functools import partial

import click

from rotators.cli.changing import Planner, changes_secrets
from rotators.manage.changes import deletion


@click.command()
@changes_secrets(deleted=True)
@click.option("--days", type=click.IntRange(7, 30), default=30, help="Recovery window (default: 30 days).")
def delete(days: int) -> Planner:
    """Schedule secrets for deletion. Until the window ends, `rotators restore` restores them.

    Secrets are named, or selected by the conditions of `rotators list`.
    """
    return partial(deletion, days=days)
