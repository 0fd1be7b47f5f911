"""The function's environment, parsed once per call into a typed record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rotators.core.errors import ConfigurationError
from rotators.core.passwords import DEFAULT_EXCLUDED, PasswordPolicy

MOST_REJECTED = 4
"""Logins that a target may reject in one rotation, unless MAX_REJECTED_LOGINS says otherwise.

Servers that lock accounts do so after three or more; common limits are five, six and ten."""

_LAST_PORT = 65535
_TARGET = re.compile(
    r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>\.?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*))(?::(?P<port>[0-9]{1,5}))?"
)

# The values of PostgreSQL's setting password_encryption; the first is the default.
_ENCRYPTIONS = ("scram-sha-256", "md5")

_TRUE = frozenset({"true", "1", "y", "yes"})
_FALSE = frozenset({"false", "0", "n", "no", "off", ""})


class AllowedTarget(NamedTuple):
    """One entry of ALLOWED_TARGETS.

    Attributes:
        host: a host name, or a leading dot and the end of host names; in lower case.
        port: the only port; None for every port.
    """

    host: str
    port: int | None = None

    def admits(self, host: str, port: int) -> bool:
        """Return True if this entry allows the target at ``host`` and ``port``.

        Args:
            host: host name or address, in any case.
            port: from 1 to 65535.
        """
        name = host.lower()
        named = name.endswith(self.host) if self.host.startswith(".") else name == self.host
        return named and self.port in {None, port}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the function.

    Attributes:
        rotator: ROTATOR, the name of an entry point, used instead of the secret's engine; None when unset.
        password: the password policy from AWS's variables.
        ssl_root_cert: SSL_ROOT_CERT, a file of trusted certificates; None when unset.
        allowed_targets: ALLOWED_TARGETS; empty when unset, and then every target is allowed.
        cache_hosts: CACHE_HOSTS, the caches of ElastiCache and MemoryDB; written like ALLOWED_TARGETS.
        directory_hosts: DIRECTORY_HOSTS, the domain controllers of Directory Service; written like it too.
        most_rejected: MAX_REJECTED_LOGINS, how many logins a target may reject in one rotation.
        password_encryption: PASSWORD_ENCRYPTION, PostgreSQL's form of hashes: ``scram-sha-256`` or ``md5``.
    """

    rotator: str | None = None
    password: PasswordPolicy = field(default_factory=PasswordPolicy)
    ssl_root_cert: str | None = None
    allowed_targets: tuple[AllowedTarget, ...] = ()
    cache_hosts: tuple[AllowedTarget, ...] = ()
    directory_hosts: tuple[AllowedTarget, ...] = ()
    most_rejected: int = MOST_REJECTED
    password_encryption: str = _ENCRYPTIONS[0]

    def allows(self, host: str, port: int) -> bool:
        """Return True if ALLOWED_TARGETS permits credentials to be sent there, or is unset.

        Args:
            host: host name or address, in any case.
            port: from 1 to 65535.
        """
        return not self.allowed_targets or self.names(host, port)

    def names(self, host: str, port: int) -> bool:
        """Return True if ALLOWED_TARGETS is set and names the target at ``host`` and ``port``.

        Args:
            host: host name or address, in any case.
            port: from 1 to 65535.
        """
        return any(target.admits(host, port) for target in self.allowed_targets)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read AWS's variables with AWS's meaning, and our own.

        Args:
            environment: variables by name; unset and empty mean the default.

        Returns:
            The settings.

        Raises:
            ConfigurationError: a value cannot be used; the variable is named.
        """
        return cls(
            rotator=environment.get("ROTATOR") or None,
            password=_policy(environment),
            ssl_root_cert=environment.get("SSL_ROOT_CERT") or None,
            allowed_targets=_targets(environment, "ALLOWED_TARGETS"),
            cache_hosts=_targets(environment, "CACHE_HOSTS"),
            directory_hosts=_targets(environment, "DIRECTORY_HOSTS"),
            # If it were 1, only the current value would ever be tried, even if it is wrong.
            most_rejected=_number(
                environment, "MAX_REJECTED_LOGINS", MOST_REJECTED, range(2, 1000), "from 2 to 999"
            ),
            password_encryption=_encryption(environment),
        )


def _policy(environment: Mapping[str, str]) -> PasswordPolicy:
    return PasswordPolicy(
        length=_number(environment, "PASSWORD_LENGTH", 32, range(10_000), "of at most 4096"),
        excluded=environment.get("EXCLUDE_CHARACTERS", DEFAULT_EXCLUDED),
        numbers=not flag(environment, "EXCLUDE_NUMBERS", default=False),
        punctuation=not flag(environment, "EXCLUDE_PUNCTUATION", default=False),
        uppercase=not flag(environment, "EXCLUDE_UPPERCASE", default=False),
        lowercase=not flag(environment, "EXCLUDE_LOWERCASE", default=False),
        require_each=flag(environment, "REQUIRE_EACH_INCLUDED_TYPE", default=True),
    )


def _number(environment: Mapping[str, str], name: str, default: int, allowed: range, rule: str) -> int:
    text = environment.get(name, "").strip() or str(default)
    if not (re.fullmatch("[0-9]{1,4}", text) and int(text) in allowed):
        raise ConfigurationError(f"{name} must be a whole number {rule}")
    return int(text)


def _targets(environment: Mapping[str, str], variable: str) -> tuple[AllowedTarget, ...]:
    entries = [entry.strip().lower() for entry in environment.get(variable, "").split(",")]
    return tuple(_target(entry, variable) for entry in entries if entry)


def _target(entry: str, variable: str) -> AllowedTarget:
    found = _TARGET.fullmatch(entry)
    if found is None or not 1 <= int(found["port"] or 1) <= _LAST_PORT:
        raise ConfigurationError(
            f"{variable} must be a list of host names, or suffixes of host names that begin with a dot, each"
            " with or without :port, separated by commas"
        )
    return AllowedTarget(found["v6"] or found["name"], int(found["port"]) if found["port"] else None)


def _encryption(environment: Mapping[str, str]) -> str:
    text = environment.get("PASSWORD_ENCRYPTION", "").strip().lower() or _ENCRYPTIONS[0]
    if text not in _ENCRYPTIONS:
        raise ConfigurationError(f"PASSWORD_ENCRYPTION must be {' or '.join(_ENCRYPTIONS)}")
    return text


def flag(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Return True if a variable is on.

    Args:
        environment: variables of the function by name.
        name: name of the variable.
        default: result if the variable is not set.

    Raises:
        ConfigurationError: its value is neither true nor false.
    """
    text = environment.get(name)
    if text is None:
        return default
    if text.strip().lower() in _TRUE:
        return True
    if text.strip().lower() in _FALSE:
        return False
    raise ConfigurationError(f"{name} must be true or false")
