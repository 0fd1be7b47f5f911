"""One line of a preflight, and the lines that a login answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rotators.core.errors import CredentialsRejected, RotatorsError, TargetUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from rotators.core.secret import Secret

_NETWORK = ("timeout", "closed-port", "unreachable", "unknown-host")


class Result(StrEnum):
    """What became of a check."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It could not be asked; the detail says why."""
    UNNEEDED = "not needed"


@dataclass(frozen=True)
class Check:
    """One line of a preflight.

    Attributes:
        name: what was checked.
        result: what became of it.
        detail: what was found, or the cause of a failure.
        next: what to do about a failure; empty otherwise.
    """

    name: str
    result: Result
    detail: str = ""
    next: str = ""


def failed_by(name: str, error: RotatorsError) -> Check:
    """The check that an error ended."""
    return Check(name, Result.FAILED, f"[{error.full_code}] {error.cause}", error.remedy)


def of_rotator(login: Callable[[], object]) -> Check:
    """The check of a rotator that is not a database's: whether the current value works.

    Args:
        login: the rotator's own test; raises as ``Rotator.verify`` does.
    """
    name = "login"
    try:
        login()
    except RotatorsError as error:
        return failed_by(name, error)
    except Exception as error:  # noqa: BLE001 - other people's code may raise anything, and its text may hold a value
        remedy = "Report it to the rotator's author."
        return Check(name, Result.FAILED, f"the rotator raised {type(error).__name__}", remedy)
    return Check(name, Result.OK, "AWSCURRENT works")


def of_login(
    value: Secret, login: Callable[[], object], whose: str = "", *, helped: bool = False
) -> Generator[Check, None, bool]:
    """The checks that one login answers: network route, TLS and its roots, credential.

    Args:
        value: who logs in.
        login: logs in and out; raises as ``Engine.login`` does.
        whose: what the names of the checks begin with, such as ``"admin "``.
        helped: whether an admin sets the password if this one is rejected; then that is no obstacle.

    Yields:
        The three checks.

    Returns:
        Whether the login succeeded.
    """
    network, tls, credential = (f"{whose}{name}" for name in ("network route", "TLS", "login"))
    clear = str(value.get("ssl", True)).lower() == "false"
    tls_ok = (
        Check(tls, Result.UNNEEDED, '"ssl" is false: the connection is not encrypted')
        if clear
        else Check(tls, Result.OK, "the server's certificate is trusted")
    )
    try:
        login()
    except TargetUnavailable as error:
        yield from _unavailable(error, network, tls, credential)
        return False
    except RotatorsError as error:
        yield Check(network, Result.OK, "the server answers")
        rejected = isinstance(error, CredentialsRejected)
        yield tls_ok if rejected else Check(tls, Result.UNKNOWN)
        if rejected and helped:
            yield Check(credential, Result.UNNEEDED, "AWSCURRENT is rejected; the admin sets the password")
        else:
            yield failed_by(credential, error)
        return False
    yield Check(network, Result.OK, "the server answers")
    yield tls_ok
    yield Check(credential, Result.OK, "AWSCURRENT logs in" if not whose else "the admin logs in")
    return True


def _unavailable(error: TargetUnavailable, network: str, tls: str, credential: str) -> Iterator[Check]:
    """The checks of a login that ended before the server judged the credential."""
    if error.reason in _NETWORK:
        yield failed_by(network, error)
        yield from (Check(name, Result.UNKNOWN, "the server was not reached") for name in (tls, credential))
        return
    yield Check(network, Result.OK, "the server answers")
    if (error.reason or "").startswith("tls"):
        yield failed_by(tls, error)
        yield Check(credential, Result.UNKNOWN, "no credential is sent without TLS")
    else:
        yield Check(tls, Result.UNKNOWN, "the login ended early")
        yield failed_by(credential, error)
