"""`rotators tag`: set and remove tags of secrets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial

import click

from rotators.cli.changing import Planner, changes_secrets
from rotators.manage.changes import tagging
from rotators.manage.errors import SelectorInvalid


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
    return partial(tagging, tags=tags_of(pairs, removed), removed=removed)


def tags_of(pairs: Iterable[str], removed: Iterable[str] = ()) -> dict[str, str]:
    """Return the tags in arguments, by key.

    Args:
        pairs: each ``KEY=VALUE``.
        removed: keys of tags that are removed.

    Returns:
        Values by key, without the removed keys.

    Raises:
        SelectorInvalid: a text does not have this form.
        click.UsageError: a tag is named twice.
    """
    tags = [_pair(text) for text in pairs]
    named = Counter([key for key, _ in tags] + list(dict.fromkeys(removed)))
    if twice := [key for key, times in named.items() if times > 1]:
        raise click.UsageError(f"The tag {twice[0]} is given twice.")
    return dict(tags)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise SelectorInvalid(f"{text!r} is not a tag", remedy="Write KEY=VALUE; the value may be empty.")
    return key, value
