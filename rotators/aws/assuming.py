"""Credentials of a role that is assumed, for secrets of another account.

botocore renews them before they expire, so a warm container continues. STS is called in the function's own
Region, because requests to the global endpoint would leave the VPC.
Source: User Guide, auth-and-access_examples_cross.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import NoCredentialsError
from botocore.session import Session

if TYPE_CHECKING:
    from botocore.config import Config

_SESSION_NAME = "rotators"


class _AssumedRole(CredentialProvider):
    METHOD = "assume-role"

    def __init__(self, fetcher: AssumeRoleCredentialFetcher) -> None:
        super().__init__()
        self._fetcher = fetcher

    def load(self) -> DeferredRefreshableCredentials:
        # Deferred, so that the first call fails if the role cannot be assumed: its error explains the
        # failure.
        return DeferredRefreshableCredentials(self._fetcher.fetch_credentials, self.METHOD)


def assuming(role: str, region: str | None, config: Config) -> Session:
    """Return a session whose clients act as a role, assumed with the process's own credentials.

    Args:
        role: the role's ARN.
        region: Region of the STS endpoint; None for the configured one.
        config: limits and retries of the calls to sts.

    Returns:
        A botocore session. Its clients' first call fails as AssumeRole does, if the role cannot be assumed.

    Raises:
        NoCredentialsError: the process has no credentials.
    """
    own = Session()
    credentials = own.get_credentials()
    if credentials is None:
        raise NoCredentialsError

    sts = partial(own.create_client, region_name=region, config=config)
    fetcher = AssumeRoleCredentialFetcher(
        sts, credentials, role, extra_args={"RoleSessionName": _SESSION_NAME}
    )
    session = Session()
    session.register_component("credential_provider", CredentialResolver([_AssumedRole(fetcher)]))
    return session
