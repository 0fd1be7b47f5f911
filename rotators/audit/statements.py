"""The SQL of the questions: common table expressions by name, and what follows them.

Words in braces are places that `rotators.audit.questions` fills. Everything else is constant.
"""

from __future__ import annotations

from rotators.aws.events import ANSWERED, KEYS, PLACES, SOURCE

BURST_LEAST = 50
BURST_FACTOR = 10
"""A burst: at least this number of reads in an hour, and this multiple of the caller's usual hour."""

_APART = "INTERVAL '5' SECOND"  # of the record of a call, and of KMS's record


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


def _same(a: str, b: str) -> str:
    """Return the condition that two rows are about one secret."""
    return " AND ".join(f"{a}.{column} = {b}.{column}" for column in ("account", "region", "secret"))


SHARED = ("records", "span", "named", "filtered", "decrypted", "reads")
"""The expressions that all questions need, each after those that it uses."""

EXPRESSIONS = {
    # Each event once. Two accounts have the same event with one sharedEventID; the record of the caller's
    # account has more facts about the caller. Network activity repeats calls through a VPC endpoint, without
    # their parameters.
    "records": f"""
    SELECT *
    FROM (
        SELECT
            coalesce(sharedeventid, eventid) AS id,
            TRY(date_parse(eventtime, '%Y-%m-%dT%H:%i:%sZ')) AS event_time,
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
        AND coalesce(eventcategory, '') <> 'NetworkActivity'
    ) AS copies
    WHERE copy = 1
""",
    "span": """
    SELECT min(event_time) AS begun, max(event_time) AS ended FROM records
""",
    "named": """
    SELECT
        id, event_time, event, principal, session, address, error, request, answered_version, secret_id,
        CASE WHEN secret_id LIKE 'arn:%' THEN split_part(secret_id, ':', 5) ELSE called_account END
            AS account,
        CASE WHEN secret_id LIKE 'arn:%' THEN split_part(secret_id, ':', 4) ELSE called_region END AS region,
        CASE
            WHEN secret_id LIKE 'arn:%'
                THEN regexp_replace(split_part(secret_id, ':', 7), '-[A-Za-z0-9]{6}$', '')
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
    # Without values that a call also named: KMS has a record of their decryption, too.
    "decrypted": f"""
    SELECT f.id, k.id AS kms_id, k.event_time, k.account, k.region, k.secret, k.secret_id, f.principal,
        f.address, json_extract_scalar(k.request, '$.encryptionContext.SecretVersionId') AS version
    FROM filtered f
    JOIN named k ON k.event = 'Decrypt' AND k.error IS NULL AND k.session = f.session
        AND k.region = f.called_region
        AND k.event_time BETWEEN f.event_time - {_APART}
            AND f.event_time + {_APART}
    LEFT JOIN named n ON n.event IN ('GetSecretValue', 'BatchGetSecretValue') AND n.session = k.session
        AND {_same("n", "k")}
        AND n.event_time BETWEEN k.event_time - {_APART}
            AND k.event_time + {_APART}
    WHERE n.id IS NULL
""",
    "reads": """
    SELECT id, event_time, account, region, secret, secret_id, principal, address, error,
        json_extract_scalar(request, '$.versionStage') AS stage,
        json_extract_scalar(request, '$.versionId') AS version
    FROM named
    WHERE event IN ('GetSecretValue', 'BatchGetSecretValue')
    UNION ALL
    SELECT kms_id, event_time, account, region, secret, secret_id, principal, min(address), NULL, NULL,
        version
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
    # The versions that became AWSCURRENT, and the times; without a version if only the service's event shows
    # it.
    "promoted": """
    SELECT account, region, secret, event_time,
        CASE event
            WHEN 'UpdateSecretVersionStage' THEN json_extract_scalar(request, '$.moveToVersionId')
            WHEN 'PutSecretValue'
                THEN coalesce(answered_version, json_extract_scalar(request, '$.clientRequestToken'))
            ELSE answered_version
        END AS version,
        json_extract_scalar(request, '$.removeFromVersionId') AS replaced,
        CASE event WHEN 'CreateSecret' THEN 0 ELSE 1 END AS place
    FROM named
    WHERE error IS NULL AND (
        event = 'RotationSucceeded'
        OR (event IN ('CreateSecret', 'UpdateSecret') AND answered_version IS NOT NULL)
        OR (event = 'PutSecretValue' AND (
            json_extract(request, '$.versionStages') IS NULL OR request LIKE '%"AWSCURRENT"%'))
        OR (event = 'UpdateSecretVersionStage'
            AND json_extract_scalar(request, '$.versionStage') = 'AWSCURRENT')
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
            lag(version) OVER (PARTITION BY account, region, secret ORDER BY event_time, place) AS earlier
        FROM promoted
        WHERE version IS NOT NULL
    ) AS sequence
    WHERE earlier <> version
""",
    "late": f"""
    SELECT r.id, r.event_time, r.account, r.region, r.secret, r.principal,
        max(m.event_time) FILTER (WHERE m.is_current = 0) AS retired
    FROM reads r
    JOIN moves m ON {_same("m", "r")} AND m.version = r.version AND m.event_time <= r.event_time
    WHERE r.error IS NULL
    GROUP BY r.id, r.event_time, r.account, r.region, r.secret, r.principal
    HAVING max(m.event_time) FILTER (WHERE m.is_current = 0) <= r.event_time - {{grace}}
        AND max(m.event_time) FILTER (WHERE m.is_current = 0)
            >= coalesce(max(m.event_time) FILTER (WHERE m.is_current = 1), TIMESTAMP '1970-01-01 00:00:00')
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
    SELECT begun, ended - {period} AS since, date_trunc('hour', ended - {period}) AS first_hour FROM span
""",
    "hours": """
    SELECT account, principal, date_trunc('hour', event_time) AS hour,
        count(*) FILTER (WHERE error IS NULL) AS reads,
        count(*) FILTER (WHERE error IS NOT NULL) AS refused
    FROM reads
    GROUP BY account, principal, date_trunc('hour', event_time)
""",
}

MENTIONED = """(
    SELECT known.account, known.region, known.secret
    FROM known
    CROSS JOIN span
    WHERE coalesce(state, '') <> 'DeleteSecret' AND (created IS NULL OR created <= span.ended - {period})
)"""

LISTED = """(
    SELECT DISTINCT coalesce(k.account, l.account) AS account, coalesce(k.region, l.region) AS region,
        l.secret
    FROM listed l
    CROSS JOIN span
    LEFT JOIN known k ON k.secret = l.secret
        AND k.account = coalesce(l.account, k.account) AND k.region = coalesce(l.region, k.region)
    WHERE k.created IS NULL OR k.created <= span.ended - {period}
)"""

UNUSED = f"""
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

PREVIOUS = f"""
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

ANOMALIES = f"""
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
JOIN recent ON h.hour >= recent.first_hour AND recent.begun < recent.since
LEFT JOIN (
    SELECT account, principal, avg(hours.reads + hours.refused) AS usual
    FROM hours
    JOIN recent ON hours.hour < recent.first_hour
    GROUP BY account, principal
) AS u ON u.account = h.account AND u.principal = h.principal
WHERE h.reads + h.refused >= {BURST_LEAST}
    AND h.reads + h.refused > {BURST_FACTOR} * coalesce(u.usual, 0)
ORDER BY event_time DESC, anomaly, principal, secret, account, region"""

WHO = """
SELECT
    account, region, principal,
    count(*) FILTER (WHERE error IS NULL) AS reads,
    count(*) FILTER (WHERE error IS NOT NULL) AS refused,
    count(DISTINCT address) AS addresses,
    min(event_time) AS first_read,
    max(event_time) AS last_read
FROM reads
WHERE {condition}
GROUP BY account, region, principal
ORDER BY reads DESC, refused DESC, principal, account, region"""

MENTIONS = """
SELECT count(*) AS records FROM named WHERE {condition}"""

UNNAMED = """
SELECT f.principal, count(*) AS calls, max(f.event_time) AS last_call
FROM filtered f
LEFT JOIN decrypted d ON d.id = f.id
WHERE d.id IS NULL
GROUP BY f.principal
ORDER BY calls DESC, f.principal"""

SPAN = """
SELECT count(*) AS events, min(event_time) AS begun, max(event_time) AS ended FROM records"""
