"""`rotators unreplicate`: remove replicas of secrets."""

from __future__ import annotations

from functools import partial

import click

from rotators.cli.changing import Planner, changes_secrets
from rotators.manage.changes import removal_of_replicas


@click.command()
@changes_secrets()
@click.option("--from", "regions", multiple=True, required=True, metavar="REGION", help="May be repeated.")
def unreplicate(regions: tuple[str, ...]) -> Planner:
    """Remove replicas of secrets from other Regions. Applications there lose their copy at once.

    Secrets are named, or selected by the conditions of `rotators list`.
    """
    return partial(removal_of_replicas, regions=regions)
