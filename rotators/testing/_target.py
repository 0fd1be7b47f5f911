"""Target of a suite, provided by a rotator's author: the suite creates and tries credentials on it."""

from __future__ import annotations

import itertools
import secrets
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rotators.local.aws import LocalAws
    from rotators.testing._recorder import Hook

Value = dict[str, Any]
"""Value of a secret, as a JSON object."""

HOSTILE_PASSWORDS = (
    "quote'pass\"word",
    "per%cent%s%(x)s",
    "back\\slash\\word",
    "  spaces  ",
    "日本語のパスワード",
)
"""Legal but unusual passwords for every target; each adds its own."""

_SUFFIX = "_clone"


class Target(ABC):
    """A system with credentials, as the kit uses it. A target does not use the rotator's code.

    Attributes:
        operations: functions of the driver that reach the target: connect, statement, commit.
        hostile_names: legal but unusual user names; empty if the target chooses the names.
        hostile_passwords: legal but unusual passwords.
        commits: name of the operation that makes a new credential valid, with the strategy ``single``.
        administered: False if only AWS changes the credentials, so that no secret names an admin.
        longest: maximum length of user names in bytes, if the target permits fewer than the engine.
    """

    operations: ClassVar[Sequence[Hook]] = ()
    hostile_names: ClassVar[Sequence[str]] = ()
    hostile_passwords: ClassVar[Sequence[str]] = ()
    commits: ClassVar[str] = ""
    administered: ClassVar[bool] = True
    longest: ClassVar[int] = 1 << 16

    def use(self, aws: LocalAws) -> None:  # noqa: B027 - a target outside AWS needs none
        """Use a local AWS, for a target whose credentials a service of AWS has. Every `Kit` calls it.

        Args:
            aws: running local AWS.
        """

    @abstractmethod
    def create(self, name: str | None = None, password: str | None = None) -> Value:
        """Create a credential that works, and return the secret's value for it.

        Args:
            name: name of the user; None for an unused one. A number may be appended to a given name to make
                it unique, except in `create_named`.
            password: password of the user; None for a new one.

        Returns:
            A value that a rotator accepts as AWSCURRENT, in clear text.
        """

    @abstractmethod
    def create_named(self, name: str) -> Value:
        """Create a credential of exactly this name that is unrelated to any other.

        Args:
            name: name of the user.

        Returns:
            The secret's value for it.
        """

    @abstractmethod
    def logs_in(self, value: Mapping[str, Any]) -> bool:
        """Return True if a value logs in. An unreachable target is an error, not False.

        Args:
            value: value of a secret.
        """

    @abstractmethod
    def reset(self, value: Mapping[str, Any]) -> Value:
        """Change the credential by hand, without changing the secret, and return the value that works now.

        Args:
            value: value of a secret.

        Returns:
            The value to store so that the secret works again.
        """

    @abstractmethod
    def remove(self, value: Mapping[str, Any]) -> None:
        """Remove the credential, and everything that rotations created for it.

        Args:
            value: value of a secret.
        """

    def close(self) -> None:  # noqa: B027 - a target without resources needs none
        """Release the target's resources: its session, and what all its credentials share."""

    def admin(self) -> Value | None:
        """Return an administrator's value, or None if there is none.

        Returns:
            The value of an admin's secret, in clear text.
        """
        return None

    def footprint(self, value: Mapping[str, Any]) -> object:
        """Return all users and rights that exist because of a credential, with names relative to its own.

        The footprints of two credentials with the same number of rotations compare equal.

        Args:
            value: value of a secret.

        Returns:
            An object that supports ``==``; None if the target has nothing to compare.
        """
        del value
        return None

    def sessions(self, value: Mapping[str, Any]) -> int:
        """Return the number of open sessions of the credential's users.

        Args:
            value: value of a secret.

        Returns:
            The number; 0 also for a target without sessions.
        """
        del value
        return 0

    def port(self, value: Mapping[str, Any]) -> int | None:
        """Return the loopback port where the target listens, or None if no proxy can be used.

        Args:
            value: value of a secret.

        Returns:
            From 1 to 65535; with None, the tests that need a proxy are skipped.
        """
        del value
        return None

    def moved(self, value: Mapping[str, Any], port: int) -> Value:
        """Return the value with another port.

        Args:
            value: value of a secret.
            port: TCP port.

        Returns:
            A new value; all other keys are the same.
        """
        return {**value, "port": port}

    def wrong(self, value: Mapping[str, Any]) -> Value:
        """Return the value with a credential that the target rejects.

        Args:
            value: value of a secret.

        Returns:
            A new value for the same user and target.
        """
        return {**value, "password": f"wrong-{secrets.token_hex(12)}"}

    def lookalikes(self, name: str) -> Sequence[str]:
        """Return names that do not exist, and that an inexact lookup would confuse with a user's name.

        Args:
            name: name of a user.

        Returns:
            Names that the target would accept; empty if it has none.
        """
        return (f"{name}@%", f"{name} ", f" {name}", name.swapcase())

    def username(self, text: str) -> str:
        """Return the name of a user, as secrets write it, that contains a text.

        Args:
            text: any text.
        """
        return text

    def takes_name(self, name: str) -> bool:
        """Return True if the target can have a user with this name.

        Args:
            name: name with any characters.
        """
        del name
        return True

    def takes_password(self, password: str) -> bool:
        """Return True if a user of the target can have this password.

        Args:
            password: password with any characters except control characters.
        """
        del password
        return True

    def make_administrator(self, value: Mapping[str, Any]) -> None:
        """Give a user the rights of an administrator.

        Args:
            value: value of a secret.

        Raises:
            NotImplementedError: the target has no administrators.
        """
        raise NotImplementedError

    def obstruct(self, value: Mapping[str, Any]) -> bool:
        """Make the target reject logins of a user with the correct password, until ``admit`` is called.

        The target should give the same error as for a wrong password. A new password must not end this.

        Args:
            value: value of a secret.

        Returns:
            True if it was done; False if the target gives this error for wrong passwords only.
        """
        del value
        return False

    def admit(self, value: Mapping[str, Any]) -> None:
        """Undo ``obstruct``.

        Args:
            value: value of a secret.
        """
        del value


class ServerTarget(Target):
    """Users of a server of ``rotators.local.servers``: their names, and the parts that all targets share.

    Args:
        server: running server.
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        self._run = secrets.token_hex(2)
        self._numbers = itertools.count(1)

    def create(self, name: str | None = None, password: str | None = None) -> Value:
        """See Target.create."""
        # Ends with a letter, so that no user's name is a prefix of another's.
        tail = f"_{self._run}{next(self._numbers)}x"
        room = self.longest - len(_SUFFIX) - len(tail)
        unique = (name or "kit").encode()[:room].decode(errors="ignore") + tail
        return self._create(self.username(unique), password or self._password())

    def create_named(self, name: str) -> Value:
        """See Target.create_named."""
        return self._create(self.username(name), self._password())

    def reset(self, value: Mapping[str, Any]) -> Value:
        """See Target.reset."""
        password = self._password()
        self._set_password(value, password)
        return {**value, "password": password}

    def admin(self) -> Value | None:
        """See Target.admin."""
        return dict(self._server.secret())

    def port(self, value: Mapping[str, Any]) -> int:
        """See Target.port."""
        return int(value["port"])

    @abstractmethod
    def _create(self, name: str, password: str) -> Value:
        """Create a user, and return the secret's value for it."""

    @abstractmethod
    def _set_password(self, value: Mapping[str, Any], password: str) -> None:
        """Change the password of a value's user on the server."""

    def _password(self) -> str:
        """Return a new password."""
        return f"pw-{secrets.token_hex(12)}"

    def _original(self, value: Mapping[str, Any]) -> str:
        """Return the name of a value's user, without the suffix of a clone."""
        return str(value["username"]).removesuffix(_SUFFIX)
