"""What an engine declares and offers to the strategies. An engine knows its target, never the flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.strategies.credential import CredentialType

C_contra = TypeVar("C_contra", contravariant=True)
"""What an engine's ``credential.of`` gives."""


class Session(Protocol):
    """One login, as every strategy needs it.

    Every change is made as a whole or not at all. Where a method takes a user, it also takes the ``account``
    that another session gave.

    All methods raise TargetUnavailable when the server goes away or stays silent, and TargetRefused when it
    says no. None of them lets a password leave the process in clear text where the server takes a hash.
    """

    @property
    def account(self) -> str:
        """What the server calls the logged-in user; more than the name where one name has many accounts."""

    def check(self, other: str = "") -> None:
        """Run a statement as the logged-in user, and check that it is the user that was asked for.

        Args:
            other: the user that takes turns with it, if one does. What one of the two made, both must be
                able to use.

        Raises:
            TargetRefused: it is another user, or one of the two owns what the other cannot use.
        """


class Changes(Session, Protocol[C_contra]):
    """A login that may change a credential: what ``single`` needs."""

    @property
    def behind_pooler(self) -> bool:
        """Whether a pooler or proxy answers in the server's place, as far as the protocol shows it."""

    def set_credential(self, user: str, credential: C_contra) -> None:
        """Set the credential of ``user``: the session's own, or another that it may administer."""


class Administers(Changes[C_contra], Protocol[C_contra]):
    """An admin's login: what a secret with ``masterarn`` needs."""

    def require_ordinary(self, user: str) -> None:
        """Check that ``user`` has no administrative rights.

        Asked before an admin acts for a user that could not log in itself: whoever may write the secret
        could name any user there, so an admin's rights must not be had that way.

        Raises:
            TargetRefused: the user is an administrator, or does not exist.
        """

    def require_resettable(self, user: str, rejected: Collection[C_contra], *, tls: bool) -> None:
        """Check that a new credential would let ``user`` log in from here. Asked in an admin's session.

        A rejected login does not always mean a wrong credential. To reset a right one would lock out the
        applications that use it. What the server shows to no admin of its kind, such as PostgreSQL's hashes
        to anyone but superusers, is taken as in order. A right that an admin can be given is demanded.

        Args:
            user: whose logins were rejected.
            rejected: the credentials of those logins.
            tls: whether the user's logins use TLS.

        Raises:
            TargetRefused: one of ``rejected`` is the credential, or something else keeps the user out; the
                reason says what. Nothing was changed.
        """

    def rejections_allowed(self, user: str) -> int | None:
        """How many logins of ``user`` in a row may be rejected before the server locks it.

        Asked in an admin's session.

        Returns:
            The server's limit less one; None if there is no limit, or it cannot be read.
        """


class Clones(Administers[C_contra], Protocol[C_contra]):
    """An admin's login that may make a second user: what ``alternating`` needs."""

    def ensure_clone(self, of: str, clone: str, credential: C_contra) -> None:
        """Make ``clone`` a second login that acts as ``of``, with this credential.

        A clone that is there is proven first, and brought up to date; one that is missing is made.

        Raises:
            TargetRefused: a user of that name exists and is not proven to be the clone.
        """

    def require_clone(self, of: str, clone: str) -> None:
        """Check that ``clone``, made by somebody else, exists and is proven to belong to ``of``.

        Raises:
            TargetRefused: it does not.
        """


class KeepsTwo(Session, Protocol[C_contra]):
    """A login that may give a user two credentials: what ``dual`` needs."""

    def set_pair(self, user: str, old: C_contra, new: C_contra) -> None:
        """Make exactly these two the credentials of ``user``, each a login of its own.

        ``old`` works at every instant, if it worked before. Repeated, it changes nothing.
        """


class Strategy(Protocol):
    """The three parts of a Rotator, for any engine.

    Attributes:
        name: what a secret's ``strategy`` key calls it.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see Attributes

    def propose(self, engine: Engine, rotation: Rotation) -> Secret:
        """See Rotator.propose."""

    def apply(self, engine: Engine, rotation: Rotation) -> None:
        """See Rotator.apply."""

    def verify(self, engine: Engine, rotation: Rotation) -> None:
        """See Rotator.verify."""


class Engine(Protocol):
    """A credential type: what it declares, and its login.

    Attributes:
        names: the values of the secret's ``engine`` key that mean this engine.
        default_port: used when the secret has no ``port``.
        target_defaults: the members, beside host and port, that say where a value leads, with their defaults.
        longest_username: in bytes of UTF-8.
        credential: what a rotation replaces.
        strategies: those it supports; its sessions have the methods that these need.
    """

    @property
    def names(self) -> frozenset[str]: ...  # noqa: D102 - see Attributes
    @property
    def default_port(self) -> int: ...  # noqa: D102 - see Attributes
    @property
    def target_defaults(self) -> Mapping[str, str]: ...  # noqa: D102 - see Attributes
    @property
    def longest_username(self) -> int: ...  # noqa: D102 - see Attributes
    @property
    def credential(self) -> CredentialType: ...  # noqa: D102 - see Attributes
    @property
    def strategies(self) -> Sequence[Strategy]: ...  # noqa: D102 - see Attributes

    def login(self, secret: Secret, settings: Settings) -> AbstractContextManager[Any]:
        """Log in; the session ends with the context.

        Returns:
            A context manager that gives a Session, with the methods that the engine's strategies need.

        Raises:
            CredentialsRejected: the server answered and refused this user with this credential.
            TargetUnavailable: it did not answer in time, or could not be reached. Nobody rejected anything.
            TargetRefused: it answered and refused for another reason (no such database, a rule by host).
            SecretFormatError: a key is missing or wrong.
        """
