"""`rotators replicate`: replicate secrets to other Regions."""

from __future__ import annotations

from functools import partial

import click

from rotators.cli.changing import Planner, changes_secrets
from rotators.manage.changes import replication


@click.command()
@changes_secrets()
@click.option("--to", "regions", multiple=True, required=True, metavar="REGION", help="May be repeated.")
@click.option("--replica-key", metavar="KEY", help="KMS key in that Region; by default aws/secretsmanager.")
def replicate(regions: tuple[str, ...], replica_key: str | None) -> Planner:
    """Replicate secrets to other Regions.

    Secrets are named, or selected by the conditions of `rotators list`.
    """
    return partial(replication, regions=regions, key=replica_key)
