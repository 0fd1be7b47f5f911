"""One line of a preflight, and the lines that a login determines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rotators.core.errors import CredentialsRejected, RotatorsError, TargetUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.strategies.engine import Engine

_NETWORK = ("timeout", "closed-port", "unreachable", "unknown-host")


class CheckResult(StrEnum):
    """Result of a check."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The check could not be made; the detail contains the reason."""
    UNNEEDED = "not needed"


@dataclass(frozen=True)
class Check:
    """One line of a preflight.

    Attributes:
        name: subject of the check.
        result: result of the check.
        detail: result in words, or the cause of a failure.
        next: next action after a failure; empty otherwise.
    """

    name: str
    result: CheckResult
    detail: str = ""
    next: str = ""

    @classmethod
    def ok(cls, name: str, detail: str) -> Check:
        """Return a check that passed. See Attributes."""
        return cls(name, CheckResult.OK, detail)

    @classmethod
    def failed(cls, name: str, detail: str, next: str) -> Check:  # noqa: A002 - the attribute's name
        """Return a check that failed. See Attributes."""
        return cls(name, CheckResult.FAILED, detail, next)

    @classmethod
    def unless(cls, fault: str, name: str, detail: str, next: str) -> Check:  # noqa: A002 - the attribute's name
        """Return a check that failed if there is a fault, otherwise one that passed.

        Args:
            fault: cause of the failure, or an empty string.
            name: subject of the check.
            detail: result in words if there is no fault.
            next: next action after the failure.
        """
        return cls.failed(name, fault, next) if fault else cls.ok(name, detail)

    @classmethod
    def unknown(cls, name: str, detail: str = "") -> Check:
        """Return a check that could not be made. See Attributes."""
        return cls(name, CheckResult.UNKNOWN, detail)

    @classmethod
    def unneeded(cls, name: str, detail: str) -> Check:
        """Return a check that was not needed. See Attributes."""
        return cls(name, CheckResult.UNNEEDED, detail)


def failed_by(name: str, error: RotatorsError) -> Check:
    """Return the check that an error ended.

    Args:
        name: subject of the check.
        error: error that ended it.
    """
    return Check.failed(name, f"[{error.full_code}] {error.cause}", error.remedy)


def log_in(engine: Engine, value: Secret, settings: Settings) -> None:
    """Log in with a value, and out.

    Args:
        engine: engine of the value.
        value: user, credential and target.
        settings: settings of the function.

    Raises:
        RotatorsError: see ``Engine.login`` and ``Session.check``.
    """
    with engine.login(value, settings) as session:
        session.check()


def of_rotator(login: Callable[[], object]) -> Check:
    """Return the check of the current value by a rotator that is not for a database.

    Args:
        login: the rotator's test; raises as ``Rotator.verify`` does.
    """
    name = "login"
    try:
        login()
    except RotatorsError as error:
        return failed_by(name, error)
    except Exception as error:  # noqa: BLE001 - third-party code may raise anything, and its text may contain a value
        remedy = "Report it to the rotator's author."
        return Check.failed(name, f"the rotator raised {type(error).__name__}", remedy)
    return Check.ok(name, "AWSCURRENT works")


def of_login(
    value: Secret, login: Callable[[], object], whose: str = "", *, helped: bool = False
) -> Generator[Check, None, bool]:
    """Yield the checks that one login determines: network route, TLS and its roots, credential.

    Args:
        value: value to log in with.
        login: logs in and out; raises as ``Engine.login`` does.
        whose: prefix of the checks' names, such as ``"admin "``.
        helped: True if an admin sets the password after a rejection, which then does not count as a failure.

    Yields:
        The three checks.

    Returns:
        True if the login succeeded.
    """
    network, tls, credential = (f"{whose}{name}" for name in ("network route", "TLS", "login"))
    clear = str(value.get("ssl", True)).lower() == "false"
    tls_ok = (
        Check.unneeded(tls, '"ssl" is false: the connection is not encrypted')
        if clear
        else Check.ok(tls, "the server's certificate is trusted")
    )
    try:
        login()
    except TargetUnavailable as error:
        yield from _unavailable(error, network, tls, credential)
        return False
    except RotatorsError as error:
        yield Check.ok(network, "the server answers")
        rejected = isinstance(error, CredentialsRejected)
        yield tls_ok if rejected else Check.unknown(tls)
        if rejected and helped:
            yield Check.unneeded(credential, "AWSCURRENT is rejected; the admin sets the password")
        else:
            yield failed_by(credential, error)
        return False
    yield Check.ok(network, "the server answers")
    yield tls_ok
    yield Check.ok(credential, "AWSCURRENT logs in" if not whose else "the admin logs in")
    return True


def _unavailable(error: TargetUnavailable, network: str, tls: str, credential: str) -> Iterator[Check]:
    """Yield the checks of a login that ended before the server checked the credential."""
    if error.reason in _NETWORK:
        yield failed_by(network, error)
        yield from (Check.unknown(name, "the server was not reached") for name in (tls, credential))
        return
    yield Check.ok(network, "the server answers")
    if (error.reason or "").startswith("tls"):
        yield failed_by(tls, error)
        yield Check.unknown(credential, "no credential is sent without TLS")
    else:
        yield Check.unknown(tls, "the login ended early")
        yield failed_by(credential, error)
