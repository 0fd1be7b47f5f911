"""Password policy and generation, with `secrets`, AWS's environment variables and the engine's limits."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass

from rotators.core.errors import ConfigurationError

# The characters that AWS's rotation templates exclude by default, because they break URLs and shells.
DEFAULT_EXCLUDED = ":/@\"'\\"


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """The passwords that an engine accepts.

    Attributes:
        shortest: least number of characters.
        longest: greatest number of characters.
        forbidden: characters that the engine does not accept.
    """

    shortest: int = 8
    longest: int = 128
    forbidden: str = ""


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """The operator's rules for passwords, with the meaning of the parameters of API:GetRandomPassword.

    Attributes:
        length: number of characters.
        excluded: characters never used.
        numbers, punctuation, uppercase, lowercase: True if the class is included.
        require_each: True if a password has at least one character of every included class.
    """

    length: int = 32
    excluded: str = DEFAULT_EXCLUDED
    numbers: bool = True
    punctuation: bool = True
    uppercase: bool = True
    lowercase: bool = True
    require_each: bool = True

    def generate(self, rules: PasswordRules, *, unlike: str | None = None) -> str:
        """Return a random password; all allowed passwords have the same probability.

        Whole passwords are generated until one has every required class. If the required characters were
        placed first, some positions and characters would be more likely.

        Args:
            rules: the engine's limits.
            unlike: the password in use, which is not returned again.

        Returns:
            A password of ``length`` characters.

        Raises:
            ConfigurationError: policy and rules leave no password.
        """
        classes = self._classes(rules)
        self._check(rules, classes)
        alphabet = "".join(classes)
        while True:
            password = "".join(secrets.choice(alphabet) for _ in range(self.length))
            complete = not self.require_each or all(set(password) & set(kind) for kind in classes)
            if complete and password != unlike:
                return password

    def _classes(self, rules: PasswordRules) -> list[str]:
        wanted = (
            (self.lowercase, string.ascii_lowercase),
            (self.uppercase, string.ascii_uppercase),
            (self.numbers, string.digits),
            (self.punctuation, string.punctuation),
        )
        left_out = set(self.excluded) | set(rules.forbidden)
        kinds = ("".join(c for c in kind if c not in left_out) for included, kind in wanted if included)
        return [kind for kind in kinds if kind]

    def _check(self, rules: PasswordRules, classes: list[str]) -> None:
        if not rules.shortest <= self.length <= rules.longest:
            raise ConfigurationError(
                f"PASSWORD_LENGTH is {self.length}; this engine accepts {rules.shortest} to {rules.longest}"
            )
        if self.require_each and self.length < len(classes):
            raise ConfigurationError(f"PASSWORD_LENGTH is {self.length}, less than the included classes")
        if len("".join(classes)) < 2:  # noqa: PLR2004 - one character alone makes one password only
            raise ConfigurationError("the EXCLUDE_… variables leave no characters for a password")
