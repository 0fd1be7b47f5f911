"""Directories of AWS Directory Service, which resets the passwords of their users."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple, Self

from rotators.aws import clients
from rotators.aws.faults import translated
from rotators.core.errors import (
    IdentityMismatch,
    RotatorFailure,
    SecretFormatError,
    TargetRefused,
    TargetUnavailable,
)
from rotators.core.secret import Secret
from rotators.core.settings import Settings


class AwsDirectory(NamedTuple):
    """A directory that a secret names.

    Attributes:
        identifier: such as ``d-1234567890``.
    """

    identifier: str

    @classmethod
    def of(cls, secret: Secret, settings: Settings, servers: Collection[tuple[str, int]]) -> Self:
        """Return the directory of a secret, if DIRECTORY_HOSTS names the secret's servers.

        The function's role may reset any user of the directory. Only a login proves that who wrote the secret
        has the password, and it proves that only at a server that the stack's owner has named.

        Args:
            secret: value that names a directory.
            settings: settings of the function.
            servers: hosts and ports that the value logs into.

        Raises:
            SecretFormatError: the identifier is none.
            IdentityMismatch: DIRECTORY_HOSTS does not name one of the servers.
        """
        identifier = secret.text("directory_id")
        if not re.fullmatch("d-[0-9a-f]{10}", identifier):
            raise SecretFormatError("key 'directory_id' of the secret is no identifier such as d-1234567890")
        for host, port in servers:
            if not any(each.admits(host, port) for each in settings.directory_hosts):
                raise IdentityMismatch(
                    f"DIRECTORY_HOSTS does not name the domain controller {host}:{port}",
                    reason="not-allowed",
                    remedy="Name the directory's servers in the function's DIRECTORY_HOSTS (parameter"
                    " DirectoryHosts): a login proves a password only at a server that the stack's owner"
                    " chose.",
                )
        return cls(identifier)

    def require(self, domain: str) -> None:
        """Check that the directory is of a domain.

        Args:
            domain: DNS name of the domain in which the user has logged in, in lower case.

        Raises:
            IdentityMismatch: the directory is of another domain.
            TargetRefused, TargetUnavailable, StoreError: the API refused the call.
        """
        client = clients.directory_service()
        with translated("DescribeDirectories", self.identifier):
            try:
                described = client.describe_directories(DirectoryIds=[self.identifier])
            except client.exceptions.EntityDoesNotExistException:
                raise self._failure("EntityDoesNotExistException") from None
            name = described["DirectoryDescriptions"][0]["Name"]
        if name.lower() != domain:
            raise IdentityMismatch(
                f"{self.identifier} is the directory of {name!r}, and the user logged into {domain!r}",
                reason="directory",
                remedy="Correct host or directory_id in the secret (PutSecretValue), then rotate again.",
            )

    def reset(self, account: str, password: str) -> None:
        """Set the password of a user.

        Args:
            account: sAMAccountName.
            password: clear text.

        Raises:
            TargetRefused, TargetUnavailable, StoreError: the API refused it; nothing was changed.
        """
        client = clients.directory_service()
        with translated("ResetUserPassword", self.identifier):
            try:
                client.reset_user_password(
                    DirectoryId=self.identifier, UserName=account, NewPassword=password
                )
            except client.exceptions.ClientError as error:
                code = error.response["Error"]["Code"]
                if code not in _REFUSALS:
                    raise
                raise self._failure(code, f", user {account!r}") from None

    def _failure(self, code: str, user: str = "") -> RotatorFailure:
        kind, reason, text, remedy = _REFUSALS[code]
        return kind(f"{self.identifier}{user}: {text}", reason=reason, remedy=remedy)


_REFUSALS: dict[str, tuple[type[RotatorFailure], str, str, str]] = {
    "DirectoryUnavailableException": (
        TargetUnavailable,
        "starting",
        "the directory is not available now",
        "Wait: Secrets Manager repeats the step. Look at the directory's status.",
    ),
    "EntityDoesNotExistException": (
        TargetRefused,
        "no-directory",
        "AWS knows no such directory",
        "Correct directory_id in the secret, or set TARGET_ROLE_ARN; then rotate again.",
    ),
    "InvalidPasswordException": (
        TargetRefused,
        "quality",
        "the directory's rules for passwords refuse the password",
        "Generate passwords that pass (PASSWORD_LENGTH and the other settings of the function).",
    ),
    "UnsupportedOperationException": (
        TargetRefused,
        "statement",
        "the directory offers no reset of passwords",
        "Remove directory_id from the secret, and name an admin (masterarn) instead.",
    ),
    "UserDoesNotExistException": (
        TargetRefused,
        "no-user",
        "AWS resets no such user",
        "Correct the username. In AWS Managed Microsoft AD, only users below the OU of the domain are reset.",
    ),
}
"""Error class, reason, cause and remedy by error code of the API."""
