"""`rotators key create`: a KMS key for secrets, or of another kind."""

from __future__ import annotations

import click

from rotators.cli.changing import ChangePlan, carry_out, yes_option
from rotators.cli.output import json_option
from rotators.cli.tag import tags_of
from rotators.manage.key_creation import DAYS, ENCRYPT, MAC, SIGN, USAGES, NewKey, creation
from rotators.manage.key_inventory import SYMMETRIC

_USAGES = {"encrypt": ENCRYPT, "mac": MAC, "sign": SIGN}


@click.command(short_help="Create a key with an alias, a policy and rotation.")
@click.argument("alias")
@click.option(
    "--spec", type=click.Choice(list(USAGES)), default=SYMMETRIC, show_default=True, help="Key spec."
)
@click.option(
    "--usage", type=click.Choice(list(_USAGES)), help="Key usage; by default the usage of the key spec."
)
@click.option(
    "--every",
    "days",
    type=click.IntRange(90, 2560),
    default=None,
    metavar="DAYS",
    help=f"Days between automatic rotations of a symmetric key; by default {DAYS}.",
)
@click.option("--tag", "pairs", multiple=True, metavar="KEY=VALUE", help="Tag of the key; may be repeated.")
@yes_option
@json_option
def create(  # noqa: PLR0913 - one for each option
    alias: str,
    *,
    spec: str,
    usage: str | None,
    days: int | None,
    pairs: tuple[str, ...],
    yes: bool,
) -> None:
    """Create a KMS key with the name ALIAS, such as alias/app.

    Secrets need a symmetric key. Such a key rotates automatically. It can be used only through Secrets
    Manager, by callers whose own policies permit it. Other keys get the default policy of KMS. AWS charges
    for a key from its creation. An interrupted command can be repeated. Exit status 1 means that something
    was not created.
    """
    if days is not None and spec != SYMMETRIC:
        raise click.UsageError("Only symmetric keys rotate automatically; omit --every.")
    wanted = NewKey(
        alias,
        spec,
        _USAGES[usage] if usage else USAGES[spec][0],
        tags_of(pairs),
        days or DAYS,
    )
    changes = creation(wanted)
    after = f"`rotators key change --from KEY --to {alias}` moves secrets to it."
    plan = ChangePlan(
        changes,
        selected=1,
        unchanged=int(not changes),
        ordered=True,
        after=after if spec == SYMMETRIC else "`rotators key list` shows it.",
        noun="key",
        lists="rotators key list",
    )
    carry_out(plan, yes=yes)
