"""`rotators key`: the KMS keys, the versions of secrets under each key, and rotation of keys."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import click
from rich.table import Column

from rotators.aws import sealing
from rotators.aws.secrets import Version
from rotators.cli.changing import ChangePlan, carry_out, yes_option
from rotators.cli.key_change import change
from rotators.cli.key_create import create
from rotators.cli.output import (
    Cell,
    Screen,
    console,
    counted,
    json_option,
    members,
    print_error,
    styled,
    table,
)
from rotators.cli.selecting import selector_options
from rotators.cli.stopping import exit_unless
from rotators.core.errors import AccessDenied, RotatorsError, SecretNotFound
from rotators.manage import key_rotation
from rotators.manage.inventory import entries
from rotators.manage.key_inventory import (
    KeyEntry,
    Needs,
    key_entries,
    key_entry,
    other_keys,
    secrets_by_key,
    versions_under,
)
from rotators.manage.selector import Selector

_ROWS = 50
_ID_WIDTH = 36  # of a version
_KEY = "arn aliases spec usage state managed_by_aws deletion next_rotation"
_USAGES = {"ENCRYPT_DECRYPT": "encrypt", "GENERATE_VERIFY_MAC": "mac", "SIGN_VERIFY": "sign"}


@click.group()
def key() -> None:
    """Create, list and rotate KMS keys, and move secrets to another key."""


@key.command("list", short_help="List the keys, with their rotation and their secrets.")
@click.option("--aws", "of_aws", is_flag=True, help="List the keys of AWS's services too.")
@json_option
def list_(of_aws: bool) -> None:
    """List the symmetric and asymmetric KMS keys of the account and Region.

    The last column counts the secrets that use a key. Older versions of a secret can be under another key;
    `rotators key versions` shows them. Exit status 1 means that a key could not be read.
    """
    unread: list[tuple[str, RotatorsError]] = []
    with console().status("listing keys …"):
        found = [each for each in key_entries(unread) if of_aws or not each.managed_by_aws]
        counts = Counter(secrets_by_key(found, entries()))
    found.sort(key=lambda each: (each.name, each.arn))
    out = console()
    keys = [
        {**members(each, _KEY), "rotation_days": each.period, "secrets": counts[each.arn]} for each in found
    ]
    out.document({"keys": keys, "unread": [name for name, _ in unread]})
    columns = ("key", "spec", "usage", "state", "rotation", Column("secrets", justify="right"))
    out.print(table(columns, [_row(each, counts[each.arn]) for each in found]))
    out.print(f"{counted(len(found), 'key')}.")
    out.next(_after_list(found, counts))
    _tell_unread(unread)


def _row(entry: KeyEntry, secrets: int) -> tuple[Cell, ...]:
    state = entry.state if entry.enabled else styled(entry.state, "red")
    usage = _USAGES.get(entry.usage, entry.usage)
    return entry.name, entry.spec, usage, state, _rotation(entry), str(secrets)


def _after_list(found: Sequence[KeyEntry], counts: Counter[str]) -> str:
    """Return the next action, for the symmetric key of the most secrets: others cannot encrypt secrets."""
    symmetric = [each for each in found if each.symmetric]
    if not symmetric:
        return "`rotators key create alias/NAME` creates a key for secrets."
    example = max(symmetric, key=lambda each: counts[each.arn])
    return f"`rotators key versions {example.name}` lists the versions of secrets under it."


def _rotation(entry: KeyEntry) -> str:
    if entry.managed_by_aws:
        return "by AWS"
    if not entry.symmetric:
        return "-"
    return f"every {entry.period} days" if entry.period else "off"


@key.command(short_help="List the versions of secrets under a key.")
@click.argument("key")
@selector_options
@json_option
def versions(selector: Selector, key: str) -> None:
    """List the versions of secrets that KEY (id, ARN or alias) encrypts.

    By default, the command examines all secrets, including those that are scheduled for deletion, with one
    call for each secret. If a secret gets another key, a version without a stage stays under its old key. The
    other versions are then under both keys, and either key decrypts them. KEY is not needed for a version
    that another enabled key decrypts. Sealed values under KEY are not listed. Exit status 1 means that a
    secret could not be read.
    """
    with console().status("listing versions …"):
        asked = key_entry(key)
        selection = replace(selector, deleted=True).select(dt.datetime.now(dt.UTC))
        found: list[tuple[str, Version]] = []
        unread: list[tuple[str, RotatorsError]] = []
        for entry in selection:
            try:
                found += [(entry.name, version) for version in versions_under(asked, entry)]
            except SecretNotFound:  # it was deleted after it was listed
                continue
            except AccessDenied as error:
                unread.append((entry.name, error))
        needs = Needs(asked)
        judged = [(secret, each, needs.of(each)) for secret, each in found]
    unread += selection.unread
    out = console()
    listed = [
        {
            "secret": secret,
            "version": each.id,
            **members(each, "stages created"),
            "other_keys": other_keys(asked, each),
            "needed": needed,
        }
        for secret, each, needed in judged
    ]
    names = [secret for secret, _ in unread]
    out.document({"key": asked.arn, "seals": sealing.names(asked.arn), "versions": listed, "unread": names})
    _print_versions(asked, judged, out)
    _tell_unread(unread)


def _print_versions(asked: KeyEntry, found: Sequence[tuple[str, Version, bool]], out: Screen) -> None:
    none, yes = styled("none", "yellow"), styled("yes", "yellow")
    rows = [
        (secret, each.id, ", ".join(each.stages) or none, yes if needed else "no")
        for secret, each, needed in found[:_ROWS]
    ]
    out.print(table(("secret", Column("version", min_width=_ID_WIDTH), "stages", "needed"), rows))
    out.rest(len(found) - _ROWS)
    secrets = counted(len({secret for secret, *_ in found}), "secret")
    without = sum(not each.stages for _, each, _ in found)
    needing = sum(needed for *_, needed in found)
    out.print(
        f"{counted(len(found), 'version')} of {secrets} under {asked.name}; {without:,} without a stage; "
        f"needed for {needing:,}."
    )
    if sealing.names(asked.arn):
        out.print(f"{sealing.KEYS} names this key: sealed values also need it, and they are not listed.")
    shows = f"`rotators show {found[0][0]}` shows one of them." if found else ""
    out.next(shows or "`rotators key list` lists the keys.")


def _tell_unread(unread: Sequence[tuple[str, RotatorsError]]) -> None:
    for _, error in unread:
        print_error(str(error))
    exit_unless(not unread)


@key.command(short_help="Rotate keys now, or set their automatic rotation.")
@click.argument("key", nargs=-1, required=True)
@click.option(
    "--every", "days", type=click.IntRange(90, 2560), metavar="DAYS", help="Rotate automatically from now on."
)
@click.option("--off", is_flag=True, help="Turn automatic rotation off.")
@yes_option
@json_option
def rotate(key: tuple[str, ...], days: int | None, off: bool, yes: bool) -> None:
    """Rotate the material of symmetric keys: each KEY is an id, ARN or alias.

    The key keeps its id and still decrypts old ciphertexts; no secret is encrypted again. KMS permits 25
    rotations of a key on demand, and automatic rotation every 90 to 2,560 days. Nothing is changed without
    --yes. Exit status 1 means that something was not changed.
    """
    if days is not None and off:
        raise click.UsageError("Give --every or --off, not both.")
    planned = key_rotation.off if off else key_rotation.now
    if days is not None:
        planned = partial(key_rotation.automatic, days=days)
    found = {entry.arn: entry for entry in map(key_entry, key)}
    plans = [list(planned(entry)) for entry in found.values()]
    plan = ChangePlan(
        [change for plan in plans for change in plan],
        selected=len(found),
        unchanged=sum(not plan for plan in plans),
        after="`rotators key list` shows them.",
        noun="key",
        lists="rotators key list",
    )
    carry_out(plan, yes=yes)


key.add_command(create)
key.add_command(change)
