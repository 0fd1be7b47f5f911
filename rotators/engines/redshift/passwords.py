"""Passwords of Amazon Redshift: rules, and the forms in which they are sent.

Sources: Amazon Redshift Database Developer Guide, CREATE USER (rules, md5 and sha256 hashes), ALTER USER.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from dataclasses import dataclass, replace
from enum import StrEnum

from rotators.core.errors import ConfigurationError, SecretFormatError, TargetRefused
from rotators.core.passwords import PasswordRules
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.logins.scram import md5_verifier
from rotators.strategies.credential import Password

_RULES = PasswordRules(shortest=8, longest=64, forbidden="'\"\\/@")
_CLASSES = (string.ascii_uppercase, string.ascii_lowercase, string.digits)
_ALLOWED = frozenset(map(chr, range(33, 127))) - set(_RULES.forbidden)


class HashForm(StrEnum):
    """Form of a new password."""

    MD5 = "md5"
    SHA256 = "sha256"


def form_of(secret: Secret) -> HashForm:
    """Return the form in the secret's key ``password_hash``.

    Args:
        secret: value of a secret.

    Raises:
        SecretFormatError: the key names no form.
    """
    named = secret.text("password_hash", HashForm.MD5)
    if named not in set(HashForm):
        raise SecretFormatError("key 'password_hash' of the secret must be 'md5' or 'sha256'")
    return HashForm(named)


@dataclass(frozen=True)
class HashedPassword(Password):
    """A password by Redshift's rules, stored in the form that the secret names."""

    rules: PasswordRules = _RULES

    def of(self, secret: Secret) -> str:
        """See CredentialType.of."""
        form_of(secret)
        return super().of(secret)

    def new(self, settings: Settings, current: Secret | None = None) -> dict[str, object]:
        """See CredentialType.new."""
        strict = replace(settings, password=replace(settings.password, require_each=True))
        made = super().new(strict, current)
        if not follows_rules(str(made[self.key])):
            raise ConfigurationError(
                "the EXCLUDE_… variables leave out upper-case letters, lower-case letters or digits, which "
                "Redshift demands"
            )
        return made


def follows_rules(password: str) -> bool:
    """Return True if the server would accept a password in clear text.

    Args:
        password: in clear text.
    """
    used = set(password)
    return (
        _RULES.shortest <= len(password) <= _RULES.longest
        and used <= _ALLOWED
        and all(used & set(each) for each in _CLASSES)
    )


def stored_form(form: str, user: str, password: str) -> str:
    """Return the hash for ALTER USER.

    Args:
        form: form of the hash.
        user: user of the password; part of an md5 hash.
        password: in clear text.

    Raises:
        TargetRefused: the password breaks the server's rules, which the server cannot check in a hash.
    """
    if not follows_rules(password):
        raise TargetRefused(
            f"the new password of user {user!r} breaks Redshift's rules",
            reason="validation",
            remedy="Use 8 to 64 printable ASCII characters without blank, quotation marks, \\, / and @, "
            "among them an upper-case letter, a lower-case letter and a digit.",
        )
    if form == HashForm.MD5:
        return md5_verifier(user, password)
    salt = secrets.token_bytes(32)
    return f"sha256|{hashlib.sha256(password.encode() + salt).hexdigest()}|{salt.hex()}"
