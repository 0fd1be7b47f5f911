"""Watches calls for output that reveals a value of a secret."""

from __future__ import annotations

import io
import logging
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout

from rotators.core.redaction import masked


class Witness:
    """Collects what calls reveal.

    Args:
        sensitive: strings that must not appear, in any usual encoding.

    Attributes:
        leaks: strings that appeared, masked, and where.
    """

    def __init__(self, sensitive: Iterable[str]) -> None:
        self._sensitive = set(sensitive)
        self.leaks: list[str] = []

    def watch(self, call: Callable[[], object]) -> None:
        """Run a call that may fail, and check its error, its output and its logs.

        Args:
            call: call to run.
        """
        out, records = io.StringIO(), _Records()
        root = logging.getLogger()
        level, handlers = root.level, root.handlers
        # The only handler: a value that is logged here must not reach a real log.
        root.handlers = [records]
        root.setLevel(logging.DEBUG)
        try:
            with redirect_stdout(out), redirect_stderr(out):
                call()
        except Exception as error:  # noqa: BLE001 - the text of any error is checked
            for text in _shown(error):
                self.saw(text, f"an error of type {type(error).__name__}")
        finally:
            root.handlers = handlers
            root.setLevel(level)
        self.saw(out.getvalue(), "output")
        self.saw("\n".join(records.lines), "a log record")

    def saw(self, text: str, where: str) -> None:
        """Check one text.

        Args:
            text: text to check.
            where: source of the text; shown in the report.
        """
        hidden = masked(text, self._sensitive)
        if hidden != text:
            line = next(line for line in hidden.splitlines() if "***" in line)
            self.leaks.append(f"{where}: {line}")


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # The client library of AWS logs whole requests at DEBUG, which the rotator cannot change.
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
