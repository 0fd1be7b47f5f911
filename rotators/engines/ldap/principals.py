"""Names of users of Active Directory, and its demand for TLS; checked without a login."""

from __future__ import annotations

from rotators.core.errors import SecretFormatError
from rotators.core.secret import Secret
from rotators.logins.connecting import wants_tls


def login_name(secret: Secret) -> str:
    """Return the user principal name with which a value logs in.

    Args:
        secret: value.

    Raises:
        SecretFormatError: ``username`` has no domain, and there is no ``domain``; or it has blanks at an end.
    """
    user = secret.text("username")
    if user != user.strip():
        # The server ignores the blanks: it would be a second spelling of a user.
        raise SecretFormatError("key 'username' of the secret begins or ends with blanks")
    if "domain" in secret and not set(user) & set("@\\,="):
        return f"{user}@{secret.text('domain')}"
    if "@" not in user.strip("@"):
        raise SecretFormatError(
            "key 'username' of the secret must be a user principal name, such as app@example.org",
            remedy="Append the domain to username, or store it as domain (PutSecretValue), then rotate.",
        )
    return user


def require_tls(secret: Secret) -> None:
    """Check that a value uses TLS.

    Args:
        secret: value.

    Raises:
        SecretFormatError: ``ssl`` is false.
    """
    if not wants_tls(secret):
        raise SecretFormatError(
            "key 'ssl' of the secret: passwords of Active Directory are sent over TLS only",
            remedy='Remove "ssl": false from the secret; for port 389, store "start_tls": true.',
        )
