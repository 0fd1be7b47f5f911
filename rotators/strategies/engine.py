"""The declarations and the login that an engine offers to the strategies."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

from rotators.logins.causes import advising
from rotators.logins.target import Server

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.strategies.credential import CredentialType

C_contra = TypeVar("C_contra", contravariant=True)
"""The type that an engine's ``credential.of`` returns."""


class Session(Protocol):
    """One login, with the methods that every strategy needs.

    Every change is made as a whole or not at all. A method that accepts a user also accepts the ``account``
    that another session returned.

    All methods raise TargetUnavailable if the connection ends or the server does not answer, and
    TargetRefused if it refuses. No method sends a password in clear text if the server accepts a hash.
    """

    @property
    def account(self) -> str:
        """The server's name of the logged-in user; longer than the name if one name has many accounts."""

    def check(self, other: str = "") -> None:
        """Run a statement as the logged-in user, and check that it is the expected user.

        Args:
            other: the other user of a pair, empty without one. Each of the two must be able to use the
                objects of the other.

        Raises:
            TargetRefused: it is another user, or one of the two owns objects that the other cannot use.
        """


class Changes(Session, Protocol[C_contra]):
    """A login that may change a credential: what ``single`` needs."""

    @property
    def behind_pooler(self) -> bool:
        """True if a pooler or proxy answers instead of the server, as far as the protocol shows it."""

    def set_credential(self, user: str, credential: C_contra) -> None:
        """Set the credential of ``user``: the session's own, or another that it may administer.

        Args:
            user: name or account.
            credential: the new one.
        """


class Administers(Changes[C_contra], Protocol[C_contra]):
    """An admin's login: what a secret with ``masterarn`` needs."""

    def require_ordinary(self, user: str) -> None:
        """Check that ``user`` has no administrative rights.

        Called before an admin acts for a user that could not log in itself: a person who may write the secret
        can name any user in it, and must not get an admin's rights by this.

        Args:
            user: name of the user.

        Raises:
            TargetRefused: the user is an administrator, or does not exist.
        """

    def require_resettable(self, user: str, rejected: Collection[C_contra], *, tls: bool) -> None:
        """Check, in an admin's session, that ``user`` could log in from here with a new credential.

        A rejected login does not always mean a wrong credential, and the reset of a correct one would lock
        out the applications that use it. Facts that the server does not show to such an admin, such as
        PostgreSQL's hashes to a user who is not a superuser, are assumed to permit the login. If the admin
        only lacks a right that it can be given, the right is required.

        Args:
            user: user whose logins were rejected.
            rejected: the credentials of those logins.
            tls: True if the user's logins use TLS.

        Raises:
            TargetRefused: one of ``rejected`` is the user's credential, or something else prevents the login,
                as the reason says. Nothing was changed.
        """

    def rejections_allowed(self, user: str) -> int | None:
        """Return how many logins of ``user`` in a row may be rejected before the server locks it.

        Called in an admin's session.

        Args:
            user: name of the user.

        Returns:
            The server's limit less one; None if there is no limit, or it cannot be read.
        """


@runtime_checkable
class CountsRejections(Protocol):
    """An admin's login that can read how many logins the server has rejected. The method is optional."""

    def rejections_counted(self, user: str) -> int:
        """Return the number of rejected logins of ``user`` that count towards the server's limit now.

        Args:
            user: name of the user.

        Returns:
            The number; an accepted login makes it 0.
        """


def rejections_left(session: Administers[Any], user: str, own: int) -> int | None:
    """Return how many logins of a rotation may be rejected, less those that others have used up.

    Args:
        session: an admin's.
        user: name of the user.
        own: number of logins that the rotation has had rejected.

    Returns:
        None if there is no limit, or it cannot be read.
    """
    allowed = session.rejections_allowed(user)
    if allowed is None or not isinstance(session, CountsRejections):
        return allowed
    return max(allowed - max(session.rejections_counted(user) - own, 0), 0)


class Clones(Administers[C_contra], Protocol[C_contra]):
    """An admin's login that may create a second user: what ``alternating`` needs."""

    def ensure_clone(self, of: str, clone: str, credential: C_contra) -> None:
        """Make ``clone`` a second login that acts as ``of``, with this credential.

        An existing clone is proven first, and then updated; a missing one is created.

        Args:
            of: the original user.
            clone: the second user.
            credential: the second user's new credential.

        Raises:
            TargetRefused: a user of that name exists and is not proven to be the clone.
        """

    def require_clone(self, of: str, clone: str) -> None:
        """Check that ``clone``, which an administrator created, exists and provably belongs to ``of``.

        Args:
            of: the original user.
            clone: the second user.

        Raises:
            TargetRefused: it does not exist, or there is no proof.
        """


class KeepsTwo(Session, Protocol[C_contra]):
    """A login that may give a user two credentials: what ``dual`` needs."""

    def set_pair(self, user: str, old: C_contra, new: C_contra) -> None:
        """Make exactly these two credentials valid for ``user``.

        If ``old`` was valid before, it is valid at every moment of the change. A repeated call changes
        nothing.

        Args:
            user: name or account.
            old: the credential of AWSCURRENT.
            new: the pending credential.
        """


class Strategy(Protocol):
    """The three parts of a Rotator, for any engine.

    Attributes:
        name: its value in a secret's ``strategy`` key.
        needs_admin: True if a secret with this strategy must name an admin.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see Attributes
    @property
    def needs_admin(self) -> bool: ...  # noqa: D102 - see Attributes

    def propose(self, engine: Engine, rotation: Rotation) -> Secret:
        """See Rotator.propose."""

    def apply(self, engine: Engine, rotation: Rotation) -> None:
        """See Rotator.apply."""

    def verify(self, engine: Engine, rotation: Rotation) -> None:
        """See Rotator.verify."""


@runtime_checkable
class Identified(Protocol):
    """An engine whose secrets may name the target by an identifier in AWS. The declaration is optional.

    Attributes:
        identifiers: the keys that can replace ``host``. The store adds the address when it reads a value of
            an engine that it knows (rotators/aws/addresses.py); without an address nothing is rotated.
    """

    @property
    def identifiers(self) -> tuple[str, ...]: ...  # noqa: D102 - see Attributes


@runtime_checkable
class HasMembers(Protocol):
    """An engine whose secrets have members that no other engine reads. The declaration is optional.

    Attributes:
        members: name and meaning of each, beside ``target_defaults``. They are optional texts, not secret.
    """

    @property
    def members(self) -> Mapping[str, str]: ...  # noqa: D102 - see Attributes


@runtime_checkable
class HasForms(Protocol):
    """An engine whose secrets name the form of new credentials. The declaration is optional.

    Attributes:
        form_members: those of ``members`` that name the form. An admin's session gets them from the user's
            value, not from its own.
    """

    @property
    def form_members(self) -> tuple[str, ...]: ...  # noqa: D102 - see Attributes


@runtime_checkable
class AcceptsPrevious(Protocol):
    """An engine whose servers also accept the credential before the newest one. The declaration is optional.

    An accepted login therefore does not prove that the credential is the newest. A change by the user with
    the previous one raises CredentialsRejected with the reason ``previous-password``.

    Attributes:
        previous_hours: largest number of hours after a change in which the previous credential is valid.
    """

    @property
    def previous_hours(self) -> int: ...  # noqa: D102 - see Attributes


@runtime_checkable
class Advises(Protocol):
    """An engine that declares next actions for causes of failed logins. The declaration is optional.

    Attributes:
        remedies: one sentence for each cause, by key of ``CAUSES`` (logins/causes.py) or ``REFUSALS``
            (recovery/refusals.py), or ``pooler``: where a pooler has a password. `DriverEngine` adds it to
            errors, and doctor to the action of a state, after the part that is the same for all engines. It
            changes nothing but what the cause names.
    """

    @property
    def remedies(self) -> Mapping[str, str]: ...  # noqa: D102 - see Attributes


class Engine(Server, Protocol):
    """A credential type: what it declares, and its login.

    It may declare more: see `Proved`, `HasMembers`, `HasForms`, `Identified`, `AcceptsPrevious`, `Advises`.

    Attributes:
        names, default_port: see Server.
        target_defaults: members that are part of the target, in addition to host and port, with their
            defaults.
        longest_username: maximum length of a user name, in bytes of UTF-8.
        credential: the members that a rotation replaces.
        strategies: supported strategies; the engine's sessions have the methods that these need.
    """

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

        Args:
            secret: value with user, credential and target.
            settings: settings of the function, such as the trusted roots.

        Returns:
            A context manager that returns a Session with the methods that the engine's strategies need.

        Raises:
            CredentialsRejected: the server answered and refused this user with this credential.
            TargetUnavailable: it did not answer in time, or could not be reached. Nothing was rejected.
            TargetRefused: it answered and refused for another reason, such as a missing database or a rule
                about hosts.
            SecretFormatError: a key is missing or wrong.
        """


class DriverEngine:
    """Base of an engine whose session is in a separate module, because it imports the driver.

    Attributes:
        session: name of the module; its function ``logged_in`` gets the secret, the settings and the engine.
    """

    session: ClassVar[str]

    @contextmanager
    def login(self, secret: Secret, settings: Settings) -> Iterator[Any]:
        """See Engine.login. The engine's own remedies are added to errors."""
        opened: AbstractContextManager[Any] = import_module(self.session).logged_in(secret, settings, self)
        with advising(remedies_of(self)), opened as session:
            yield session


def members_of(engine: Engine) -> Mapping[str, str]:
    """Return name and meaning of the members that only this engine reads; none if it declares none.

    Args:
        engine: any engine.

    Returns:
        A sentence for each key of the secret's JSON object.
    """
    return engine.members if isinstance(engine, HasMembers) else {}


def form_members_of(engine: Engine) -> tuple[str, ...]:
    """Return the members that name the form of new credentials; none if the engine declares none.

    Args:
        engine: any engine.

    Returns:
        Keys of the secret's JSON object.
    """
    return engine.form_members if isinstance(engine, HasForms) else ()


def identifiers_of(engine: Engine) -> tuple[str, ...]:
    """Return the keys that can replace ``host``; none if the engine declares none.

    Args:
        engine: any engine.

    Returns:
        Keys of the secret's JSON object, each of which is enough to find the target in AWS.
    """
    return engine.identifiers if isinstance(engine, Identified) else ()


def previous_hours_of(engine: Engine | None) -> int:
    """Return how long the previous credential logs in; 0 if the engine declares nothing.

    Args:
        engine: any engine; None for none.

    Returns:
        Hours after a change.
    """
    return engine.previous_hours if isinstance(engine, AcceptsPrevious) else 0


def remedies_of(engine: object) -> Mapping[str, str]:
    """Return the engine's own parts of next actions by reason; none if it declares none.

    Args:
        engine: any engine; None for none.

    Returns:
        Sentences by reason.
    """
    return engine.remedies if isinstance(engine, Advises) else {}


def own_members(engine: Engine) -> frozenset[str]:
    """Return the public members that the engine declares: those of its target, and its own.

    Args:
        engine: any engine. A member of its credential is never public, whatever else it is declared to be.

    Returns:
        Keys of the secret's JSON object.
    """
    declared = {*engine.target_defaults, *identifiers_of(engine), *members_of(engine)}
    return frozenset(declared.difference(engine.credential.fields))
