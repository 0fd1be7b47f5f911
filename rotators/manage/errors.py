"""Errors of the management of many secrets."""

from __future__ import annotations

from rotators.core.errors import InvalidInput


class SelectorInvalid(InvalidInput):
    """A condition of the selector cannot be read; nothing was listed or changed."""

    code = "selector-invalid"
    remedy = "Correct the condition; docs/how-to/managing.md describes each of them."


class NothingSelected(InvalidInput):
    """No secret of this account and Region meets the conditions."""

    code = "nothing-selected"
    remedy = "Run `rotators list` without conditions, and check the account, the Region and the spelling."


class SecretsUnreadable(InvalidInput):
    """The caller may not read some of the secrets that a command is about; nothing was changed or written."""

    code = "secrets-unreadable"
    remedy = (
        "Correct the causes that the codes in brackets name, such as a permission or SEALING_KEYS; "
        "or do not select these secrets."
    )


class RenameRefused(InvalidInput):
    """A secret cannot be given this name now; what was copied before stays, and nothing was lost."""

    code = "rename-refused"
    remedy = "Choose another name."


class FileUnreadable(InvalidInput):
    """A file of secrets is not of the format that was named; nothing was stored."""

    code = "file-unreadable"
    remedy = "Name its format with --format, or write it again with `rotators export`."


class RecordInvalid(InvalidInput):
    """A line has an audit record that cannot be read; the records of the other lines were printed."""

    code = "record-invalid"
    remedy = (
        "Examine the lines: one may be incomplete because the disk was full, or another program may "
        "have changed it."
    )


class FormatUnsuited(InvalidInput):
    """A format cannot express these secrets; nothing was written or stored."""

    code = "format-unsuited"
    remedy = "Use json or yaml for many secrets."


class WouldOverwrite(InvalidInput):
    """An import would replace values that exist; nothing was stored."""

    code = "would-overwrite"
    remedy = "Read the list, then repeat the command with --overwrite."


class TerminalRefused(InvalidInput):
    """Values would be printed on a terminal; nothing was read."""

    code = "terminal-refused"
    remedy = "Write them to a file (-o FILE) or into a pipe, or use --show."


class EnvironmentUnsuited(InvalidInput):
    """A secret cannot become environment variables; the program was not started."""

    code = "environment-unsuited"
    remedy = "Map the members that the program needs with --map VARIABLE=MEMBER."


class ProgramNotStarted(InvalidInput):
    """The program of `rotators exec` could not be started."""

    code = "program-not-started"
    remedy = "Check the program's name and PATH."


class PolicyInvalid(InvalidInput):
    """A policy file cannot be read; no secret was checked."""

    code = "policy-invalid"
    remedy = "Correct the line; docs/how-to/managing.md describes the file."


class AccessUnknown(InvalidInput):
    """The policies of users and roles may not be read, so nothing can be said about access."""

    code = "access-unknown"
    remedy = (
        'Attach a policy to the caller with {"Effect": "Allow", "Action": '
        '"iam:GetAccountAuthorizationDetails", "Resource": "*"}.'
    )


class PrincipalNotFound(InvalidInput):
    """The account has no user or role of this name."""

    code = "principal-not-found"
    remedy = "Give role/NAME, user/NAME or the ARN; check the account."


class SuggestionRefused(InvalidInput):
    """No policy that works can be suggested for these secrets; nothing was changed."""

    code = "suggestion-refused"
    remedy = "Read the cause."


class KeyCannotRotate(InvalidInput):
    """KMS cannot rotate this key, or not as asked; nothing was changed."""

    code = "key-cannot-rotate"
    remedy = "Read the cause."


class KeyCannotBeCreated(InvalidInput):
    """The key that is asked for cannot be created; nothing was changed."""

    code = "key-cannot-be-created"
    remedy = "Read the cause."


class KeyCannotServe(InvalidInput):
    """Secrets cannot be moved from or to this KMS key; nothing was changed."""

    code = "key-cannot-serve"
    remedy = "Name another key; `rotators key list` lists them."


class KeyChangeRefused(InvalidInput):
    """A secret cannot be moved to the other key now; it is as it was, and the other secrets are moved."""

    code = "key-change-refused"
    remedy = "Read the cause, then repeat the command."


class KeyChangeIncomplete(InvalidInput):
    """Versions of a secret were not encrypted again; no value is lost as long as the old key is kept."""

    code = "key-change-incomplete"
    remedy = (
        "Keep the old key. Check kms:Encrypt on the new key and kms:Decrypt on the old one for the caller, "
        "and that both are enabled; then repeat the command."
    )
