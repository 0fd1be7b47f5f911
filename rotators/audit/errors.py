"""Errors of the questions about CloudTrail's records."""

from __future__ import annotations

from rotators.core.errors import InvalidInput, RotatorsError


class AuditLibraryMissing(InvalidInput):
    """The library that answers the questions is not installed; no record was read."""

    code = "audit-library-missing"
    remedy = "Install it: `pip install 'rotators[audit]'`; or print the question for Athena with --athena."


class AuditNameInvalid(InvalidInput):
    """A text cannot be the name or ARN of a secret, or the name of a table; no record was read."""

    code = "audit-name-invalid"
    remedy = "Give a name or an ARN of a secret, and a table as `database.table`."


class SourceUnreadable(InvalidInput):
    """A file, folder or bucket with records does not exist or may not be read; nothing was answered."""

    code = "source-unreadable"
    remedy = (
        "Give a file, a folder or s3://BUCKET/PREFIX. A bucket needs s3:ListBucket and s3:GetObject, and "
        "kms:Decrypt on its key if it has one."
    )


class NoRecords(InvalidInput):
    """None of the files has a record of CloudTrail; nothing was answered."""

    code = "no-records"
    remedy = "Give log files of a trail, or the saved output of `aws cloudtrail lookup-events --output json`."


class AuditFailed(RotatorsError):
    """DuckDB could not keep the records or answer the question."""

    code = "audit-failed"
    remedy = "Free disk space for temporary files, or name a larger folder with TMPDIR; or give fewer files."
