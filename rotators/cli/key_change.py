"""`rotators key change`: another KMS key for secrets."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import click

from rotators.aws import sealing
from rotators.cli.changing import ChangePlan, carry_out, yes_option
from rotators.cli.output import console, json_option
from rotators.cli.selecting import nothing_selected, require_conditions, selector_options
from rotators.core.errors import AccessDenied, SecretNotFound
from rotators.manage.key_change import KeyChange
from rotators.manage.key_inventory import KeyEntry, key_entry
from rotators.manage.key_permissions import KeyPermissions
from rotators.manage.selector import Selector


@click.command(short_help="Move secrets from one key to another.")
@selector_options
@click.option("--from", "old", required=True, metavar="KEY", help="Key of the secrets: id, ARN or alias.")
@click.option("--to", "new", required=True, metavar="KEY", help="Their new key, in the same Region.")
@yes_option
@json_option
def change(selector: Selector, old: str, new: str, yes: bool) -> None:
    """Move secrets from one KMS key to another, and prove that their versions were encrypted again.

    Secrets are named, or selected by the conditions of `rotators list`. Secrets that are not under the old
    key are not changed. Before the plan, the use of both keys by the caller and by the rotation functions is
    checked. A secret is moved completely, or gets its old key back. Versions without a stage stay under the
    old key. An interrupted command is resumed by repeating it. Exit status 1 means that something was not
    changed.
    """
    require_conditions(selector)
    source, target = key_entry(old, rotation=False), key_entry(new, rotation=False)
    key_change = KeyChange(source, target, KeyPermissions())
    selected = _plan(replace(selector, deleted=True), key_change)
    plan = ChangePlan(
        key_change.changes,
        selected,
        key_change.unchanged,
        after=_after(source),
        lists=f"rotators key versions {source.name}",
        refused=key_change.refused,
        remarks=key_change.remarks,
    )
    carry_out(plan, yes=yes)


def _plan(selector: Selector, key_change: KeyChange) -> int:
    """Plan the change of the selected secrets; return their number."""
    out = console()
    with out.status("examining keys and versions …") as status:
        selection, selected = selector.select(dt.datetime.now(dt.UTC)), 0
        for entry in selection:
            fresh = selection.now(entry)
            if fresh is None:
                continue
            try:
                key_change.plan(fresh)
            except SecretNotFound:  # it was deleted after it was listed
                continue
            except AccessDenied as error:
                if error.reason is not None:
                    raise
                selection.unread.append((fresh.name, error))
            selected += 1
            status.update(out.render_str(f"examining keys and versions … {selected:,} secrets"))
    selection.require_complete()
    if not selected:
        raise nothing_selected()
    return selected


def _after(old: KeyEntry) -> str:
    shows = (
        f"`rotators key versions {old.name}` lists the versions that {old.name} still encrypts, in "
        "all secrets"
    )
    if old.managed_by_aws:
        return f"{shows}."
    if sealing.names(old.arn):
        return f"{shows}. Keep this key: {sealing.KEYS} names it, and sealed values need it."
    return (
        f"{shows}. When no secret, no sealed value and no other data needs this key, you can delete "
        f"it: first `aws kms disable-key --key-id {old.id}`; if no reader fails for some weeks, `aws "
        f"kms schedule-key-deletion --key-id {old.id} --pending-window-in-days 30`."
    )
