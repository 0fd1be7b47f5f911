"""Values of secrets from memory, for applications that read a secret with every request.

``get_secret_string`` and ``get_secret_binary`` have the same arguments and results as in AWS's caching
library, so changing the import replaces it.
"""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any

from rotators.aws.secrets import SecretsManager, SecretVersion, Source
from rotators.cache.backoff import backoff_seconds, is_transient
from rotators.cache.cache import Cache, Wait
from rotators.client._agent import Agent
from rotators.core.errors import InvalidInput, RotatorsError, SecretFormatError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from mypy_boto3_secretsmanager import SecretsManagerClient


CURRENT = "AWSCURRENT"

_Key = tuple[str, str | None, str | None]


class SecretCache:
    """Values of secrets, from memory or from Secrets Manager. Create one per process; it is safe for threads.

    A value is returned from memory for ``ttl`` seconds. In the last fifth of that time, a read also starts a
    load in the background, so callers never wait for a secret that is read often. Any number of callers that
    wait for a secret share one call. While Secrets Manager is unavailable, throttled or slow, the last value
    is returned for up to ``stale_seconds`` more. Then it is deleted, also in an idle process.

    Args:
        client: a boto3 client; one from boto3's own configuration if None.
        source: source of the values, see ``rotators.client._agent``. If neither is passed: AWS's agent or
            Lambda extension if it runs, else Secrets Manager.
        ttl: seconds; 0 stores nothing.
        jitter: part of ``ttl``, 0 to 1, by which each life is shortened at random.
        max_entries: number of versions kept; the least recently used one is deleted first.
        stale_seconds: time after expiry during which a value may still be returned; 0 for none.
        negative_seconds: time for which "not found", "access denied" and similar errors are remembered.
        timeout: seconds that a call waits at most if nothing is in memory.

    Raises:
        InvalidInput: a number is out of range.

    Attributes:
        cache: the underlying cache.
        timeout: as passed.
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
        require_number(
            0, ttl=ttl, stale_seconds=stale_seconds, negative_seconds=negative_seconds, timeout=timeout
        )
        require_number(0, 1, jitter=jitter)
        require_number(1, max_entries=max_entries)
        self._source = source or (SecretsManager(client) if client else Agent())
        self.timeout = timeout
        self.cache: Cache[_Key, SecretVersion] = Cache(
            ttl=ttl, jitter=jitter, max_entries=max_entries, stale=stale_seconds, negative=negative_seconds
        )

    def get_secret_string(self, secret_id: str, version_stage: str | None = None) -> str | None:
        """Return the text of a secret.

        Args:
            secret_id: name or ARN.
            version_stage: AWSCURRENT if None.

        Returns:
            The SecretString; None if the secret is binary.

        Raises:
            StoreError: not found, not allowed, or not in memory and no answer within ``timeout``.
        """
        content = self.cache.get(
            (secret_id, version_stage or CURRENT, None), self._load, timeout=self.timeout
        ).content
        return content if isinstance(content, str) else None

    def get_secret_binary(self, secret_id: str, version_stage: str | None = None) -> bytes | None:
        """Return the bytes of a secret.

        Args:
            secret_id: name or ARN.
            version_stage: AWSCURRENT if None.

        Returns:
            The SecretBinary; None if the secret is text.

        Raises:
            StoreError: as ``get_secret_string``.
        """
        content = self.cache.get(
            (secret_id, version_stage or CURRENT, None), self._load, timeout=self.timeout
        ).content
        return content if isinstance(content, bytes) else None

    def get_secret_json(self, secret_id: str, field: str | None = None) -> Any:
        """Return a JSON secret, or one field of it.

        Args:
            secret_id: name or ARN.
            field: a key of the JSON object, case-sensitive.

        Returns:
            The parsed value or the field's value, a new object with each call.

        Raises:
            SecretFormatError: the secret is not JSON or lacks the field.
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
        """Return a version of a secret, with its id and stages.

        Args:
            secret_id: name or ARN.
            stage: stage of the version; AWSCURRENT if neither this nor ``version`` is passed.
            version: its VersionId.
            since: a ``mark``; only what was requested after it is returned, past all caches.
            timeout: seconds to wait at most; the cache's own if None.

        Returns:
            The version; its repr hides the value.

        Raises:
            StoreError: as ``get_secret_string``.
        """
        return self.cache.get(
            _key(secret_id, stage, version),
            self._load if since is None else self._load_past_caches,
            since=since,
            timeout=self.timeout if timeout is None else timeout,
        )

    def steps(
        self,
        secret_id: str,
        stage: str | None,
        version: str | None,
        since: int | None,
        timeout: float | None,
    ) -> Generator[Wait[SecretVersion], None, SecretVersion]:
        """Return the same as ``read`` without I/O. See ``Cache.steps``.

        Args:
            secret_id: as for ``read``.
            stage: as for ``read``.
            version: as for ``read``.
            since: as for ``read``.
            timeout: as for ``read``.
        """
        return self.cache.steps(
            _key(secret_id, stage, version),
            self._load if since is None else self._load_past_caches,
            since=since,
            timeout=self.timeout if timeout is None else timeout,
        )

    def refresh_secret_now(self, secret_id: str) -> None:
        """Read a secret's AWSCURRENT version past all caches, and store it in memory.

        Args:
            secret_id: name or ARN.

        Raises:
            StoreError: as ``get_secret_string``; the value in memory stays.
        """
        self.read(secret_id, since=self.mark())

    def warm(self, secret_ids: Iterable[str]) -> dict[str, RotatorsError]:
        """Read many secrets in advance (BatchGetSecretValue, 20 a call).

        Args:
            secret_ids: names or ARNs; those in memory are not requested.

        Returns:
            The error of each secret that could not be read.

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
        """Return the AWSCURRENT versions of many secrets, from memory where possible.

        Args:
            secret_ids: names or ARNs.
            new: True to read all of them from Secrets Manager.

        Returns:
            The version or the error of each secret, in the order passed.

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
        """Return True if ``read`` would answer from memory.

        Args:
            secret_id: as for ``read``.
            stage: as for ``read``.
            version: as for ``read``.
        """
        return self.cache.peek(_key(secret_id, stage, version)) is not None

    def mark(self) -> int:
        """Return the present value for ``since``.

        Returns:
            A number; only loads that begin after this call exceed it. It is valid for this cache only.
        """
        return self.cache.mark()

    def counts(self) -> dict[str, int]:
        """Return the counters: hits, loads, background, failures, stale, negative, evicted.

        Returns:
            Numbers since the cache was created, by name of the counter.
        """
        return self.cache.counts()

    def clear(self) -> None:
        """Delete everything from memory."""
        self.cache.clear()

    def _many(self, missing: list[str]) -> dict[str, SecretVersion | RotatorsError]:
        """Read many secrets; those with transient errors are read again until the timeout."""
        found: dict[str, SecretVersion | RotatorsError] = {}
        end = time.monotonic() + self.timeout
        for times in itertools.count(1):
            last = time.monotonic() + (pause := backoff_seconds(times)) >= end
            try:
                found |= self._source.many(missing)
            except RotatorsError as error:
                if last or not is_transient(error):
                    raise
            else:
                missing = [name for name in missing if _failed_transiently(found[name])]
                if last or not missing:
                    break
            time.sleep(pause)
        return found

    def _load(self, key: _Key) -> SecretVersion:
        return self._source.one(*key, new=False)

    def _load_past_caches(self, key: _Key) -> SecretVersion:
        return self._source.one(*key, new=True)

    def __repr__(self) -> str:
        return f"<SecretCache with {self.cache!r}>"


def parsed(version: SecretVersion, field: str | None = None) -> Any:
    """Return the JSON of a version, or one field of it.

    Args:
        version: version of a secret.
        field: a key of the JSON object; None for the whole value.

    Returns:
        Any JSON value, in clear text.

    Raises:
        SecretFormatError: the secret is not JSON or lacks the field. The message shows no value.
    """
    try:
        value = json.loads(version.content)
    except (ValueError, RecursionError):
        value = None
    if field is None and value is not None:
        return value
    if not isinstance(value, dict):
        raise SecretFormatError(f"the secret {version.name} is not {'a JSON object' if field else 'JSON'}")
    if field not in value:
        raise SecretFormatError(f"the secret {version.name} lacks the field {field!r}")
    return value[field]


def require_number(least: float, most: float = 1e8, **given: float) -> None:
    """Check the range of numbers.

    Args:
        least: smallest value allowed.
        most: largest value allowed; by default three years in seconds, which every clock and timer accepts.
        **given: numbers by argument name.

    Raises:
        InvalidInput: one is not a number or out of range; the message names it.
    """
    for name, value in given.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and least <= value <= most):
            raise InvalidInput(
                f"{name} must be a number from {least:g} to {most:g}", remedy="Correct the argument."
            )


def _failed_transiently(found: SecretVersion | RotatorsError) -> bool:
    return isinstance(found, RotatorsError) and is_transient(found)


def _key(secret_id: str, stage: str | None, version: str | None) -> _Key:
    # The API uses AWSCURRENT if neither is passed.
    return secret_id, stage or (None if version else CURRENT), version
