"""Clients of the local AWS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from botocore.config import Config
from botocore.session import Session

from rotators.local.options import ACCOUNT

_DEVELOPER = {"AccessKeyId": "local", "SecretAccessKey": "local"}


class Clients:
    """Makes clients of one local AWS, independent of the environment.

    Args:
        endpoint: Returns the URL of the local AWS.
    """

    def __init__(self, endpoint: Callable[[], str]) -> None:
        self._endpoint = endpoint
        self._lock = threading.RLock()
        self._kept: dict[tuple[str, str, str], Any] = {}

    def new(self, service: str, region: str, credentials: Mapping[str, Any] = _DEVELOPER) -> Any:
        """Make a client.

        Args:
            service: Name of the service in botocore.
            region: Region of the client.
            credentials: ``Credentials`` of an AssumeRole answer; by default those of a developer.

        Returns:
            The client.
        """
        return Session().create_client(
            service,
            region_name=region,
            endpoint_url=self._endpoint(),
            config=Config(proxies={}),  # a proxy would see values
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials.get("SessionToken"),
        )

    def of_account(self, service: str, region: str, account: str = ACCOUNT) -> Any:
        """Get a client that acts in an account; the same one for the same arguments.

        Args:
            service: Name of the service in botocore.
            region: Region of the client.
            account: Account whose resources it uses; in another one by a role that it assumes there.

        Returns:
            The client.
        """
        wanted = (service, region, account)
        with self._lock:
            if wanted not in self._kept:
                self._kept[wanted] = self.new(service, region, self._credentials(region, account))
            return self._kept[wanted]

    def _credentials(self, region: str, account: str) -> Mapping[str, Any]:
        if account == ACCOUNT:
            return _DEVELOPER
        role = f"arn:aws:iam::{account}:role/rotators-local"
        found = self.of_account("sts", region).assume_role(RoleArn=role, RoleSessionName="local")
        return dict(found["Credentials"])
