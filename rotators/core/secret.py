"""One value of a secret: a JSON object that shows its keys and hides its values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from rotators.core.errors import SecretFormatError

# Keys that name a target or an identity. Everything else in a secret counts as secret.
PUBLIC_KEYS = frozenset(
    {
        "alternate_username",
        "dbClusterIdentifier",
        "dbInstanceIdentifier",
        "dbname",
        "engine",
        "host",
        "masterarn",
        "namespaceName",
        "port",
        "ssl",
        "sslrootcert",
        "strategy",
        "username",
    }
)


_SHORTEST_MASKED = 4


class Secret(Mapping[str, object]):
    """An immutable JSON object. Its repr and str name the keys only.

    Keys, their order and values that a rotator does not know survive every copy.

    Args:
        values: the object's members; copied.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = dict(values)

    @classmethod
    def from_string(cls, text: str) -> Secret:
        """Parse a SecretString.

        Raises:
            SecretFormatError: it is not a JSON object. The text is not shown.
        """
        try:
            values = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            # json's own error carries the whole text, so it must not become a cause.
            raise SecretFormatError("the secret's value is not JSON") from None
        if not isinstance(values, dict):
            raise SecretFormatError(f"the secret's value is a JSON {type(values).__name__}, not an object")
        return cls(values)

    def to_string(self) -> str:
        """The SecretString to store: JSON, non-ASCII characters as themselves to stay below the size limit.

        Raises:
            SecretFormatError: a value has no JSON form.
        """
        try:
            text = json.dumps(self._values, ensure_ascii=False, allow_nan=False)
            text.encode()
        except UnicodeEncodeError:
            return json.dumps(self._values)  # lone surrogates: only the escaped form can be encoded
        except (TypeError, ValueError):
            raise SecretFormatError("a value in the proposed secret has no JSON form") from None
        return text

    def text(self, key: str, default: str | None = None) -> str:
        """The non-empty string under ``key``.

        Args:
            key: the member's name; case matters (User Guide, reference_secret_json_structure).
            default: returned when the key is absent; without one, absence is an error.

        Raises:
            SecretFormatError: absent, not a string, empty, or with a NUL character.
        """
        value = self._values.get(key, default)
        if value is None:
            raise SecretFormatError(f"Key is missing from secret JSON: {key!r}{self._near(key)}")
        if not isinstance(value, str) or not value:
            raise SecretFormatError(f"key {key!r} of the secret must be a non-empty string")
        if "\0" in value:
            raise SecretFormatError(f"key {key!r} of the secret holds a NUL character")
        return value

    def replace(self, **values: object) -> Secret:
        """A copy with these members set, all others untouched."""
        return Secret({**self._values, **values})

    def sensitive(self) -> frozenset[str]:
        """Every string and number in the secret, at any depth, that must not be shown anywhere.

        Values of one to three characters count only under ``password``: masking them elsewhere would
        make every message unreadable.
        """
        private = {key: value for key, value in self._values.items() if key not in PUBLIC_KEYS}
        found = {text for text in _strings(private) if len(text) >= _SHORTEST_MASKED}
        return frozenset(found | set(_strings(self._values.get("password"))) - {""})

    def _near(self, key: str) -> str:
        near = [name for name in self._values if name.lower() == key.lower()]
        return f" (there is {near[0]!r}; keys are case-sensitive)" if near else ""

    def __getitem__(self, key: str) -> object:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Secret(keys={sorted(self._values)})"


def _refuse_constant(_name: str) -> object:
    raise ValueError


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from _strings(member)
