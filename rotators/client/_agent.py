"""Values from AWS's agent or its Lambda extension, over loopback, with Secrets Manager as the fallback.

Both are processes beside the application with their own cache. They answer
``GET /secretsmanager/get?secretId=…`` on port 2773 to clients that know their token. Differences:

- The *agent* (``aws-secretsmanager-agent``, now "AWS Workload Credentials Provider") has its own token, in
  AWS_TOKEN or ``/var/run/awssmatoken``, and bypasses its cache with ``refreshNow=true``.
- The *extension* (AWS Parameters and Secrets Lambda Extension) expects the function's session token, answers
  only while the function is invoked, and cannot bypass its cache: new values are read directly, with the
  function's role.

If the answer is not 200, the value is read directly as well: the process may not run, not be ready, or not
report a reason. A session token is sent to the port only in Lambda, where no other process can listen.

Sources: UG:secrets-manager-agent, UG:retrieving-secrets_lambda; the agent's README.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from rotators.aws.secrets import SecretsManager, SecretVersion, Source, asked_for, opened_or_error
from rotators.core.errors import ConfigurationError, RotatorsError

_TOKEN_FILE = "/var/run/awssmatoken"  # noqa: S105 - where the agent's install script puts it
_PORT_VARIABLE = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"
_DEFAULT_PORT = 2773
_SECONDS = 5.0
_OK = 200


class Agent:
    """The agent or the extension as a source, with Secrets Manager as the fallback.

    Args:
        port: on 127.0.0.1; PARAMETERS_SECRETS_EXTENSION_HTTP_PORT or 2773 if None.
        token: the token it expects; if None, looked up with each load, because it may change.
        direct: source used if it does not answer; Secrets Manager if None.
        refreshes: True if it can bypass its cache; if None, True except in Lambda.

    Raises:
        ConfigurationError: PARAMETERS_SECRETS_EXTENSION_HTTP_PORT is not a port number.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        token: str | None = None,
        direct: Source | None = None,
        refreshes: bool | None = None,
    ) -> None:
        self._port = port or _port()
        self._token = token
        self._direct: Source = direct or SecretsManager()
        self._refreshes = not _in_lambda() if refreshes is None else refreshes

    def one(self, secret_id: str, stage: str | None, version: str | None, *, new: bool) -> SecretVersion:
        """See Source.one."""
        asked = {"secretId": secret_id, "versionStage": stage, "versionId": version}
        if new:
            asked["refreshNow"] = "true"
        found = None if new and not self._refreshes else self._asked(asked)
        return (
            asked_for(secret_id, found).opened()
            if found
            else self._direct.one(secret_id, stage, version, new=new)
        )

    def many(self, secret_ids: Sequence[str]) -> dict[str, SecretVersion | RotatorsError]:
        """See Source.many. One call per secret while the agent answers; the rest directly."""
        found: dict[str, SecretVersion | RotatorsError] = {}
        for secret_id in secret_ids:
            version = self._asked({"secretId": secret_id})
            if version is None:
                break
            found[secret_id] = opened_or_error(secret_id, version)
        rest = [secret_id for secret_id in secret_ids if secret_id not in found]
        return found | (self._direct.many(rest) if rest else {})

    def _asked(self, asked: dict[str, str | None]) -> SecretVersion | None:
        token = self._token or find_token()
        if token is None:
            return None
        query = urlencode({name: value for name, value in asked.items() if value})
        # Not urllib: it would send token and value through a proxy that the environment names.
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS)
        try:
            connection.request(
                "GET", f"/secretsmanager/get?{query}", headers={"X-Aws-Parameters-Secrets-Token": token}
            )
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException, ValueError):
            # ValueError: the token is not a valid header, and the error's text would show it.
            return None
        finally:
            connection.close()
        return _version(content) if response.status == _OK else None


def find_token() -> str | None:
    """Return the token of an agent or extension on this machine, or None.

    Sources, in order: AWS_TOKEN (the token, or ``file://`` and its path), the agent's own file, and in Lambda
    the session token or, with SnapStart, the container's (the agent's README, ``ssrf_env_variables``).
    """
    named = os.environ.get("AWS_TOKEN", "").strip()
    if named and not named.startswith("file://"):
        return named
    written = _content(Path(named.removeprefix("file://") or _TOKEN_FILE))
    if written or not _in_lambda():
        return written
    return os.environ.get("AWS_SESSION_TOKEN") or os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")


def _port() -> int:
    text = os.environ.get(_PORT_VARIABLE) or str(_DEFAULT_PORT)
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:  # noqa: PLR2004 - the range of a TCP port
        return int(text)
    raise ConfigurationError(f"{_PORT_VARIABLE} is not a port", remedy="Correct the variable, or remove it.")


def _in_lambda() -> bool:
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeError):
        return None


def _version(content: bytes) -> SecretVersion | None:
    try:
        answer = json.loads(content)
        # The extension returns both keys, and one of them is null.
        if answer.get("SecretString") is None:
            answer = {**answer, "SecretBinary": base64.b64decode(answer["SecretBinary"])}
            answer.pop("SecretString", None)
        return SecretVersion.of(answer)
    except (ValueError, TypeError, KeyError):
        return None
