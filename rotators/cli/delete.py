"""`rotators delete`: schedule secrets for deletion, after a recovery window."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from rotators.cli.changing import changes_secrets
from rotators.manage.changes import deletion

if TYPE_CHECKING:
    from rotators.cli.changing import Planner


@click.command()
@changes_secrets(deleted=True)
@click.option("--days", type=click.IntRange(7, 30), default=30, help="Recovery window (default: 30 days).")
def delete(days: int) -> Planner:
    """Schedule secrets for deletion. Until the window ends, `rotators restore` brings them back.

    Secrets are named, or selected by the conditions of `rotators list`.
    """
    return partial(deletion, days=days)
