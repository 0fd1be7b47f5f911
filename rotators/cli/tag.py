"""`rotators tag`: set and remove tags of secrets."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from rotators.cli.changing import changes_secrets
from rotators.manage.changes import tagging
from rotators.manage.errors import SelectorInvalid

if TYPE_CHECKING:
    from rotators.cli.changing import Planner


@click.command()
@changes_secrets()
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Tag to set; may be repeated.")
@click.option("--remove", "removed", multiple=True, metavar="KEY", help="Tag to remove; may be repeated.")
def tag(pairs: tuple[str, ...], removed: tuple[str, ...]) -> Planner:
    """Set and remove tags. Policies may depend on tags, so read the plan before you use --yes.

    Secrets are named, or selected by the conditions of `rotators list`.
    """
    if not pairs and not removed:
        raise click.UsageError("Give --set or --remove.")
    return partial(tagging, tags=dict(map(tag_pair, pairs)), removed=removed)


def tag_pair(text: str) -> tuple[str, str]:
    """Return key and value of a tag as a person writes it.

    Args:
        text: ``KEY=VALUE``.

    Raises:
        SelectorInvalid: it is something else.
    """
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise SelectorInvalid(f"{text!r} is no tag", remedy="Write KEY=VALUE; the value may be empty.")
    return key, value
