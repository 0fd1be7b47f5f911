"""Errors of receipts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rotators.aws.faults import translated
from rotators.core.errors import AccessDenied, InvalidInput, KeyUnusable, StoreError

_OF_SECRETS = (None, "kms")  # reasons whose next actions are about a secret and its key


@contextmanager
def calling(action: str, resource: str, remedy: str) -> Iterator[None]:
    """Run calls of boto3 about a bucket or key of receipts, and translate their errors.

    Args:
        action: name of the API's operation.
        resource: bucket, object or key.
        remedy: next action if the call is refused.

    Yields:
        Nothing.

    Raises:
        StoreError: as for `translated`.
    """
    try:
        with translated(action, resource):
            yield
    except (AccessDenied, KeyUnusable) as error:
        if error.reason not in _OF_SECRETS:
            raise
        raise type(error)(error.cause, reason=error.reason, remedy=remedy) from None


class ReceiptUnreadable(InvalidInput):
    """A file among the receipts is no receipt, or was changed."""

    code = "receipt-unreadable"
    remedy = "Verify the chain with `rotators receipt verify`, which names each such file."


class ReceiptInputInvalid(InvalidInput):
    """`rotators receipt verify` cannot use a public key or an earlier result; nothing was verified."""

    code = "receipt-input"
    remedy = (
        "Name a public key in PEM format with --key, and the output of `rotators receipt verify "
        "--json` with --known."
    )


class ReceiptsNotFound(InvalidInput):
    """There is no receipt in this place."""

    code = "receipts-not-found"
    remedy = (
        "Name the folder or bucket of the receipts; the stack's output ReceiptsBucketName names the bucket."
    )


class ReceiptChainBusy(StoreError):
    """Other writers were faster each time, so a receipt was not added to its chain; Lambda tries again."""

    code = "receipt-chain-busy"
    remedy = "Wait; the next event or the daily run writes the receipt."
    retryable = True


class ReceiptsMissing(StoreError):
    """Receipts of some secrets could not be written; those of the others were. The daily run tries again."""

    code = "receipts-missing"
    remedy = "Correct the causes; `rotators receipt fill` lists them and, with --yes, writes the receipts."
    retryable = True
