"""`rotators schedule`: set the rotation schedule of secrets, or turn their rotation off."""

from __future__ import annotations

from functools import partial

import click

from rotators.cli.changing import Planner, changes_secrets
from rotators.manage.changes import no_rotation, scheduling


@click.command()
@changes_secrets()
@click.option("--every", metavar="DAYS", type=click.IntRange(1, 1000), help="Days between two rotations.")
@click.option("--expression", help="rate(…) or cron(…), as Secrets Manager accepts it; times are in UTC.")
@click.option("--off", is_flag=True, help="Turn rotation off.")
@click.option("--window", metavar="HOURS", help="Duration of the rotation window, such as 2h.")
@click.option("--function", metavar="ARN", help="Rotation function; by default the function of the secret.")
def schedule(
    every: int | None, expression: str | None, off: bool, window: str | None, function: str | None
) -> Planner:
    """Set the rotation schedule, or turn rotation off.

    Secrets are named, or selected by the conditions of `rotators list`. Secrets Manager calls the function's
    step testSecret for a new schedule; `rotators rotate` rotates at once.
    """
    if (every is not None) + bool(expression) + off != 1:
        raise click.UsageError("Give one of --every, --expression and --off.")
    if off and (window or function):
        raise click.UsageError("--window and --function are parts of a schedule; omit them with --off.")
    if off:
        return no_rotation
    days = f"rate({every} day{'s' if every != 1 else ''})"
    return partial(scheduling, expression=expression or days, window=window, function=function)
