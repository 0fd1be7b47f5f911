"""`rotators rename OLD NEW`: a new name for a secret, by a copy."""

from __future__ import annotations

import click

from rotators.cli.changing import ChangePlan, carry_out, yes_option
from rotators.cli.output import json_option
from rotators.manage.inventory import described
from rotators.manage.renaming import renaming


@click.command()
@click.argument("secret")
@click.argument("name")
@yes_option
@json_option
def rename(secret: str, name: str, yes: bool) -> None:
    """Copy SECRET to the new NAME, because Secrets Manager cannot rename. The old secret stays.

    The copy has the values with AWSCURRENT and AWSPREVIOUS, description, tags, key, resource policy, replicas
    and schedule; other stages and older versions are not copied. The rotation of the old secret is turned off
    first. An interrupted command can be repeated.
    """
    plan = renaming(secret, name)
    old = described(secret).id
    after = (
        f"let applications, policies and the masterarn of other secrets use {name};"
        f" when no application reads {old} any more (`rotators list {old}`), `rotators delete {old}`."
    )
    carry_out(ChangePlan(plan, 1, ordered=True, after=after), yes=yes)
