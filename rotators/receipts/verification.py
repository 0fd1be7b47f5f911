"""Verifies chains of receipts offline, with only the files and the public key (pure functions).

It detects a file that is not a receipt, a changed byte, a signature by another key, a receipt at another
place, a missing one, and one that was signed again (the next receipt has the digest of the first signature).
After the last receipt of a chain there is no next one. So receipts that are missing at the end, or a last one
that was signed again, are detected only by comparison with the result of an earlier verification (`Known`),
or prevented by Object Lock in the bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rotators.receipts.envelope import Envelope, digest_of, signed_bytes
from rotators.receipts.errors import ReceiptUnreadable
from rotators.receipts.statement import Receipt, decoded
from rotators.receipts.storage import StoredReceipt, folder_of, number_in

Verify = Callable[[bytes, bytes], bool]
"""A function of signed bytes and a signature; returns True if the signature is by one of the keys."""


@dataclass(frozen=True)
class Known:
    """The end of a chain, as it was verified earlier.

    Attributes:
        number: number of the newest receipt.
        digest: SHA-256 of its file.
    """

    number: int
    digest: str


@dataclass(frozen=True)
class ReceiptFinding:
    """Something that is wrong in a chain.

    Attributes:
        place: folder and name of the file; of a missing one, its place.
        problem: ``unreadable``, ``forged``, ``misplaced``, ``missing``, ``broken``, ``replaced`` or
            ``truncated``.
        message: what is wrong, in one sentence without a full stop.
    """

    place: str
    problem: str
    message: str


@dataclass(frozen=True)
class Chain:
    """The result for the receipts of one secret.

    Attributes:
        folder: folder of its files.
        secret: ARN of the secret; None if no receipt could be read.
        receipts: those with a valid signature, by number.
        newest: number and digest of the last file; None without files.
        findings: faults; a chain without findings is intact.
        notes: remarks that are not faults of the chain.
    """

    folder: str
    secret: str | None
    receipts: tuple[Receipt, ...]
    newest: Known | None
    findings: tuple[ReceiptFinding, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Link:
    """One file with its number, and its receipt if that is valid."""

    place: str
    number: int
    digest: str
    receipt: Receipt | None
    findings: tuple[ReceiptFinding, ...]


def verified(stored: Iterable[StoredReceipt], verify: Verify, known: Mapping[str, Known]) -> list[Chain]:
    """Verify all chains.

    Args:
        stored: the files, in any order; those without the name of a receipt are ignored.
        verify: checks a signature.
        known: ends of chains that were verified earlier, by folder.

    Returns:
        One result per folder, also for a folder that is only in ``known``.
    """
    by_folder: dict[str, list[_Link]] = {}
    for file in stored:  # one at a time: many files need more memory than their receipts
        number = number_in(file.place)
        if number is not None:
            by_folder.setdefault(_folder(file.place), []).append(_link(file, number, verify))
    return [
        _chain(folder, by_folder.get(folder, []), known.get(folder))
        for folder in sorted({*by_folder, *known})
    ]


def _folder(place: str) -> str:
    return place.rpartition("/")[0]


def _link(file: StoredReceipt, number: int, verify: Verify) -> _Link:
    findings: list[ReceiptFinding] = []
    if file.replaced:
        message = "the bucket has a later version of it, or a deletion; the first version was verified"
        findings.append(ReceiptFinding(file.place, "replaced", message))
    receipt, wrong = _receipt(file, number, verify)
    return _Link(file.place, number, digest_of(file.data), receipt, (*findings, *wrong))


def _chain(folder: str, found: Sequence[_Link], known: Known | None) -> Chain:
    links = sorted(found, key=lambda link: link.number)
    findings = [finding for link in links for finding in link.findings]
    findings += _broken(folder, links)
    findings += _truncated(folder, links, known)
    receipts = tuple(link.receipt for link in links if link.receipt)
    return Chain(
        folder=folder,
        secret=receipts[-1].secret if receipts else None,
        receipts=receipts,
        newest=Known(links[-1].number, links[-1].digest) if links else None,
        findings=tuple(findings),
        notes=tuple(_notes(receipts)),
    )


def _receipt(file: StoredReceipt, number: int, verify: Verify) -> tuple[Receipt | None, list[ReceiptFinding]]:
    """Return the receipt in a file, if its signature is valid, and the faults of the file by itself."""
    if file.error:
        return None, [ReceiptFinding(file.place, "unreadable", f"it could not be read: {file.error}")]
    try:
        envelope = Envelope.decoded(file.data)
        if not verify(signed_bytes(envelope.payload), envelope.signature):
            return None, [ReceiptFinding(file.place, "forged", "none of the given keys made its signature")]
        receipt = decoded(envelope.payload)
    except ReceiptUnreadable as error:
        return None, [ReceiptFinding(file.place, "unreadable", error.cause)]
    wrong = []
    if envelope.key_id != receipt.signing_key:
        wrong.append(ReceiptFinding(file.place, "forged", "the name of its key was changed"))
    if (receipt.number, folder_of(receipt.secret)) != (number, _folder(file.place).rpartition("/")[2]):
        message = f"it is receipt {receipt.number} of {receipt.secret}"
        wrong.append(ReceiptFinding(file.place, "misplaced", message))
    return receipt, wrong


def _broken(folder: str, links: Sequence[_Link]) -> Iterator[ReceiptFinding]:
    """Compare each link with the one before it."""
    before: _Link | None = None
    for link in links:
        expected = before.number + 1 if before else 1
        if link.number > expected:
            last = link.number - 1
            which = f"receipt {last} is" if last == expected else f"receipts {expected} to {last} are"
            yield ReceiptFinding(f"{folder}/{expected:09}.json", "missing", f"{which} missing")
        elif link.receipt and link.receipt.previous != (before.digest if before else None):
            of = f"receipt {before.number}" if before else "a receipt before the first"
            yield ReceiptFinding(
                link.place, "broken", f"it does not continue {of}: one of them was exchanged"
            )
        before = link


def _truncated(folder: str, links: Sequence[_Link], known: Known | None) -> Iterator[ReceiptFinding]:
    if known is None:
        return
    found = next((link for link in links if link.number == known.number), None)
    if found is None:
        place = f"{folder}/{known.number:09}.json"
        yield ReceiptFinding(place, "truncated", "it was present in an earlier verification")
    elif found.digest != known.digest:
        yield ReceiptFinding(found.place, "replaced", "the file differs from an earlier verification")


def _notes(receipts: Sequence[Receipt]) -> Iterator[str]:
    first: dict[str, int] = {}
    for receipt in receipts:
        if (number := first.setdefault(receipt.version, receipt.number)) != receipt.number:
            yield f"receipts {number} and {receipt.number} are about the same version"
        late = "was written later" if receipt.filled_later else ""
        unknown = f"lacks {', '.join(receipt.unknown)}" if receipt.unknown else ""
        if late or unknown:
            yield f"receipt {receipt.number} {' and '.join(filter(None, (late, unknown)))}"
    for before, after in pairwise(receipts):
        if after.number == before.number + 1 and after.replaced_version not in (None, before.version):
            yield (
                f"between receipts {before.number} and {after.number} the value changed without a receipt: "
                f"version {after.replaced_version} was current"
            )
