"""Directories of the local AWS with a real domain controller behind them."""

from __future__ import annotations

from typing import Any

from rotators.local.aws import LocalAws
from rotators.local.options import ACCOUNT
from rotators.local.servers.activedirectory import DOMAIN, ActiveDirectoryServer
from tests.world import new_password, unique


def create_directory(aws: LocalAws, server: ActiveDirectoryServer, name: str = DOMAIN) -> str:
    """Create a directory of a domain, whose passwords the server has; return its ARN."""
    aws.directories[name] = server
    subnets = aws.client("ec2").describe_subnets()["Subnets"][:2]
    settings = {"VpcId": subnets[0]["VpcId"], "SubnetIds": [each["SubnetId"] for each in subnets]}
    client: Any = aws.client("ds")
    created = client.create_microsoft_ad(Name=name, Password="Local-123-directory", VpcSettings=settings)
    return f"arn:aws:ds:{client.meta.region_name}:{ACCOUNT}:directory/{created['DirectoryId']}"


def directory_user(server: ActiveDirectoryServer, arn: str) -> dict[str, Any]:
    """Create a user, and return the value of a secret whose password the directory resets."""
    name, password = unique("app"), new_password()
    server.create_user(name, password)
    return server.secret(name, password, directory_id=arn.rpartition("/")[2])
