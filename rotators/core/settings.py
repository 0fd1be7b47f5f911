"""The function's environment, read once per call into a typed record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rotators.core.errors import ConfigurationError
from rotators.core.passwords import DEFAULT_EXCLUDED, PasswordPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

_TRUE = frozenset({"true", "1", "y", "yes"})
_FALSE = frozenset({"false", "0", "n", "no", "off", ""})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator set on the function.

    Attributes:
        rotator: ROTATOR, the entry-point name that outranks the secret's engine; None when unset.
        password: the password policy from AWS's variables.
        ssl_root_cert: SSL_ROOT_CERT, a file of trusted certificates; None when unset.
    """

    rotator: str | None = None
    password: PasswordPolicy = field(default_factory=PasswordPolicy)
    ssl_root_cert: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read AWS's variables with AWS's meaning, and our own.

        Raises:
            ConfigurationError: a value cannot be used; the variable is named.
        """
        return cls(
            rotator=environment.get("ROTATOR") or None,
            password=_policy(environment),
            ssl_root_cert=environment.get("SSL_ROOT_CERT") or None,
        )


def _policy(environment: Mapping[str, str]) -> PasswordPolicy:
    return PasswordPolicy(
        length=_length(environment),
        excluded=environment.get("EXCLUDE_CHARACTERS", DEFAULT_EXCLUDED),
        numbers=not _flag(environment, "EXCLUDE_NUMBERS", default=False),
        punctuation=not _flag(environment, "EXCLUDE_PUNCTUATION", default=False),
        uppercase=not _flag(environment, "EXCLUDE_UPPERCASE", default=False),
        lowercase=not _flag(environment, "EXCLUDE_LOWERCASE", default=False),
        require_each=_flag(environment, "REQUIRE_EACH_INCLUDED_TYPE", default=True),
    )


def _length(environment: Mapping[str, str]) -> int:
    text = environment.get("PASSWORD_LENGTH", "").strip() or "32"
    if not (text.isascii() and text.isdigit() and len(text) <= 4):  # noqa: PLR2004 - API: at most 4096
        raise ConfigurationError("PASSWORD_LENGTH must be a whole number of at most 4096")
    return int(text)


def _flag(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = environment.get(name)
    if text is None:
        return default
    if text.strip().lower() in _TRUE:
        return True
    if text.strip().lower() in _FALSE:
        return False
    raise ConfigurationError(f"{name} must be true or false")
