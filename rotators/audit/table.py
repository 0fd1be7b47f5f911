"""The records in a table of DuckDB, and the answers to questions about them."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rotators.audit.errors import AuditFailed, AuditLibraryMissing, NoRecords
from rotators.audit.questions import SPAN, UNNAMED, Question, literal, shared
from rotators.audit.reading import Damage, values
from rotators.audit.records import COLUMNS, line, row, unwrapped
from rotators.audit.sources import AuditSource
from rotators.core.errors import RotatorsError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TABLE = "cloudtrail"
_BATCH = 32 << 20  # bytes of rows that are inserted at once
_MOST_GAPS = 100
_MEMORY = "1GB"  # further data is kept in the folder
_MACROS = (
    "json_extract_scalar(document, path) AS json_extract_string(document, path)",
    "date_parse(text, format) AS strptime(text, '%Y-%m-%dT%H:%M:%SZ')",
)
"""Functions of Athena that DuckDB does not have. The only format of a time is CloudTrail's."""


@dataclass
class Gap:
    """Records of a file that could not be read.

    Attributes:
        file: name of the file.
        code: ``truncated``, ``not-json``, ``not-gzip``, ``foreign``, ``incomplete``, or ``unreadable``.
        cause: description of the first one.
        after: number of records in the file before the first one.
        count: number of such places in the file.
    """

    file: str
    code: str
    cause: str
    after: int
    count: int = 0


@dataclass
class Coverage:
    """The records that the answers cover.

    Attributes:
        files: number of files.
        records: number of records in them, also those of other services.
        events: number of different events of Secrets Manager, and of KMS about secrets.
        begun, ended: time of the first and of the last one.
        gaps: parts that could not be read, by the first 100 files and codes.
        gap_count: number of all places that could not be read.
        unnamed: callers of batches by filters whose secrets are unknown, with the number of calls and the
            time of the last one.
    """

    files: int = 0
    records: int = 0
    events: int = 0
    begun: dt.datetime | None = None
    ended: dt.datetime | None = None
    gaps: list[Gap] = field(default_factory=list)
    gap_count: int = 0
    unnamed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """True if everything could be read."""
        return self.gap_count == 0


@dataclass(frozen=True)
class AuditAnswer:
    """The answer to a question.

    Attributes:
        columns: names of the columns.
        rows: values by the names of the columns; times are in UTC.
    """

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]


class Records:
    """The records of files, in a table.

    Args:
        connection: connection of DuckDB.
        folder: for the rows that are inserted next; private to this process.

    Attributes:
        coverage: extent of the records in the table.
    """

    def __init__(self, connection: DuckDBPyConnection, folder: Path) -> None:
        self._connection = connection
        self._rows = folder / "rows"
        self.coverage = Coverage()

    def ask(self, question: Question) -> AuditAnswer:
        """Answer a question.

        Args:
            question: the question.

        Returns:
            The answer.
        """
        found = self._connection.execute(question.duckdb())
        names = tuple(column[0] for column in found.description or ())
        return AuditAnswer(
            names, [dict(zip(names, map(_aware, each), strict=True)) for each in found.fetchall()]
        )

    def load(self, sources: Iterable[AuditSource]) -> None:
        """Read files into the table, and make the tables that all questions need.

        Args:
            sources: the files.

        Raises:
            NoRecords: none of them has a record.
            SourceUnreadable: the files could not be listed.
        """
        with self._rows.open("wb") as rows:
            for source in sources:
                self.coverage.files += 1
                for made in self._lines(source):
                    if rows.tell() + len(made) > _BATCH:
                        self._insert(rows)
                    rows.write(made)
            self._insert(rows)
        if not self.coverage.records:
            gap = next(iter(self.coverage.gaps), None)
            why = f"in {gap.file}, {gap.cause}" if gap else f"there are {self.coverage.files:,} files"
            raise NoRecords(f"no record of CloudTrail was found: {why}")
        for name, text in shared(_TABLE):
            self._connection.execute(f"CREATE TABLE {name} AS {text}")
        (span,) = self.ask(SPAN).rows
        self.coverage.events, self.coverage.begun, self.coverage.ended = span.values()
        self.coverage.unnamed = self.ask(UNNAMED).rows

    def _lines(self, source: AuditSource) -> Iterator[bytes]:
        gaps: dict[str, Gap] = {}
        count = 0
        for found in _rows(source):
            if isinstance(found, Damage):
                gap = gaps.setdefault(found.code, Gap(source.name, found.code, found.cause, count))
                gap.count += 1
                continue
            count += 1
            if found:
                yield found
        self.coverage.records += count
        self.coverage.gap_count += sum(gap.count for gap in gaps.values())
        self.coverage.gaps = [*self.coverage.gaps, *gaps.values()][:_MOST_GAPS]

    def _insert(self, rows: Any) -> None:
        rows.flush()
        if rows.tell():
            columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in COLUMNS.items())
            self._connection.execute(
                f"INSERT INTO {_TABLE} SELECT * FROM read_json({literal(str(self._rows))}, "  # noqa: S608 - ours
                f"format = 'newline_delimited', columns = {{{columns}}})"
            )
        rows.seek(0)
        rows.truncate()


@contextmanager
def opened() -> Iterator[Records]:
    """Open an empty table; it is in a temporary folder, which is deleted at the end.

    Yields:
        The table.

    Raises:
        AuditLibraryMissing: DuckDB is not installed.
        AuditFailed: DuckDB has an error while the table is used, for example because the disk is full.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    try:
        import duckdb  # noqa: PLC0415 - takes 70 MB, and only these questions need it
    except ImportError:
        raise AuditLibraryMissing("the questions about records need the library duckdb") from None
    with tempfile.TemporaryDirectory(prefix="rotators-audit-") as folder:
        limits: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": _MEMORY,
            "preserve_insertion_order": False,
            "temp_directory": folder,
        }
        try:
            with duckdb.connect(str(Path(folder, "records.duckdb")), config=limits) as connection:
                _prepare(connection, folder)
                yield Records(connection, Path(folder))
        except duckdb.Error as error:
            raise AuditFailed(f"DuckDB failed with {type(error).__name__}: {error}") from None
        except RuntimeError as error:
            if str(error) != "Query interrupted":  # how DuckDB reports Ctrl-C
                raise
            raise KeyboardInterrupt from None


def _prepare(connection: DuckDBPyConnection, folder: str) -> None:
    """Prevent DuckDB from using other files, and create the empty table."""
    connection.execute(f"SET allowed_directories = [{literal(folder)}]")
    connection.execute("SET enable_external_access = false; SET lock_configuration = true")
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    connection.execute(f"CREATE TABLE {_TABLE} ({columns})")
    for macro in _MACROS:
        connection.execute(f"CREATE MACRO {macro}")


def _rows(source: AuditSource) -> Iterator[bytes | Damage]:
    """Yield a line for each record that matters, empty for the others; and the damages."""
    try:
        with source.opened() as stream:
            for value in values(stream):
                for record in [value] if isinstance(value, Damage) else unwrapped(value):
                    made = row(record)
                    yield b"" if made is None else made if isinstance(made, Damage) else line(made)
    except OSError as error:
        yield Damage("unreadable", f"the file could not be read: {error.strerror}")
    except RotatorsError as error:
        yield Damage("unreadable", error.cause)


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=dt.UTC) if isinstance(value, dt.datetime) else value
