"""Values of secrets from memory: what an application calls on every request.

``get_secret_string`` and ``get_secret_binary`` are called and answer like those of AWS's own caching library,
so that it can be replaced by changing the import.
"""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any

from rotators.aws.reading import SecretsManager, SecretVersion
from rotators.cache.cache import Cache
from rotators.cache.loading import may_pass, pause_after
from rotators.client.agent import Agent
from rotators.client.arguments import number_between
from rotators.core.errors import RotatorsError, SecretFormatError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_secretsmanager import SecretsManagerClient

    from rotators.aws.reading import Source
    from rotators.cache.loading import Wait

CURRENT = "AWSCURRENT"

_Key = tuple[str, str | None, str | None]


class SecretCache:
    """Values of secrets, from memory or from Secrets Manager; made once for a process, shared by its threads.

    A value is given from memory for ``ttl`` seconds. In the last fifth of that time a read also starts a load
    in the background, so a secret that is read often is never waited for. However many threads wait for a
    secret, it is asked for once. While Secrets Manager is down, throttled or slow, the last value is given,
    for ``stale_seconds`` more at most. After that, and in an idle process, it is dropped.

    Args:
        client: a boto3 client; when left out, one by boto3's own configuration.
        source: where values come from instead: see ``rotators.client.agent``. When neither is given: AWS's
            agent or Lambda extension if one is there, else Secrets Manager.
        ttl: seconds; 0 remembers nothing.
        jitter: the part of ``ttl`` by which each life is shortened at random.
        max_entries: secrets (or stages and versions of them) kept; the one used longest ago goes first.
        stale_seconds: how long after its end a value may be given when there is no new one; 0 is never.
        negative_seconds: how long "not found", "access denied" and the like are remembered.
        timeout: seconds that a call waits at most when nothing is in memory.

    Raises:
        InvalidInput: a number is out of its bounds.

    Attributes:
        cache: the memory itself.
        timeout: as given.
    """

    def __init__(  # noqa: PLR0913 - options, by keyword only
        self,
        *,
        client: SecretsManagerClient | None = None,
        source: Source | None = None,
        ttl: float = 300.0,
        jitter: float = 0.1,
        max_entries: int = 1024,
        stale_seconds: float = 3600.0,
        negative_seconds: float = 10.0,
        timeout: float = 10.0,
    ) -> None:
        number_between(0, ttl=ttl, stale_seconds=stale_seconds, negative_seconds=negative_seconds)
        number_between(0, 1, jitter=jitter)
        number_between(1, max_entries=max_entries)
        number_between(0, timeout=timeout)
        self._source = source or (SecretsManager(client) if client else Agent())
        self.timeout = timeout
        self.cache: Cache[_Key, SecretVersion] = Cache(
            ttl=ttl,
            jitter=jitter,
            max_entries=max_entries,
            stale=stale_seconds,
            negative=negative_seconds,
        )

    def get_secret_string(self, secret_id: str, version_stage: str | None = None) -> str | None:
        """The text of a secret.

        Args:
            secret_id: name or ARN.
            version_stage: AWSCURRENT when left out.

        Returns:
            The SecretString; None if the secret is binary.

        Raises:
            StoreError: not found, not allowed, or not to be had in time and nothing in memory.
        """
        content = self.cache.get(
            (secret_id, version_stage or CURRENT, None), self._load, timeout=self.timeout
        ).content
        return content if isinstance(content, str) else None

    def get_secret_binary(self, secret_id: str, version_stage: str | None = None) -> bytes | None:
        """The bytes of a secret; None if it is text. Otherwise as ``get_secret_string``."""
        content = self.cache.get(
            (secret_id, version_stage or CURRENT, None), self._load, timeout=self.timeout
        ).content
        return content if isinstance(content, bytes) else None

    def get_secret_json(self, secret_id: str, field: str | None = None) -> Any:
        """A JSON secret, or one field of it.

        Args:
            secret_id: name or ARN.
            field: a key of the JSON object; case counts.

        Returns:
            The parsed value, a new one with each call; or the field's.

        Raises:
            SecretFormatError: not JSON, or no such field.
            StoreError: as ``get_secret_string``.
        """
        return parsed(self.read(secret_id), field)

    def read(
        self,
        secret_id: str,
        *,
        stage: str | None = None,
        version: str | None = None,
        since: int | None = None,
        timeout: float | None = None,
    ) -> SecretVersion:
        """A version of a secret, with its id and labels.

        Args:
            secret_id: name or ARN.
            stage: its label; AWSCURRENT when neither this nor ``version`` is given.
            version: its VersionId.
            since: a ``mark``: only what was asked for anew after it.
            timeout: seconds to wait at most; the cache's own when left out.

        Returns:
            The version; its repr hides the value.

        Raises:
            StoreError: as ``get_secret_string``.
        """
        return self.cache.get(
            _key(secret_id, stage, version),
            self._load if since is None else self._load_anew,
            since=since,
            timeout=self.timeout if timeout is None else timeout,
        )

    def refresh_secret_now(self, secret_id: str) -> None:
        """Ask for a secret's AWSCURRENT anew, and remember that.

        Raises:
            StoreError: as ``get_secret_string``; what was remembered stays.
        """
        self.read(secret_id, since=self.mark())

    def warm(self, secret_ids: Iterable[str]) -> dict[str, RotatorsError]:
        """Read many secrets at once, before they are needed (BatchGetSecretValue, 20 a call).

        Args:
            secret_ids: names or ARNs; those in memory are not asked for.

        Returns:
            Why, for each that could not be read.

        Raises:
            StoreError: a whole call was refused; secretsmanager:BatchGetSecretValue is needed.
        """
        return {
            secret_id: found
            for secret_id, found in self.read_many(secret_ids).items()
            if isinstance(found, RotatorsError)
        }

    def read_many(
        self, secret_ids: Iterable[str], *, new: bool = False
    ) -> dict[str, SecretVersion | RotatorsError]:
        """The AWSCURRENT versions of many secrets, those in memory from there; as ``warm``.

        Args:
            secret_ids: names or ARNs.
            new: whether to ask for all of them.

        Returns:
            The version of each, or why not, in the order given.

        Raises:
            StoreError: as ``warm``.
        """
        keys = {secret_id: _key(secret_id, None, None) for secret_id in secret_ids}
        found: dict[str, SecretVersion | RotatorsError] = {}
        if not new:
            found |= {name: known for name, key in keys.items() if (known := self.cache.peek(key))}
        missing = [secret_id for secret_id in keys if secret_id not in found]
        if missing:
            for secret_id, value in self._many(missing).items():
                found[secret_id] = value
                if isinstance(value, SecretVersion):
                    self.cache.put(keys[secret_id], value)
        return {secret_id: found[secret_id] for secret_id in keys}

    def remembers(self, secret_id: str, *, stage: str | None = None, version: str | None = None) -> bool:
        """Whether ``read`` would answer from memory."""
        return self.cache.peek(_key(secret_id, stage, version)) is not None

    def mark(self) -> int:
        """Now, for ``since``."""
        return self.cache.mark()

    def counts(self) -> dict[str, int]:
        """What happened so far: hits, loads, background, failures, stale, negative, evicted."""
        return self.cache.counts()

    def clear(self) -> None:
        """Forget everything."""
        self.cache.clear()

    def look(
        self, secret_id: str, stage: str | None, version: str | None, since: int | None, left: float
    ) -> SecretVersion | Wait[SecretVersion]:
        """What asyncio's clone needs: see ``Cache.look``."""
        load = self._load if since is None else self._load_anew
        return self.cache.look(_key(secret_id, stage, version), load, since=since, left=left)

    def _many(self, missing: list[str]) -> dict[str, SecretVersion | RotatorsError]:
        """Ask for many; what failed and may pass is asked for again until the time-out."""
        found: dict[str, SecretVersion | RotatorsError] = {}
        end = time.monotonic() + self.timeout
        for times in itertools.count(1):
            last = time.monotonic() + (pause := pause_after(times)) >= end
            try:
                found |= self._source.many(missing)
            except RotatorsError as error:
                if last or not may_pass(error):
                    raise
            else:
                missing = [name for name in missing if _may_pass(found[name])]
                if last or not missing:
                    break
            time.sleep(pause)
        return found

    def _load(self, key: _Key) -> SecretVersion:
        secret_id, stage, version = key
        return self._source.one(secret_id, stage, version, new=False)

    def _load_anew(self, key: _Key) -> SecretVersion:
        secret_id, stage, version = key
        return self._source.one(secret_id, stage, version, new=True)

    def __repr__(self) -> str:
        return f"<SecretCache with {self.cache!r}>"


def parsed(version: SecretVersion, field: str | None = None) -> Any:
    """The JSON of a version, or one field of it.

    Raises:
        SecretFormatError: not JSON, or no such field. No value is shown.
    """
    try:
        value = json.loads(version.content)
    except (ValueError, RecursionError):
        value = None
    if field is None and value is not None:
        return value
    if not isinstance(value, dict):
        raise SecretFormatError(f"the secret {version.name} is no JSON {'object' if field else 'value'}")
    if field not in value:
        raise SecretFormatError(f"the secret {version.name} lacks the field {field!r}")
    return value[field]


def _may_pass(found: SecretVersion | RotatorsError) -> bool:
    return isinstance(found, RotatorsError) and may_pass(found)


def _key(secret_id: str, stage: str | None, version: str | None) -> _Key:
    # AWSCURRENT is what the API takes when neither is given.
    return secret_id, stage or (None if version else CURRENT), version
