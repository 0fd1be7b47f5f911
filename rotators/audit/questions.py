"""The questions, as SQL that Athena and DuckDB both understand.

The table is Athena's for CloudTrail's records (Athena's User Guide, create-cloudtrail-table). The text
(`rotators.audit.statements`) is the same for both, except for the name of one type. For DuckDB, macros define
the missing functions of Athena, and expressions that all questions need are computed once
(`rotators.audit.table`). Athena has no ASOF joins, which would be shorter in places.

How the questions count:

- A secret is account, Region and name. Callers write its name, its ARN, or its ARN without the last
  characters.
- A caller is the role of a session, because each session has its own name; else the user, account or
  service.
- A BatchGetSecretValue by filters names no secret. Its reads are KMS's records of values that were decrypted
  for the same caller at the same time.
- A rotation function is a caller that stored a version of the secret as AWSPENDING. Its reads do not count
  as use.
- "Now" is the time of the newest record, so an answer about the same records stays the same.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rotators.audit import statements
from rotators.audit.errors import AuditNameInvalid
from rotators.aws.events import spellings

_ATHENA, _DUCKDB = "ARRAY(VARCHAR)", "VARCHAR[]"  # the type of lists of texts
# The characters of a secret's name (API reference, CreateSecret: /_+=.@-; names of AWS's services have !).
_NAME = re.compile(r"(arn:[a-z0-9-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:)?[A-Za-z0-9/_+=.@!-]{1,519}")
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}\Z")
_TABLE = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+){0,2}")


@dataclass(frozen=True)
class Question:
    """A question about the records.

    Attributes:
        name: name of the question.
        parts: names of the common table expressions that it needs in addition to the shared ones.
        body: the rest of the SQL.
        filled: SQL of the places in braces.
    """

    name: str
    parts: tuple[str, ...]
    body: str
    filled: Mapping[str, str] = field(default_factory=dict)

    def athena(self, table: str) -> str:
        """Return the question in the SQL of Athena.

        Args:
            table: name of the table with CloudTrail's records, such as ``cloudtrail_logs``.

        Raises:
            AuditNameInvalid: this is not the name of a table.
        """
        if not _TABLE.fullmatch(table):
            raise AuditNameInvalid(f"{table!r} is not the name of a table")
        quoted = ".".join(f'"{part}"' for part in table.split("."))
        return self._text((*statements.SHARED, *self.parts), {"table": quoted, "texts": _ATHENA}) + "\n"

    def duckdb(self) -> str:
        """Return the question in the SQL of DuckDB, for the tables of `shared`."""
        return self._text(self.parts, {})

    def _text(self, parts: Sequence[str], places: Mapping[str, str]) -> str:
        expressions = ",\n".join(f"{name} AS ({statements.EXPRESSIONS[name]})" for name in parts)
        text = f"WITH\n{expressions}{self.body}" if expressions else self.body
        return _filled(text, {**self.filled, **places})


def shared(table: str) -> Iterator[tuple[str, str]]:
    """Yield name and SQL of each table that all questions need, for DuckDB.

    Args:
        table: name of the table with CloudTrail's records.

    Yields:
        Name and SQL; each table comes after those that it uses.
    """
    for name in statements.SHARED:
        yield name, _filled(statements.EXPRESSIONS[name], {"table": table, "texts": _DUCKDB})


def _filled(text: str, places: Mapping[str, str]) -> str:
    for place, filling in places.items():
        text = text.replace(f"{{{place}}}", filling)
    return text


def who(secret: str) -> Question:
    """Return the question: who reads a secret, and who was refused?

    Args:
        secret: name or ARN.

    Raises:
        AuditNameInvalid: no secret can have this name.
    """
    return Question("who", (), statements.WHO, {"condition": _is(secret)})


def mentions(secret: str) -> Question:
    """Return the question: how many records are about a secret, including changes?

    Args:
        secret: name or ARN.

    Raises:
        AuditNameInvalid: no secret can have this name.
    """
    return Question("mentions", (), statements.MENTIONS, {"condition": _is(secret)})


def unused(period: dt.timedelta, secrets: Sequence[str]) -> Question:
    """Return the question: which secrets were read only by their rotation functions for some time?

    Args:
        period: the time.
        secrets: names or ARNs of the secrets; empty for all that the records mention and that were not
            deleted.

    Raises:
        AuditNameInvalid: no secret can have one of the names.
    """
    return Question(
        "unused",
        ("rotators", "known", *(("listed",) if secrets else ())),
        statements.UNUSED,
        {
            "secrets": statements.LISTED if secrets else statements.MENTIONED,
            "values": ", ".join(map(_listed, secrets)),
            "period": _seconds(period),
        },
    )


def previous(grace: dt.timedelta) -> Question:
    """Return the question: who reads retired versions after the grace period?

    Args:
        grace: time after a rotation in which such reads are expected.
    """
    parts = ("rotators", "promoted", "moves", "late")
    return Question("previous", parts, statements.PREVIOUS, {"grace": _seconds(grace)})


def anomalies(period: dt.timedelta) -> Question:
    """Return the question: which recent reads differ from earlier reads?

    Args:
        period: length of the recent time, before the newest record.
    """
    return Question(
        "anomalies", ("known", "recent", "hours"), statements.ANOMALIES, {"period": _seconds(period)}
    )


UNNAMED = Question("unnamed", (), statements.UNNAMED)
"""Batches with filters for which KMS has no record, so that their secrets are unknown."""

SPAN = Question("span", (), statements.SPAN)
"""The number of different events, and the time from the first to the last one."""


def literal(text: str) -> str:
    """Return a text as a literal of SQL.

    Args:
        text: any text.
    """
    return "'" + text.replace("'", "''") + "'"


def _is(secret: str) -> str:
    """Return the condition that a row is about a secret."""
    name, region, account = _parts(secret)
    if region is None or account is None:
        return f"secret = {literal(name)}"
    where = f"region = {literal(region)} AND account = {literal(account)}"
    if _SUFFIX.search(secret):  # the last characters distinguish it from another secret of the same name
        return f"{where} AND secret_id IN ({', '.join(map(literal, spellings(secret)))})"
    return f"{where} AND secret = {literal(name)}"


def _listed(secret: str) -> str:
    parts = ("CAST(NULL AS VARCHAR)" if part is None else literal(part) for part in _parts(secret))
    return f"({', '.join(parts)})"


def _parts(secret: str) -> tuple[str, str | None, str | None]:
    """Name, Region and account of a secret; the last two only if an ARN names them."""
    if not _NAME.fullmatch(secret):
        raise AuditNameInvalid(f"{secret!r} is neither a name nor an ARN of a secret")
    if not secret.startswith("arn:"):
        return secret, None, None
    _, _, _, region, account, _, name = secret.split(":")
    return _SUFFIX.sub("", name), region, account


def _seconds(period: dt.timedelta) -> str:
    return f"INTERVAL '{int(period.total_seconds())}' SECOND"
