"""`rotators restore`: restore secrets that are scheduled for deletion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rotators.cli.changing import changes_secrets
from rotators.manage.changes import restoration

if TYPE_CHECKING:
    from rotators.cli.changing import Planner


@click.command()
@changes_secrets(deleted=True)
def restore() -> Planner:
    """Restore secrets that are scheduled for deletion, with all their versions.

    Secrets are named, or selected by the conditions of `rotators list`.
    """
    return restoration
