"""The queries of `rotators check` to a session. No method changes the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from rotators.core.passwords import PasswordPolicy

_GUARANTEED = 1  # characters of each included class, with REQUIRE_EACH_INCLUDED_TYPE


@dataclass(frozen=True)
class Demands:
    """The demands of the server's own password validation on a new password.

    Attributes:
        length: least number of characters.
        digits, lower, upper, special: least number of characters of each class.
        takes_hashes: True if the server accepts a hash instead of a password.
        unknown: names of validation plugins whose rules cannot be read, such as a dictionary check.
    """

    length: int = 0
    digits: int = 0
    lower: int = 0
    upper: int = 0
    special: int = 0
    takes_hashes: bool = True
    unknown: tuple[str, ...] = ()

    def unmet(self, policy: PasswordPolicy) -> str:
        """Return a sentence about why passwords of a policy may be refused; empty if all are accepted.

        Args:
            policy: policy of the rotation function.
        """
        if not self.takes_hashes:
            return (
                "the server accepts no password hashes, and rotations send only hashes unless the secret has "
                '"clear_text": true and the connection uses TLS'
            )
        if policy.length < self.length:
            return f"PASSWORD_LENGTH is {policy.length}, and the server requires {self.length}"
        classes = (
            ("EXCLUDE_NUMBERS", policy.numbers, self.digits),
            ("EXCLUDE_LOWERCASE", policy.lowercase, self.lower),
            ("EXCLUDE_UPPERCASE", policy.uppercase, self.upper),
            ("EXCLUDE_PUNCTUATION", policy.punctuation, self.special),
        )
        for variable, included, least in classes:
            guaranteed = _GUARANTEED if included and policy.require_each else 0
            if least > guaranteed:
                return (
                    f"the server requires {least} characters of the class that {variable} controls, "
                    f"and the function's settings guarantee {guaranteed}"
                )
        return ""


@runtime_checkable
class Preflight(Protocol):
    """A session that can check whether a rotation would work. All methods only read.

    They raise the errors of the methods of ``Session``.
    """

    def writable(self) -> bool:
        """Return True if accounts can be changed on this server: it is a primary and not read-only."""

    def demands(self) -> Demands:
        """Return the demands of the server's password validation."""

    def missing_for_reset(self, user: str) -> str:
        """Return the right that the logged-in admin lacks to set the password of ``user``; empty if none.

        Args:
            user: name of the user.
        """


class ClonePreflight(Preflight, Protocol):
    """A `Preflight` for an engine with the strategy ``alternating``."""

    def missing_for_clone(self, of: str) -> str:
        """Return the right that the logged-in admin lacks to create a second user for ``of``; empty if none.

        Args:
            of: name of the original user.
        """


@runtime_checkable
class Forgetful(Protocol):
    """A session whose server may lose changed credentials at a restart."""

    def forgets(self) -> str:
        """Return a sentence about the nodes that would lose changes; empty if all nodes keep them.

        Raises:
            TargetUnavailable, TargetRefused: as for the methods of ``Session``.
        """
