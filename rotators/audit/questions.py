"""The questions, as SQL that Athena and DuckDB both understand.

The table is Athena's for CloudTrail's records (Athena's User Guide, create-cloudtrail-table). The text is the
same for both, except for the name of one type. DuckDB gets the functions of Athena that it lacks as macros
(`rotators.audit.table`). An ASOF join would be shorter in places, but Athena has none.

How the questions count:

- A secret is account, Region and name. Callers write its name, its ARN, or its ARN without the last characters.
- A caller is the role of a session, because each session has a name of its own; else the user, account or
  service.
- A BatchGetSecretValue by filters names no secret. Its reads are KMS's records of values that were decrypted
  for the same caller at the same time.
- A rotation function is a caller that stored a version of the secret as AWSPENDING. Its reads are no use.
- "Now" is the time of the newest record, so an answer about the same records stays the same.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rotators.audit.errors import AuditNameInvalid
from rotators.aws.events import ANSWERED, KEYS, PLACES, SOURCE, spellings

ATHENA = "ARRAY(VARCHAR)"
DUCKDB = "VARCHAR[]"
"""The names of the type of lists of texts."""

BURST_LEAST = 50
BURST_FACTOR = 10
"""A burst: at least so many reads in an hour, and more than this many times the caller's usual hour."""

_SECONDS_APART = 5  # of the record of a call, and of KMS's record
# The characters of a secret's name (API reference, CreateSecret: /_+=.@-; names of AWS's services have !).
_NAME = re.compile(r"(arn:[a-z0-9-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:)?[A-Za-z0-9/_+=.@!-]{1,519}")
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}\Z")
_TABLE = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+){0,2}")


@dataclass(frozen=True)
class Question:
    """A question about the records.

    Attributes:
        name: of the question.
        parts: names of the common table expressions that it needs besides those of all questions.
        body: the rest of the SQL.
        filled: SQL of the places in braces.
    """

    name: str
    parts: tuple[str, ...]
    body: str
    filled: Mapping[str, str] = field(default_factory=dict)

    def sql(self, table: str, texts: str) -> str:
        """Return the SQL.

        Args:
            table: name of the table with the records.
            texts: the type of lists of texts, `ATHENA` or `DUCKDB`.

        Raises:
            AuditNameInvalid: this is no name of a table.
        """
        if not _TABLE.fullmatch(table):
            raise AuditNameInvalid(f"{table!r} is no name of a table")
        quoted = ".".join(f'"{part}"' for part in table.split("."))
        parts = [f"{name} AS ({_PARTS[name]})" for name in (*_ALWAYS, *self.parts)]
        text = "WITH\n" + ",\n".join(parts) + self.body + "\n"
        for place, filling in {**self.filled, "table": quoted, "texts": texts}.items():
            text = text.replace(f"{{{place}}}", filling)
        return text


def who(secret: str) -> Question:
    """Return the question who reads a secret, and who was refused.

    Args:
        secret: name or ARN.

    Raises:
        AuditNameInvalid: no secret can have this name.
    """
    return Question(
        "who",
        (),
        f"""
SELECT
    account, region, principal,
    count(*) FILTER (WHERE error IS NULL) AS reads,
    count(*) FILTER (WHERE error IS NOT NULL) AS refused,
    count(DISTINCT address) AS addresses,
    min(event_time) AS first_read,
    max(event_time) AS last_read
FROM reads
WHERE {_is(secret)}
GROUP BY account, region, principal
ORDER BY reads DESC, refused DESC, principal, account, region""",
    )


def mentions(secret: str) -> Question:
    """Return the question how many records are about a secret, changes included.

    Args:
        secret: name or ARN.

    Raises:
        AuditNameInvalid: no secret can have this name.
    """
    return Question("mentions", (), f"\nSELECT count(*) AS records FROM named WHERE {_is(secret)}")


def unused(period: dt.timedelta, secrets: Sequence[str]) -> Question:
    """Return the question which secrets nobody but their rotation functions has read for a time.

    Args:
        period: the time.
        secrets: names or ARNs of the secrets that are meant; empty for those that the records mention and that
            were not deleted.

    Raises:
        AuditNameInvalid: no secret can have one of the names.
    """
    return Question(
        "unused",
        ("rotators", "known", *(("listed",) if secrets else ())),
        _UNUSED,
        {
            "secrets": _LISTED if secrets else _MENTIONED,
            "values": ", ".join(map(_listed, secrets)),
            "period": _seconds(period),
        },
    )


def previous(grace: dt.timedelta) -> Question:
    """Return the question who reads retired versions after the grace period.

    Args:
        grace: time after a rotation in which such reads are expected.
    """
    parts = ("rotators", "promoted", "moves", "late")
    return Question("previous", parts, _PREVIOUS, {"grace": _seconds(grace)})


def anomalies(period: dt.timedelta) -> Question:
    """Return the question which reads of the last time are unlike those before.

    Args:
        period: the last time.
    """
    return Question("anomalies", ("known", "recent", "hours"), _ANOMALIES, {"period": _seconds(period)})


UNNAMED = Question(
    "unnamed",
    (),
    """
SELECT f.principal, count(*) AS calls, max(f.event_time) AS last_call
FROM filtered f
LEFT JOIN decrypted d ON d.id = f.id
WHERE d.id IS NULL
GROUP BY f.principal
ORDER BY calls DESC, f.principal""",
)
"""Batches by filters for which KMS has no record, so that their secrets are unknown."""

SPAN = Question(
    "span",
    (),
    "\nSELECT count(*) AS events, min(event_time) AS begun, max(event_time) AS ended FROM records",
)
"""The number of different events, and the time from the first to the last one."""


def literal(text: str) -> str:
    """Return a text as a literal of SQL.

    Args:
        text: any text.
    """
    return "'" + text.replace("'", "''") + "'"


def _is(secret: str) -> str:
    """The condition that a row is about a secret."""
    name, region, account = _parts(secret)
    if region is None or account is None:
        return f"secret = {literal(name)}"
    where = f"region = {literal(region)} AND account = {literal(account)}"
    if _SUFFIX.search(secret):  # another secret of the same name has other last characters
        return f"{where} AND secret_id IN ({', '.join(map(literal, spellings(secret)))})"
    return f"{where} AND secret = {literal(name)}"


def _listed(secret: str) -> str:
    return f"({', '.join('CAST(NULL AS VARCHAR)' if part is None else literal(part) for part in _parts(secret))})"


def _parts(secret: str) -> tuple[str, str | None, str | None]:
    """Name, Region and account of a secret; the last two only if an ARN names them."""
    if not _NAME.fullmatch(secret):
        raise AuditNameInvalid(f"{secret!r} is no name and no ARN of a secret")
    if not secret.startswith("arn:"):
        return secret, None, None
    _, _, _, region, account, _, name = secret.split(":")
    return _SUFFIX.sub("", name), region, account


def _seconds(period: dt.timedelta) -> str:
    return f"INTERVAL '{int(period.total_seconds())}' SECOND"


def _texts_of(column: str, *paths: str) -> list[str]:
    return [f"json_extract_scalar({column}, '$.{path}')" for path in paths]


_NAMES = ", ".join(
    [
        *_texts_of("responseelements", *ANSWERED),
        *(each for place in PLACES for each in _texts_of(place.lower(), *KEYS)),
        *_texts_of("requestparameters", "encryptionContext.SecretARN"),
    ]
)
"""Where records name their secret, in the order of `rotators.aws.events.secrets_in`."""

_SAME = "{a}.account = {b}.account AND {a}.region = {b}.region AND {a}.secret = {b}.secret"


def _same(a: str, b: str) -> str:
    """The condition that two rows are about one secret."""
    return _SAME.replace("{a}", a).replace("{b}", b)


_ALWAYS = ("records", "span", "named", "filtered", "decrypted", "reads")

_PARTS = {
    # Each event once. Two accounts have the same event with one sharedEventID; the caller's account knows more
    # of the caller. Network activity repeats calls through an endpoint, except those that the endpoint refused.
    "records": f"""
    SELECT *
    FROM (
        SELECT
            coalesce(sharedeventid, eventid) AS id,
            TRY(date_parse(eventtime, '%Y-%m-%dT%H:%i:%sZ')) AS event_time,
            eventsource AS source,
            eventname AS event,
            awsregion AS called_region,
            coalesce(recipientaccountid, useridentity.accountid) AS called_account,
            coalesce(
                useridentity.sessioncontext.sessionissuer.arn, useridentity.arn, useridentity.invokedby,
                useridentity.principalid, useridentity.accountid, 'unknown'
            ) AS principal,
            coalesce(useridentity.arn, useridentity.principalid) AS session,
            sourceipaddress AS address,
            errorcode AS error,
            requestparameters AS request,
            json_extract_scalar(responseelements, '$.versionId') AS answered_version,
            coalesce({_NAMES}) AS one_secret,
            TRY_CAST(json_extract(requestparameters, '$.secretIdList') AS {{texts}}) AS many_secrets,
            row_number() OVER (
                PARTITION BY coalesce(sharedeventid, eventid)
                ORDER BY CASE WHEN useridentity.arn IS NULL THEN 1 ELSE 0 END, eventid
            ) AS copy
        FROM {{table}}
        WHERE (
            eventsource = '{SOURCE}'
            OR (eventsource = 'kms.amazonaws.com' AND eventname = 'Decrypt'
                AND json_extract_scalar(requestparameters, '$.encryptionContext.SecretARN') IS NOT NULL)
        )
        AND (eventcategory IS NULL OR eventcategory <> 'NetworkActivity' OR errorcode = 'VpceAccessDenied')
    ) AS copies
    WHERE copy = 1
""",
    "span": """
    SELECT min(event_time) AS begun, max(event_time) AS ended FROM records
""",
    "named": """
    SELECT
        id, event_time, source, event, principal, session, address, error, request, answered_version, secret_id,
        CASE WHEN secret_id LIKE 'arn:%' THEN split_part(secret_id, ':', 5) ELSE called_account END AS account,
        CASE WHEN secret_id LIKE 'arn:%' THEN split_part(secret_id, ':', 4) ELSE called_region END AS region,
        CASE
            WHEN secret_id LIKE 'arn:%' THEN regexp_replace(split_part(secret_id, ':', 7), '-[A-Za-z0-9]{6}$', '')
            ELSE secret_id
        END AS secret
    FROM records
    CROSS JOIN UNNEST(coalesce(many_secrets, ARRAY[one_secret])) AS secrets (secret_id)
    WHERE secret_id IS NOT NULL
""",
    "filtered": """
    SELECT id, event_time, called_region, principal, session, address
    FROM records
    WHERE event = 'BatchGetSecretValue' AND error IS NULL AND many_secrets IS NULL
""",
    # No value that a call named as well: KMS has a record of its decryption, too.
    "decrypted": f"""
    SELECT f.id, k.id AS kms_id, k.event_time, k.account, k.region, k.secret, k.secret_id, f.principal, f.address,
        json_extract_scalar(k.request, '$.encryptionContext.SecretVersionId') AS version
    FROM filtered f
    JOIN named k ON k.event = 'Decrypt' AND k.error IS NULL AND k.session = f.session
        AND k.region = f.called_region
        AND k.event_time BETWEEN f.event_time - INTERVAL '{_SECONDS_APART}' SECOND
            AND f.event_time + INTERVAL '{_SECONDS_APART}' SECOND
    LEFT JOIN named n ON n.event IN ('GetSecretValue', 'BatchGetSecretValue') AND n.session = k.session
        AND {_same("n", "k")}
        AND n.event_time BETWEEN k.event_time - INTERVAL '{_SECONDS_APART}' SECOND
            AND k.event_time + INTERVAL '{_SECONDS_APART}' SECOND
    WHERE n.id IS NULL
""",
    "reads": """
    SELECT id, event_time, account, region, secret, secret_id, principal, address, error,
        json_extract_scalar(request, '$.versionStage') AS stage,
        json_extract_scalar(request, '$.versionId') AS version
    FROM named
    WHERE event IN ('GetSecretValue', 'BatchGetSecretValue')
    UNION ALL
    SELECT kms_id, event_time, account, region, secret, secret_id, principal, min(address), NULL, NULL, version
    FROM decrypted
    GROUP BY kms_id, event_time, account, region, secret, secret_id, principal, version
""",
    "rotators": """
    SELECT DISTINCT account, region, secret, principal
    FROM named
    WHERE event = 'PutSecretValue' AND error IS NULL AND request LIKE '%"AWSPENDING"%'
""",
    "known": """
    SELECT account, region, secret,
        max(event_time) FILTER (WHERE event = 'CreateSecret') AS created,
        max_by(event, event_time) FILTER (
            WHERE event IN ('CreateSecret', 'DeleteSecret', 'RestoreSecret')
        ) AS state
    FROM named
    WHERE error IS NULL
    GROUP BY account, region, secret
""",
    "listed": """
    SELECT * FROM (VALUES {values}) AS given (secret, region, account)
""",
    # What became AWSCURRENT, and when; without a version if only the service's event tells it.
    "promoted": """
    SELECT account, region, secret, event_time,
        CASE event
            WHEN 'UpdateSecretVersionStage' THEN json_extract_scalar(request, '$.moveToVersionId')
            WHEN 'PutSecretValue'
                THEN coalesce(answered_version, json_extract_scalar(request, '$.clientRequestToken'))
            ELSE answered_version
        END AS version,
        json_extract_scalar(request, '$.removeFromVersionId') AS replaced
    FROM named
    WHERE error IS NULL AND (
        event = 'RotationSucceeded'
        OR (event IN ('CreateSecret', 'UpdateSecret') AND answered_version IS NOT NULL)
        OR (event = 'PutSecretValue' AND (
            json_extract(request, '$.versionStages') IS NULL OR request LIKE '%"AWSCURRENT"%'))
        OR (event = 'UpdateSecretVersionStage' AND json_extract_scalar(request, '$.versionStage') = 'AWSCURRENT')
    )
""",
    "moves": """
    SELECT account, region, secret, version, event_time, 1 AS is_current
    FROM promoted
    WHERE version IS NOT NULL
    UNION ALL
    SELECT account, region, secret, replaced, event_time, 0
    FROM promoted
    WHERE replaced IS NOT NULL
    UNION ALL
    SELECT account, region, secret, earlier, event_time, 0
    FROM (
        SELECT account, region, secret, version, event_time,
            lag(version) OVER (PARTITION BY account, region, secret ORDER BY event_time) AS earlier
        FROM promoted
        WHERE version IS NOT NULL
    ) AS sequence
    WHERE earlier <> version
""",
    "late": f"""
    SELECT r.id, r.event_time, r.account, r.region, r.secret, r.principal, max(m.event_time) AS retired
    FROM reads r
    JOIN moves m ON {_same("m", "r")} AND m.version = r.version AND m.event_time <= r.event_time
    WHERE r.error IS NULL
    GROUP BY r.id, r.event_time, r.account, r.region, r.secret, r.principal
    HAVING max_by(m.is_current, m.event_time) = 0 AND max(m.event_time) <= r.event_time - {{grace}}
    UNION ALL
    SELECT r.id, r.event_time, r.account, r.region, r.secret, r.principal, max(p.event_time)
    FROM reads r
    CROSS JOIN span
    LEFT JOIN promoted p ON {_same("p", "r")} AND p.event_time <= r.event_time
    WHERE r.error IS NULL AND r.stage = 'AWSPREVIOUS'
    GROUP BY r.id, r.event_time, r.account, r.region, r.secret, r.principal, span.begun
    HAVING coalesce(max(p.event_time), span.begun) <= r.event_time - {{grace}}
""",
    "recent": """
    SELECT begun, ended - {period} AS since FROM span
""",
    "hours": """
    SELECT account, principal, date_trunc('hour', event_time) AS hour,
        count(*) FILTER (WHERE error IS NULL) AS reads,
        count(*) FILTER (WHERE error IS NOT NULL) AS refused
    FROM reads
    GROUP BY account, principal, date_trunc('hour', event_time)
""",
}

_MENTIONED = """(
    SELECT known.account, known.region, known.secret
    FROM known
    CROSS JOIN span
    WHERE coalesce(state, '') <> 'DeleteSecret' AND (created IS NULL OR created <= span.ended - {period})
)"""

_LISTED = """(
    SELECT coalesce(k.account, l.account) AS account, coalesce(k.region, l.region) AS region, l.secret
    FROM listed l
    CROSS JOIN span
    LEFT JOIN known k ON k.secret = l.secret
        AND k.account = coalesce(l.account, k.account) AND k.region = coalesce(l.region, k.region)
    WHERE k.created IS NULL OR k.created <= span.ended - {period}
)"""

_UNUSED = f"""
SELECT s.account, s.region, s.secret,
    max(r.event_time) FILTER (WHERE o.principal IS NULL) AS last_read,
    count(o.principal) AS reads_by_rotation
FROM {{secrets}} AS s
CROSS JOIN span
LEFT JOIN reads r ON {_same("r", "s")} AND r.error IS NULL
LEFT JOIN rotators o ON {_same("o", "r")} AND o.principal = r.principal
GROUP BY s.account, s.region, s.secret, span.ended
HAVING coalesce(max(r.event_time) FILTER (WHERE o.principal IS NULL), TIMESTAMP '1970-01-01 00:00:00')
    <= span.ended - {{period}}
ORDER BY last_read NULLS FIRST, s.secret, s.account, s.region"""

_PREVIOUS = f"""
SELECT l.account, l.region, l.secret, l.principal,
    count(DISTINCT l.id) AS reads,
    min(l.event_time) AS first_read,
    max(l.event_time) AS last_read,
    max(l.retired) AS retired
FROM late l
LEFT JOIN rotators o ON {_same("o", "l")} AND o.principal = l.principal
WHERE o.principal IS NULL
GROUP BY l.account, l.region, l.secret, l.principal
ORDER BY reads DESC, l.secret, l.principal, l.account, l.region"""

_ANOMALIES = f"""
SELECT 'first-time reader' AS anomaly, f.event_time, f.account, f.region, f.secret, f.principal, f.reads,
    f.refused, NULL AS usual
FROM (
    SELECT account, region, secret, principal,
        min(event_time) AS event_time,
        count(*) FILTER (WHERE error IS NULL) AS reads,
        count(*) FILTER (WHERE error IS NOT NULL) AS refused
    FROM reads
    GROUP BY account, region, secret, principal
) AS f
JOIN recent ON f.event_time >= recent.since AND recent.begun < recent.since
LEFT JOIN known k ON {_same("k", "f")} AND k.created >= recent.since
WHERE k.secret IS NULL
UNION ALL
SELECT 'new Region', f.event_time, f.account, f.region, NULL, f.principal, f.reads, f.refused, NULL
FROM (
    SELECT account, region, principal,
        min(event_time) AS event_time,
        count(*) FILTER (WHERE error IS NULL) AS reads,
        count(*) FILTER (WHERE error IS NOT NULL) AS refused
    FROM reads
    GROUP BY account, region, principal
) AS f
JOIN recent ON f.event_time >= recent.since
JOIN (
    SELECT account, principal, min(event_time) AS begun FROM reads GROUP BY account, principal
) AS e ON e.account = f.account AND e.principal = f.principal AND e.begun < recent.since
UNION ALL
SELECT 'burst', h.hour, h.account, NULL, NULL, h.principal, h.reads, h.refused, u.usual
FROM hours h
JOIN recent ON h.hour >= recent.since AND recent.begun < recent.since
LEFT JOIN (
    SELECT account, principal, avg(hours.reads + hours.refused) AS usual
    FROM hours
    JOIN recent ON hours.hour < recent.since
    GROUP BY account, principal
) AS u ON u.account = h.account AND u.principal = h.principal
WHERE h.reads + h.refused >= {BURST_LEAST}
    AND h.reads + h.refused > {BURST_FACTOR} * coalesce(u.usual, 0)
ORDER BY event_time DESC, anomaly, principal, secret, account, region"""
