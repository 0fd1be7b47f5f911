"""One value of a secret: a JSON object whose repr contains the keys and no value."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from rotators.core.errors import SecretFormatError

PUBLIC_KEYS = frozenset(
    {
        "admin_host",
        "admin_port",
        "alternate_username",
        "awsSeamlessDomainDirectoryId",
        "awsSeamlessDomainUsername",
        "clear_text",
        "dbClusterIdentifier",
        "dbInstanceIdentifier",
        "dbname",
        "engine",
        "host",
        "masterarn",
        "port",
        "server_public_key",
        "ssl",
        "sslrootcert",
        "start_tls",
        "strategy",
        "username",
    }
)
"""Keys that name a target or an identity, for any engine; a rotator may declare more (`DeclaresMembers`)."""

AWS_NAMES = {
    "awsSeamlessDomainDirectoryId": "directory_id",
    "awsSeamlessDomainPassword": "password",
    "awsSeamlessDomainUsername": "username",
}
"""Names of members in this project, by AWS's names in credentials of directories."""

MOST_LEVELS = 100
"""Greatest depth of the JSON of a secret. Python parses deeper JSON than it can write or search."""


class Members(NamedTuple):
    """Members that a rotator declares for its secrets; the arguments of `Secret.sensitive`.

    Attributes:
        public: keys, beside PUBLIC_KEYS, that name a target or an identity.
        credential: keys, beside ``password``, that are the credential.
    """

    public: Collection[str] = ()
    credential: Collection[str] = ()


class Secret(Mapping[str, object]):
    """An immutable JSON object. Its repr and str contain only the keys.

    A key whose value is null or an empty string counts as absent: forms and templates write such values for
    empty fields. A key of AWS_NAMES is read and replaced under this project's name. If both names have a
    value, the value of this project's name is read, and both are replaced. Every copy keeps all keys, their
    order and their values as stored.

    Args:
        values: the object's members; copied.
    """

    __slots__ = ("_present", "_stored_names", "_values")

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = dict(values)
        present = {key: value for key, value in self._values.items() if value is not None and value != ""}
        self._stored_names = {
            ours: [name for name in (ours, theirs) if name in present] or [theirs]
            for theirs, ours in AWS_NAMES.items()
            if theirs in present or (theirs in self._values and ours not in self._values)
        }
        our_names = {names[0]: ours for ours, names in self._stored_names.items()}
        self._present = {our_names.get(key, key): value for key, value in present.items()}

    @classmethod
    def from_string(cls, text: str) -> Secret:
        """Parse a SecretString.

        Args:
            text: the SecretString.

        Returns:
            The secret, with every member of the JSON object.

        Raises:
            SecretFormatError: it is not a JSON object, or nested too deeply. The text is not shown.
        """
        try:
            values = json.loads(text, parse_constant=_refuse_constant, parse_float=_Float)
        except (ValueError, RecursionError):
            # json's own error contains the whole text, so it must not become a cause.
            raise SecretFormatError("the secret's value is not JSON") from None
        if not isinstance(values, dict):
            raise SecretFormatError(f"the secret's value is a JSON {type(values).__name__}, not an object")
        if is_too_deep(values):
            raise SecretFormatError(f"the secret's value is nested more than {MOST_LEVELS} levels deep")
        return cls(values)

    def to_string(self) -> str:
        """Return the SecretString to store: JSON without blanks, because its size is limited.

        Numbers keep the digits they were written with: ``1.10`` does not become ``1.1``.

        Raises:
            SecretFormatError: a value cannot be written as JSON.
        """
        try:
            return _dumped(self._values)
        except (TypeError, ValueError, RecursionError):
            raise SecretFormatError("a value in the proposed secret cannot be written as JSON") from None

    def text(self, key: str, default: str | None = None) -> str:
        """Return the non-empty string under ``key``.

        Args:
            key: the member's name; case matters (User Guide, reference_secret_json_structure).
            default: result if the key is absent; None to raise an error then.

        Raises:
            SecretFormatError: the value is absent, not a string, or contains a NUL character or a lone
                surrogate.
        """
        value = self._present.get(key, default)
        if value is None and key not in self._present:
            raise SecretFormatError(f"Key is missing from secret JSON: {key!r}{self._near(key)}")
        if not isinstance(value, str) or not value:
            raise SecretFormatError(f"key {key!r} of the secret must be a non-empty string")
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise SecretFormatError(f"key {key!r} of the secret contains a character that no server accepts")
        return value

    def stored(self) -> dict[str, object]:
        """Return all members as they are stored, including those that count as absent.

        Returns:
            A new dictionary: the keys and values of the JSON text, in its order.
        """
        return dict(self._values)

    def replace(self, **values: object) -> Secret:
        """Return a copy in which the members named by ``values`` are set and all others untouched.

        Args:
            **values: new values by key. A key that the secret stores under another of AWS's names is set
                there.
        """
        stored = {name: value for key, value in values.items() for name in self._stored_names.get(key, [key])}
        return Secret({**self._values, **stored})

    def sensitive(self, public: Collection[str] = (), credential: Collection[str] = ()) -> frozenset[str]:
        """Return every string and number in the secret, at any depth, that must not be shown anywhere.

        Short values count only in the credential: a mask for others would make messages unreadable.

        Args:
            public: keys, beside PUBLIC_KEYS, whose values may be shown.
            credential: keys, beside ``password``, that are the credential. Their values are never shown, even
                if the keys are public too.

        Returns:
            Texts of at least 4 characters, or of at least 6 if they are only digits; those of the credential
            of any length.
        """
        private = {
            key: value for key, value in self._values.items() if key not in PUBLIC_KEYS and key not in public
        }
        # Digits occur in ARNs and ports, so a number must be longer to count.
        found = {text for text in _strings(private) if len(text) >= (6 if text.isdigit() else 4)}
        stored = [name for key in {"password", *credential} for name in self._stored_names.get(key, [key])]
        return frozenset(found | set(_strings([self._values.get(name) for name in stored])) - {""})

    def _near(self, key: str) -> str:
        if key in self._values:
            return " (its value is null or empty)"
        near = [name for name in self._values if name.lower() == key.lower()]
        return f" (there is {near[0]!r}; keys are case-sensitive)" if near else ""

    def __getitem__(self, key: str) -> object:
        return self._present[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._present)

    def __len__(self) -> int:
        return len(self._present)

    def __repr__(self) -> str:
        return f"Secret(keys={sorted(self._values)})"


class _Float(float):
    """A number that keeps its original spelling."""

    def __new__(cls, literal: str) -> _Float:
        number = super().__new__(cls, literal)
        number.literal = literal
        return number

    literal: str


def _dumped(values: dict[str, object]) -> str:
    """JSON with the original spelling of numbers; the json module may write a float differently."""
    literals: list[str] = []
    mark = secrets.token_hex(8)

    def marked(value: object) -> object:
        if isinstance(value, _Float):
            literals.append(value.literal)
            return f"{mark}{len(literals) - 1}"
        if isinstance(value, dict):
            return {key: marked(member) for key, member in value.items()}
        return [marked(member) for member in value] if isinstance(value, list) else value

    tree = marked(values)
    text = json.dumps(tree, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if any("\ud800" <= character <= "\udfff" for character in text):
        # Lone surrogates can be stored only in escaped form.
        text = json.dumps(tree, allow_nan=False, separators=(",", ":"))
    return re.sub(f'"{mark}([0-9]+)"', lambda found: literals[int(found[1])], text)


def is_too_deep(value: object) -> bool:
    """Return True if a JSON document is nested more than MOST_LEVELS levels deep.

    Args:
        value: as ``json.loads`` returns it.
    """
    level = [value]
    for _ in range(MOST_LEVELS + 1):
        level = [
            member
            for each in level
            if isinstance(each, dict | list)
            for member in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def _refuse_constant(_name: str) -> object:
    raise ValueError


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
        if isinstance(value, _Float):
            yield value.literal
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from _strings(member)
