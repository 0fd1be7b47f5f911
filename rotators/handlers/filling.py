"""Receipts of all secrets: which are missing, and their writing.

The last rotation of each secret is compared with the end of its chain, so a gap is found whether its event
was lost or its receipt could not be written. As far as the log is read back, earlier rotations are found too.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from typing import Any

from rotators.core.errors import RotatorsError
from rotators.manage.inventory import entries
from rotators.receipts.errors import ReceiptsMissing
from rotators.receipts.facts import LOOK_BACK
from rotators.receipts.statement import now
from rotators.receipts.writing import ReceiptSettings, missing_receipts, write_receipts

_RESERVE_SECONDS = 60.0  # for one secret
_NAMED = 10  # secrets in an error
_Failed = dict[str, RotatorsError]
_Act = Callable[[str, dt.datetime], None]


def fill(settings: ReceiptSettings, seconds_left: Callable[[], float]) -> dict[str, Any]:
    """Write the receipts that are missing.

    Args:
        settings: settings of the function.
        seconds_left: the time that is left.

    Returns:
        ``Receipts``: the places of the receipts; ``Left``: number of secrets that there was no time for.

    Raises:
        ReceiptsMissing: receipts of some secrets could not be written; those of the others were.
    """
    written: list[str] = []

    def write(arn: str, rotated: dt.datetime) -> None:
        written.extend(write_receipts(arn, rotated, settings, late=True) or ())

    failed, left = _for_each(write, settings, seconds_left)
    if failed:
        named = ", ".join(f"{name} ({error.full_code})" for name, error in [*failed.items()][:_NAMED])
        more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        were = "1 receipt was" if len(written) == 1 else f"{len(written)} receipts were"
        raise ReceiptsMissing(f"{were} written, but not those of {named}{more}")
    return {"Receipts": written, "Left": left}


def missing(settings: ReceiptSettings, seconds_left: Callable[[], float]) -> dict[str, Any]:
    """List the secrets that lack receipts.

    Args:
        settings: settings of the function.
        seconds_left: the time that is left.

    Returns:
        ``Missing``: of each secret ``SecretId``, ``Rotated`` (its last rotation), and ``Receipts`` (number of
        rotations without one), or ``Error`` if the number is not known; ``Left``: as for `fill`.
    """
    found: list[dict[str, Any]] = []

    def look(arn: str, rotated: dt.datetime) -> None:
        if count := missing_receipts(arn, rotated, settings):
            found.append({"SecretId": arn, "Rotated": rotated.isoformat(), "Receipts": count})

    failed, left = _for_each(look, settings, seconds_left)
    unknown = [{"SecretId": arn, "Error": str(error)} for arn, error in failed.items()]
    return {"Missing": sorted(found + unknown, key=lambda each: str(each["SecretId"])), "Left": left}


def _for_each(act: _Act, settings: ReceiptSettings, seconds_left: Callable[[], float]) -> tuple[_Failed, int]:
    """Do something for each secret that was rotated; a failure for one does not stop the others."""
    since = now() - LOOK_BACK
    own = (entry for entry in entries() if entry.function_arn == settings.function_arn)
    rotated = [(entry.arn, entry.rotated) for entry in own if entry.rotated and entry.rotated > since]
    random.shuffle(rotated)  # if the time is too short for all, another run looks at others
    failed: _Failed = {}
    for done, (arn, time) in enumerate(rotated):
        if seconds_left() < _RESERVE_SECONDS:
            return failed, len(rotated) - done
        try:
            act(arn, time)
        except RotatorsError as error:
            failed[arn] = error
    return failed, 0
