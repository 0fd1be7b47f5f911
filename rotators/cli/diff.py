"""`rotators diff`: the members in which two versions of a secret differ; never a value."""

from __future__ import annotations

from dataclasses import asdict

import click

from rotators.aws import clients
from rotators.aws.secrets import SecretsManager, SecretVersion
from rotators.cli.auditing import record_read
from rotators.cli.output import console, json_option, table
from rotators.core.states import Stage
from rotators.manage.differences import differences

_VERSION_LENGTH = 32  # length of the shortest VersionId (API reference, PutSecretValue, ClientRequestToken)


@click.command()
@click.argument("secret")
@click.argument("before", default=Stage.PREVIOUS)
@click.argument("after", default=Stage.CURRENT)
@json_option
def diff(secret: str, before: str, after: str) -> None:
    """Compare two versions of SECRET: the names of members that were added, removed or changed.

    BEFORE and AFTER are stages or version ids; by default AWSPREVIOUS and AWSCURRENT. Values are not shown.
    The digests show only which values are equal in this output.
    """
    if not before or not after:
        raise click.UsageError("A stage or version id is empty.")
    with clients.in_region_of(secret):
        one, other = _version(secret, before), _version(secret, after)
    found = differences(one.secret.stored(), other.secret.stored())
    out = console()
    members = [asdict(each) for each in found]
    out.document({"name": other.name, "before": one.version, "after": other.version, "members": members})
    out.print(f"{other.name}: {before} ({one.version[:8]}) and {after} ({other.version[:8]})")
    rows = [(each.member, each.state, each.before, each.after) for each in found]
    out.print(table(("member", "state", "before", "after"), rows))
    changed = sum(each.state != "same" for each in found)
    out.print(f"Members that differ: {changed} of {len(found)}.")
    out.next(f"`rotators show {clients.short_id(other.name, other.arn)}` shows its versions.")


def _version(secret: str, which: str) -> SecretVersion:
    is_id = len(which) >= _VERSION_LENGTH
    found = SecretsManager().one(secret, None if is_id else which, which if is_id else None)
    record_read(found.arn, found.version)
    return found
