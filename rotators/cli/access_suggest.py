"""`rotators access suggest`: the least-privilege policies for an application. It changes nothing."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence

import click

from rotators.cli.output import Screen, console, counted, json_option
from rotators.cli.selecting import not_empty
from rotators.cli.stopping import exit_unless
from rotators.manage.guards import Guards
from rotators.manage.inventory import Entry
from rotators.manage.principals import read_account
from rotators.manage.selector import Selector
from rotators.manage.suggestions import Document, Suggestion, TagSelection, suggested

_NAMED = 5  # largest number of other secrets in the text


def _tag(_context: click.Context, _option: click.Parameter, given: str | None) -> TagSelection | None:
    if given is None:
        return None
    key, equals, value = given.partition("=")
    if not key or not equals:
        raise click.BadParameter("give KEY=VALUE")
    return TagSelection(key, value)


@click.command(short_help="Print the least-privilege policies for an application.")
@click.argument("secret", metavar="SECRET...", nargs=-1, required=True)
@click.option("--for", "role", required=True, metavar="ROLE", help="Name or ARN of the application's role.")
@click.option("--by-tag", "tag", callback=_tag, metavar="KEY=VALUE", help="Permit all secrets with this tag.")
@click.option(
    "--exclusive", is_flag=True, help="Also print a policy for each secret that denies all other principals."
)
@click.option(
    "--keep", multiple=True, metavar="PRINCIPAL", help="With --exclusive: a principal that is not denied."
)
@json_option
def suggest(
    secret: tuple[str, ...],
    role: str,
    tag: TagSelection | None,
    exclusive: bool,
    keep: tuple[str, ...],
) -> None:
    """Print the policies that permit a role to read each SECRET, and nothing more. Nothing is changed.

    With --exclusive, the policy of each secret denies its use to all other principals. It does not apply to
    the role, the roles of the rotation function and of the stack's operate function, you, the root user, and
    the principals of --keep (role/NAME, user/NAME or an ARN). Secrets Manager validates the policy. Exit
    status 1 means that the policies would not have the intended effect.
    """
    if keep and not exclusive:
        raise click.UsageError("--keep needs --exclusive.")
    with console().status("reading policies …"):
        entries = _selected(Selector(ids=secret))
        account, guards = read_account(), Guards()
        guarded = [guards.of(entry) for entry in entries]
        found = suggested(guarded, account, role, tag, keep if exclusive else None)
        others = _others(tag, entries)
    _print(found, others)
    exit_unless(not found.faults)


def _selected(selector: Selector) -> list[Entry]:
    selection = selector.select(dt.datetime.now(dt.UTC))
    entries = list(not_empty(selection, selection))
    selection.require_complete()
    return entries


def _others(tag: TagSelection | None, entries: Sequence[Entry]) -> list[str]:
    """Return names of the other secrets of this Region with the tag."""
    if tag is None:
        return []
    arns = {entry.arn for entry in entries}
    tagged = Selector(tags=(f"{tag.key}={tag.value}",)).select(dt.datetime.now(dt.UTC))
    return [entry.name for entry in tagged if entry.arn not in arns]


def _print(found: Suggestion, others: Sequence[str]) -> None:
    out = console()
    resources = [
        {
            "secret": each.guarded.entry.name,
            "policy": each.document,
            "block_public_policy": True,
            "findings": each.findings,
        }
        for each in found.resources
    ]
    policies = {"role": found.role, "identity_policy": found.identity, "resource_policies": resources}
    out.document({**policies, "other_secrets": others, "faults": found.faults})
    out.print(f"Policy for {found.role}:")
    _print_policy(out, found.identity)
    for each in found.resources:
        out.print(f"\nPolicy for the secret {each.guarded.entry.name}:")
        _print_policy(out, each.document)
    if others:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        named = ", ".join(others[:_NAMED])
        out.print(f"The tag also permits {counted(len(others), 'other secret')}: {named}{more}.")
    for fault in found.faults:
        out.print(f"Fault: {fault}.")
    out.next(_next(found))


def _print_policy(out: Screen, document: Document) -> None:
    out.print(*json.dumps(document, indent=2).split("\n"), sep="\n")


def _next(found: Suggestion) -> str:
    if found.faults:
        return "correct the faults; otherwise the policies do not have the intended effect."
    name = found.role.rpartition("/")[2]
    attach = (
        f"`aws iam put-role-policy --role-name {name} --policy-name secrets --policy-document file://FILE`"
    )
    if not found.resources:
        return f"{attach} attaches it."
    put = "aws secretsmanager put-resource-policy --secret-id SECRET --block-public-policy"
    return f"{attach}, then `{put} --resource-policy file://FILE`."
