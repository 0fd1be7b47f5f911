"""`rotators receipt`: verify the signed receipts of rotations, and fill gaps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.table import Column

from rotators.aws.events import spellings
from rotators.cli.aws import ask_function, stack_option
from rotators.cli.changing import yes_option
from rotators.cli.errors import ExtraMissing
from rotators.cli.output import Cell, Screen, console, counted, json_option, styled, table
from rotators.cli.stopping import exit_unless
from rotators.core.errors import SecretNotFound
from rotators.core.folders import files_below, regular
from rotators.receipts.envelope import LONGEST_FILE
from rotators.receipts.errors import ReceiptInputInvalid, ReceiptsNotFound
from rotators.receipts.storage import Bucket, StoredReceipt, number_in
from rotators.receipts.verification import Chain, Known, Verify, verified

_S3 = "s3://"
_SHOWN = 50
_PATH = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def receipt() -> None:
    """Verify signed receipts of rotations, and write missing ones."""


@receipt.command(short_help="Verify receipts with a public key.")
@click.argument("source")
@click.option(
    "--key",
    "keys",
    multiple=True,
    required=True,
    type=_PATH,
    metavar="PEM",
    help="A public key; may be repeated.",
)
@click.option("--known", type=_PATH, metavar="FILE", help="The --json output of an earlier verification.")
@json_option
def verify(source: str, keys: tuple[Path, ...], known: Path | None) -> None:
    """Verify all receipts in SOURCE, a folder or s3://BUCKET, with public keys.

    A folder needs no network: it is a copy of the bucket, made with `aws s3 sync`. In a bucket, the first
    version of each object is verified. Receipts that are missing at the end of a chain are detected only with
    --known. Exit status 1 means that something was changed, forged, exchanged, removed or hidden.
    """
    check = _verifier(keys)
    earlier = _known(known) if known else {}
    chains = verified(_files(source), check, earlier)
    if not chains:
        raise ReceiptsNotFound(f"{source} has no receipts")
    out = console()
    out.document({"chains": [_document(chain) for chain in chains]})
    _print(out, chains)
    exit_unless(not any(chain.findings for chain in chains))


@receipt.command(short_help="List the rotations without a receipt; with --yes, write the receipts.")
@stack_option
@yes_option
@json_option
def fill(stack: str, yes: bool) -> None:
    """List secrets whose rotations of the last seven days have no receipt; with --yes, write the receipts.

    The stack's receipt function does the work, as it does every day. Exit status 1 means that receipts are
    still missing.
    """
    out = console()
    with out.status("comparing secrets and chains …"):
        listed = _missing(stack)
    written = ask_function(f"{stack}-receipt", {"Fill": True}) if yes and listed["Missing"] else {}
    left = max(listed["Left"], written.get("Left", 0))
    out.document({"missing": listed["Missing"], "written": written.get("Receipts", []), "left": left})
    _print_missing(out, listed["Missing"])
    if left:
        out.print(f"There was no time to examine {counted(left, 'secret')}.")
    if "Receipts" in written:
        out.print(f"{counted(len(written['Receipts']), 'receipt')} written.")
    again = left or (listed["Missing"] and not yes)
    fills = "`rotators receipt fill --yes` writes the missing receipts, if possible."
    out.next(fills if again else "verify the chains with `rotators receipt verify`.")
    exit_unless(not again)


def _missing(stack: str) -> Any:
    try:
        return ask_function(f"{stack}-receipt", {"Fill": True, "DryRun": True})
    except SecretNotFound as error:
        if error.reason != "function":
            raise
        raise ReceiptsNotFound(
            f"the stack {stack} does not write receipts: the function {stack}-receipt does not exist",
            reason="off",
            remedy="Deploy it with the parameter ReceiptRetentionDays, or name another stack with --stack.",
        ) from None


def _print_missing(out: Screen, missing: list[dict[str, Any]]) -> None:
    if not missing:
        out.print("No receipt is missing.")
        return
    columns = ("secret", Column("last rotation (UTC)", no_wrap=True), Column("missing", justify="right"))
    rows = [
        (
            spellings(each["SecretId"])[-1],
            str(each.get("Rotated", "-"))[:19].replace("T", " "),
            str(each.get("Receipts", "unknown")),
        )
        for each in missing[:_SHOWN]
    ]
    out.print(table(columns, rows))
    out.rest(len(missing) - _SHOWN, "secrets")
    for each in [each for each in missing if "Error" in each][:_SHOWN]:
        out.print(f"{spellings(each['SecretId'])[-1]}: {each['Error']}")


def _verifier(keys: tuple[Path, ...]) -> Verify:
    try:
        from rotators.receipts.keys import verifier  # noqa: PLC0415 - packages of an extra
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            f"the package {error.name} is not installed", remedy="Run pip install 'rotators[receipts]'."
        ) from None
    return verifier([path.read_bytes() for path in keys])


def _files(source: str) -> Iterator[StoredReceipt]:
    if source.startswith(_S3):
        bucket, _, prefix = source.removeprefix(_S3).partition("/")
        yield from Bucket(bucket, f"{prefix.rstrip('/')}/" if prefix else "").read()
        return
    folder = Path(source)
    if not folder.is_dir():
        raise ReceiptsNotFound(f"{source} is not a folder")
    for path in files_below(folder):
        place = path.relative_to(folder).as_posix()
        if number_in(place) is not None:
            yield _stored(path, place)


def _stored(path: Path, place: str) -> StoredReceipt:
    try:
        with regular(path) as file:
            return StoredReceipt(place, file.read(LONGEST_FILE + 1))
    except OSError as error:
        return StoredReceipt(place, b"", error=error.strerror or type(error).__name__)


def _known(path: Path) -> dict[str, Known]:
    try:
        chains = json.loads(path.read_bytes())["chains"]
        ends = {str(each["folder"]): each["newest"] for each in chains}
        return {folder: Known(int(end["number"]), str(end["digest"])) for folder, end in ends.items() if end}
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError):
        raise ReceiptInputInvalid(
            f"{path} is not the output of an earlier verification", reason="known"
        ) from None


def _document(chain: Chain) -> dict[str, Any]:
    return {
        "folder": chain.folder,
        "secret": chain.secret,
        "receipts": len(chain.receipts),
        "newest": chain.newest and vars(chain.newest),
        "intact": not chain.findings,
        "findings": [vars(finding) for finding in chain.findings],
        "notes": list(chain.notes),
    }


def _row(chain: Chain) -> tuple[Cell, ...]:
    name = chain.secret.rpartition(":secret:")[2] if chain.secret else chain.folder
    newest = f"{chain.receipts[-1].rotated:%Y-%m-%d %H:%M:%S}" if chain.receipts else "-"
    result = styled(counted(len(chain.findings), "finding"), "red") if chain.findings else "intact"
    return name, str(len(chain.receipts)), newest, result


def _print(out: Screen, chains: list[Chain]) -> None:
    columns = ("secret", Column("receipts", justify="right"), Column("newest (UTC)", no_wrap=True), "result")
    out.print(table(columns, [_row(chain) for chain in chains]))
    findings = [finding for chain in chains for finding in chain.findings]
    for finding in findings[:_SHOWN]:
        out.print(f"{finding.problem}  {finding.place}: {finding.message}")
    out.rest(len(findings) - _SHOWN, "findings")
    notes = [(chain.folder, note) for chain in chains for note in chain.notes]
    for folder, note in notes[:_SHOWN]:
        out.print(f"note  {folder}: {note}")
    out.rest(len(notes) - _SHOWN, "notes")
    total = counted(sum(len(chain.receipts) for chain in chains), "receipt")
    out.print(f"{total} with a valid signature, {counted(len(findings), 'finding')}.")
    action = (
        "compare these files with the bucket (`rotators receipt verify s3://BUCKET`), whose first versions "
        "cannot be changed."
        if findings
        else "keep the output of --json; --known compares the next verification with it."
    )
    out.next(action)
