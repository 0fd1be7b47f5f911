"""Secret rotation on AWS that never locks a user out.

This package exports the names that a third-party rotator imports: the contract (`Rotator`), the arguments of
its methods (`Rotation`, `Secret`, `Settings`), the logins to try and their order (`Tries`), and the errors
that the methods may raise::

    from rotators import CredentialsRejected, Rotation, Secret

`rotators.client` is for applications, `rotators.testing` for the tests of rotators.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it for true; importing typing takes longer than all else here
if TYPE_CHECKING:
    from rotators.core.contracts import Rotator
    from rotators.core.errors import (
        CredentialsRejected,
        IdentityMismatch,
        RotatorsError,
        SecretFormatError,
        TargetRefused,
        TargetUnavailable,
    )
    from rotators.core.rotation import Rotation
    from rotators.core.secret import Secret
    from rotators.core.settings import Settings
    from rotators.core.tries import Tries

__version__ = "0.1.0"

__all__ = [
    "CredentialsRejected",
    "IdentityMismatch",
    "Rotation",
    "Rotator",
    "RotatorsError",
    "Secret",
    "SecretFormatError",
    "Settings",
    "TargetRefused",
    "TargetUnavailable",
    "Tries",
    "__version__",
]

_WHERE = {
    "Rotation": "rotation",
    "Rotator": "contracts",
    "Secret": "secret",
    "Settings": "settings",
    "Tries": "tries",
}


def __getattr__(name: str) -> object:
    # When first asked for: the functions and the client import this package and need few of these names.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - for the same reason

    return getattr(import_module(f"{__name__}.core.{_WHERE.get(name, 'errors')}"), name)
