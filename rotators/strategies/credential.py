"""The kinds of credentials that a rotation replaces, declared by an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rotators.core.passwords import PasswordRules
    from rotators.core.progress import Credential
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings


class CredentialType(Protocol):
    """The members of a secret that are the credential, and the generation of new ones.

    Attributes:
        fields: the keys of these members. Everything else in a secret survives a rotation unchanged.
    """

    @property
    def fields(self) -> tuple[str, ...]: ...  # noqa: D102 - see Attributes

    def of(self, secret: Secret) -> Credential:
        """Return the credential in a value, in the form that the methods of sessions accept.

        Args:
            secret: value of a secret.

        Raises:
            SecretFormatError: a member is missing or wrong.
        """

    def new(self, settings: Settings, current: Secret | None = None) -> Mapping[str, object]:
        """Create a new credential.

        Args:
            settings: settings of the rotation function.
            current: the value in use, whose credential is not returned again.

        Returns:
            The members to set in a secret, by name.

        Raises:
            ConfigurationError: the settings permit no credential that the engine accepts.
        """


@dataclass(frozen=True)
class Password:
    """A credential that is one generated string, such as a password or an API key.

    Attributes:
        rules: limits of the engine.
        key: the secret's member.
    """

    rules: PasswordRules
    key: str = "password"

    @property
    def fields(self) -> tuple[str, ...]:
        """The one member."""
        return (self.key,)

    def of(self, secret: Secret) -> str:
        """See CredentialType.of."""
        return secret.text(self.key)

    def new(self, settings: Settings, current: Secret | None = None) -> dict[str, object]:
        """See CredentialType.new."""
        unlike = current.text(self.key) if current else None
        return {self.key: settings.password.generate(self.rules, unlike=unlike)}
