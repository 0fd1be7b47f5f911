"""Clients are created once, at their first use, follow the environment, and do not hang."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError

from rotators import __version__
from rotators.aws import clients
from rotators.core.errors import ConfigurationError
from rotators.local.service_models import shared_service_models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def config(client: Any) -> Any:
    """The client's resolved settings, which botocore's stubs do not declare."""
    return client.meta.config


@pytest.fixture(scope="module", autouse=True)
def service_models() -> Iterator[None]:
    """Read the models of the services once, because each new client has its own session."""
    with shared_service_models():
        yield


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only a Region; no other settings of the developer."""
    for name in (
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        "SECRETS_MANAGER_ENDPOINT",
        "AWS_DEFAULT_REGION",
        "AWS_PROFILE",
        "AWS_RETRY_MODE",
        "AWS_MAX_ATTEMPTS",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


@pytest.mark.processes
def test_importing_does_not_import_boto3() -> None:
    code = "import sys, rotators.aws.clients; sys.exit('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_client_is_reused() -> None:
    assert clients.secrets_manager() is clients.secrets_manager()
    assert clients.rds() is clients.rds()
    assert clients.rds().meta.service_model.service_name == "rds"


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_comes_from_either_variable(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = clients.secrets_manager()
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv(variable, "ap-south-1")
    assert clients.secrets_manager() is not before
    assert clients.secrets_manager().meta.region_name == "ap-south-1"


@pytest.mark.parametrize(
    "variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "SECRETS_MANAGER_ENDPOINT"]
)
def test_each_endpoint_variable_is_honoured_and_followed(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in ("http://127.0.0.1:5001", "http://127.0.0.1:5002"):
        monkeypatch.setenv(variable, url)
        assert clients.secrets_manager().meta.endpoint_url == url
    assert ("5002" in clients.rds().meta.endpoint_url) == (variable == "AWS_ENDPOINT_URL")


def test_an_empty_endpoint_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRETS_MANAGER_ENDPOINT", "")
    assert clients.secrets_manager().meta.endpoint_url == "https://secretsmanager.eu-west-1.amazonaws.com"


def test_a_silent_endpoint_times_out() -> None:
    settings = config(clients.secrets_manager())
    assert (settings.connect_timeout, settings.read_timeout) == (5, 10)
    assert settings.retries == {"mode": "standard", "total_max_attempts": 5}
    assert f"rotators/{__version__}" in settings.user_agent


@pytest.mark.parametrize(("client", "attempts"), [(clients.secrets_lister, 5), (clients.kms, 2)])
def test_patience_is_for_throttling_only(
    client: Callable[[], Any], attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that waits minutes for its share of a quota does not wait so for an endpoint."""
    pauses: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=pauses.append))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    made = client()
    with pytest.raises(EndpointConnectionError):
        made.describe_key(KeyId="x") if client is clients.kms else made.list_secrets()
    assert len(pauses) + 1 == attempts


def test_the_user_s_retry_settings_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_RETRY_MODE", "adaptive")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    assert config(clients.secrets_manager()).retries == {"mode": "adaptive", "total_max_attempts": 2}


def test_a_profile_decides_like_everywhere_in_boto3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile mine]\nregion = sa-east-1\nmax_attempts = 7\n")
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    client = clients.secrets_manager()
    assert client.meta.region_name == "sa-east-1"
    assert config(client).retries["total_max_attempts"] == 7


@pytest.mark.parametrize(
    ("variable", "text"),
    [("AWS_REGION", ""), ("AWS_PROFILE", "no-such"), ("SECRETS_MANAGER_ENDPOINT", "no-url")],
)
def test_an_unusable_setting_is_a_configuration_error(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigurationError, match="a client for secretsmanager could not be created"):
        clients.secrets_manager()
