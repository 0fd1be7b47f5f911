"""What a rotator's author provides: a real target on which credentials can be made and tried."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rotators.testing.recorder import Hook

Value = dict[str, Any]
"""A secret's value, as its JSON object."""


class Target(ABC):
    """A system with credentials, as the kit sees it. None of this uses the rotator's code.

    Attributes:
        operations: the functions of the driver that reach the target: connect, statement, commit.
        hostile_names: user names that are legal and inconvenient; none when the target chooses names.
        hostile_passwords: passwords likewise.
    """

    operations: ClassVar[Sequence[Hook]] = ()
    hostile_names: ClassVar[Sequence[str]] = ()
    hostile_passwords: ClassVar[Sequence[str]] = ()

    @abstractmethod
    def create(self, name: str | None = None, password: str | None = None) -> Value:
        """Create a credential that works; gives the secret's value for it.

        Args:
            name: the user's; one that nobody has when left out. A given name may be made unlike all
                others by an appended number, unless it comes from `create_named`.
            password: the user's.
        """

    @abstractmethod
    def create_named(self, name: str) -> Value:
        """Create a credential of exactly this name that has nothing to do with any other."""

    @abstractmethod
    def logs_in(self, value: Mapping[str, Any]) -> bool:
        """Whether a value opens the target. An unreachable target is an error, not False."""

    @abstractmethod
    def reset(self, value: Mapping[str, Any]) -> Value:
        """Change the credential by hand, behind the secret's back; gives the value that works now."""

    @abstractmethod
    def remove(self, value: Mapping[str, Any]) -> None:
        """Remove the credential and all that rotations made of it."""

    def admin(self) -> Value | None:
        """An administrator's value, or None where there is none."""
        return None

    def footprint(self, value: Mapping[str, Any]) -> object:
        """All users and rights there are because of a credential, names made relative to its own.

        Two credentials that were rotated equally often compare equal.
        """
        del value
        return None

    def sessions(self, value: Mapping[str, Any]) -> int:
        """How many sessions the credential's users have open now."""
        del value
        return 0

    def port(self, value: Mapping[str, Any]) -> int | None:
        """The port on loopback where the target listens, or None if nothing can stand in between."""
        del value
        return None

    def moved(self, value: Mapping[str, Any], port: int) -> Value:
        """The value with another port."""
        return {**value, "port": port}

    def wrong(self, value: Mapping[str, Any]) -> Value:
        """The value with a credential that does not open the target."""
        return {**value, "password": f"wrong-{secrets.token_hex(12)}"}

    def lookalikes(self, name: str) -> Sequence[str]:
        """Names that a careless lookup would take for a user's, and that are nobody's."""
        return (f"{name}@%", f"{name} ", f" {name}", name.swapcase())

    def obstruct(self, value: Mapping[str, Any]) -> bool:
        """Make the target reject logins of a user whose password is right, until ``admit``.

        The answer should be the one to a wrong password. A new password must not change it.

        Returns:
            Whether it was done; False where the target gives such an answer to wrong passwords only.
        """
        del value
        return False

    def admit(self, value: Mapping[str, Any]) -> None:
        """Take back what ``obstruct`` did."""
        del value
