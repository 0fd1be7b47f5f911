"""Credential types: one folder each, with everything about it.

This package exports the names that a third-party engine imports: the declarations (`Password`,
`PasswordRules`, the strategies `Single`, `Alternating` and `Dual`), the helpers of its login (`host_of`,
`port_of`, `wants_tls`), and the rotator that combines them (`EngineRotator`)::

    from rotators.engines import Dual, EngineRotator, Password, PasswordRules

`Engine` describes the attributes and methods of an engine.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers treat it as true; importing typing is slower than all the rest here
if TYPE_CHECKING:
    from rotators.core.passwords import PasswordRules
    from rotators.logins.connecting import wants_tls
    from rotators.logins.target import host_of, port_of
    from rotators.strategies.alternating import Alternating
    from rotators.strategies.credential import Password
    from rotators.strategies.dual import Dual
    from rotators.strategies.engine import Engine
    from rotators.strategies.proof import Proof
    from rotators.strategies.rotator import EngineRotator
    from rotators.strategies.single import Single

__all__ = [
    "Alternating",
    "Dual",
    "Engine",
    "EngineRotator",
    "Password",
    "PasswordRules",
    "Proof",
    "Single",
    "host_of",
    "port_of",
    "wants_tls",
]

_WHERE = {
    "Alternating": "strategies.alternating",
    "Dual": "strategies.dual",
    "Engine": "strategies.engine",
    "EngineRotator": "strategies.rotator",
    "Password": "strategies.credential",
    "PasswordRules": "core.passwords",
    "Proof": "strategies.proof",
    "Single": "strategies.single",
    "host_of": "logins.target",
    "port_of": "logins.target",
    "wants_tls": "logins.connecting",
}


def __getattr__(name: str) -> object:
    # Loaded on first use: each engine imports this package, and a login needs few of these names.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - for the same reason

    return getattr(import_module(f"rotators.{_WHERE[name]}"), name)
