"""What a database engine offers to the strategies. An engine knows SQL and drivers, never the flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager

    from rotators.core.passwords import PasswordRules
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings


class Session(Protocol):
    """One login. Every move is whole or not at all: it commits, or changes nothing.

    Where a move takes a user, it also takes the ``account`` that another session gave.

    All moves raise TargetUnavailable when the server goes away or stays silent, and TargetRefused when it
    says no. None of them lets a clear-text password leave the process where the server takes a hash.
    """

    @property
    def account(self) -> str:
        """What the server calls the logged-in user; more than the name where one name has many accounts."""

    @property
    def behind_pooler(self) -> bool:
        """Whether a pooler or proxy answers in the server's place, as far as the protocol shows it."""

    def set_password(self, user: str, password: str) -> None:
        """Set the password of ``user``: the session's own, or another that it may administer."""

    def ensure_clone(self, of: str, clone: str, password: str) -> None:
        """Make ``clone`` a second login that acts as ``of``, with this password.

        A clone that is there is proven first, and brought up to date; one that is missing is made.

        Raises:
            TargetRefused: a user of that name exists and is not proven to be the clone.
        """

    def require_clone(self, of: str, clone: str) -> None:
        """Check that ``clone``, made by somebody else, exists and is proven to belong to ``of``.

        Raises:
            TargetRefused: it does not.
        """

    def require_ordinary(self, user: str) -> None:
        """Check that ``user`` has no administrative rights.

        Asked before an admin acts for a user that could not log in itself: whoever may write the secret
        could name any user there, so an admin's rights must not be had that way.

        Raises:
            TargetRefused: the user is an administrator, or does not exist.
        """

    def require_resettable(self, user: str, rejected: Collection[str], *, tls: bool) -> None:
        """Check that a new password would let ``user`` log in from here. Asked in an admin's session.

        A rejected login does not always mean a wrong password. To reset a right one would lock out the
        applications that use it. What the server shows to no admin of its kind, such as PostgreSQL's hashes
        to anyone but superusers, is taken as in order. A right that an admin can be given is demanded.

        Args:
            user: whose logins were rejected.
            rejected: the passwords of those logins.
            tls: whether the user's logins use TLS.

        Raises:
            TargetRefused: one of ``rejected`` is the password, or something else keeps the user out; the
                reason says what. Nothing was changed.
        """

    def rejections_allowed(self, user: str) -> int | None:
        """How many logins of ``user`` in a row may be rejected before the server locks it.

        Asked in an admin's session.

        Returns:
            The server's limit less one; None if there is no limit, or it cannot be read.
        """

    def check(self, other: str = "") -> None:
        """Run a statement as the logged-in user, and check that it is the user that was asked for.

        Args:
            other: the user that takes turns with it, if one does. What one of the two made, both must be
                able to use.

        Raises:
            TargetRefused: it is another user, or one of the two owns what the other cannot use.
        """


@runtime_checkable
class KeepsTwo(Protocol):
    """What the sessions of an engine with ``two_passwords`` offer besides."""

    def set_passwords(self, user: str, old: str, new: str) -> None:
        """Make exactly these two the passwords of ``user``, each a login of its own.

        ``old`` works at every instant, if it worked before. Repeated, it changes nothing.
        """


class Engine(Protocol):
    """A database engine: its moves and its limits.

    Attributes:
        names: the values of the secret's ``engine`` key that mean this engine.
        default_port: used when the secret has no ``port``.
        default_dbname: used when the secret has no ``dbname``.
        longest_username: in bytes of UTF-8.
        password_rules: what the engine takes as a password.
        two_passwords: whether a user may have two; then the sessions are KeepsTwo.
    """

    @property
    def names(self) -> frozenset[str]: ...  # noqa: D102 - see Attributes
    @property
    def default_port(self) -> int: ...  # noqa: D102 - see Attributes
    @property
    def default_dbname(self) -> str: ...  # noqa: D102 - see Attributes
    @property
    def longest_username(self) -> int: ...  # noqa: D102 - see Attributes
    @property
    def password_rules(self) -> PasswordRules: ...  # noqa: D102 - see Attributes
    @property
    def two_passwords(self) -> bool: ...  # noqa: D102 - see Attributes

    def login(self, secret: Secret, settings: Settings) -> AbstractContextManager[Session]:
        """Log in; the session ends with the context.

        Raises:
            CredentialsRejected: the server answered and refused this user with this password.
            TargetUnavailable: it did not answer in time, or could not be reached. Nobody rejected anything.
            TargetRefused: it answered and refused for another reason (no such database, a rule by host).
            SecretFormatError: a key is missing or wrong.
        """
