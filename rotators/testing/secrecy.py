"""Watches calls for anything by which a value of a secret could be seen."""

from __future__ import annotations

import io
import logging
import traceback
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

from rotators.core.redaction import masked
from rotators.core.registry import load
from rotators.core.rotation import Rotation
from rotators.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rotators.core.contracts import Rotator
    from rotators.testing.case import Case, Kit


class Witness:
    """Collects what calls show.

    Args:
        sensitive: what must not be shown, in any usual spelling.

    Attributes:
        leaks: what was shown, masked, and where.
    """

    def __init__(self, sensitive: Iterable[str]) -> None:
        self._sensitive = set(sensitive)
        self.leaks: list[str] = []

    def watch(self, call: Callable[[], object]) -> None:
        """Run a call that may fail, and look at its error, its output and its logs."""
        out, records = io.StringIO(), _Records()
        root = logging.getLogger()
        level, handlers = root.level, root.handlers
        # Alone: a value that is shown here must not reach a real log on the way.
        root.handlers = [records]
        root.setLevel(logging.DEBUG)
        try:
            with redirect_stdout(out), redirect_stderr(out):
                call()
        except Exception as error:  # noqa: BLE001 - whatever it is, what it shows is what counts
            for text in _shown(error):
                self.saw(text, f"an error of type {type(error).__name__}")
        finally:
            root.handlers = handlers
            root.setLevel(level)
        self.saw(out.getvalue(), "output")
        self.saw("\n".join(records.lines), "a log record")

    def saw(self, text: str, where: str) -> None:
        """Look at one text."""
        hidden = masked(text, self._sensitive)
        if hidden != text:
            line = next(line for line in hidden.splitlines() if "***" in line)
            self.leaks.append(f"{where}: {line}")


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # The client library of AWS logs whole requests at DEBUG; that is not the rotator's doing.
        if not record.name.startswith(("botocore", "boto3", "urllib3", "werkzeug")):
            self.lines.append(f"{record.getMessage()} {record.args!r}")


def _shown(error: BaseException) -> Iterator[str]:
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        member = waiting.pop()
        if member is None or id(member) in seen:
            continue
        seen.add(id(member))
        waiting += [member.__cause__, None if member.__suppress_context__ else member.__context__]
        yield f"{member} {member!r} {vars(member)!r} {member.args!r}"
    yield "".join(traceback.format_exception(error))


def rotation_of(kit: Kit, case: Case, token: str) -> Rotation:
    """The record that the core would give to the rotator for this token."""
    admin = None
    if "masterarn" in case.first:
        answer = kit.client.get_secret_value(SecretId=case.first["masterarn"])
        admin = Secret.from_string(answer["SecretString"])
    older = [Secret(value) for value in case.values()]
    return Rotation(
        current=Secret(case.current()),
        proposed=Secret(case.pending(token)),
        read_history=lambda: older,
        read_admin=lambda: admin,
    )


def the_rotator(kit: Kit, case: Case) -> Rotator:
    """The rotator that serves a case."""
    return kit.rotator or load(str(case.first["engine"]))
