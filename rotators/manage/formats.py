"""Files of secrets: what `rotators export` writes, and `rotators import` reads.

``json`` and ``yaml`` contain many secrets, by name. ``dotenv``, ``chamber`` (a flat JSON object, as
``chamber export`` writes it) and ``vault`` (the object that ``vault kv put NAME @file`` takes, or the answer
of ``vault kv get -format=json``) contain one.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any

from rotators.core.errors import SecretFormatError
from rotators.core.secret import Secret
from rotators.core.visible import is_visible, json_escape
from rotators.manage.errors import FileUnreadable, FormatUnsuited

Content = str | bytes
"""A SecretString or a SecretBinary."""

OF_MANY = ("json", "yaml")
OF_ONE = ("dotenv", "chamber", "vault")
FORMATS = (*OF_MANY, *OF_ONE)

_BINARY = "$binary"
_LARGEST = 1 << 26  # characters of a file of YAML after its aliases are replaced: a thousand secrets


def written(form: str, secrets: Mapping[str, Content]) -> str:
    """Return the text of a file.

    Args:
        form: one of FORMATS.
        secrets: names and values; exactly one for a format of OF_ONE.

    Returns:
        The text, with values in clear text.

    Raises:
        FormatUnsuited: the format cannot express these secrets.
    """
    if form == "json":
        lines = [f"  {json.dumps(name)}: {_json_of(content)}" for name, content in secrets.items()]
        return _escaped("{\n" + ",\n".join(lines) + "\n}\n")
    if form == "yaml":
        import yaml  # type: ignore[import-untyped]  # noqa: PLC0415 - only this format needs it

        tree = json.loads(written("json", secrets))
        return str(yaml.safe_dump(tree, sort_keys=False))
    if len(secrets) != 1:
        raise FormatUnsuited(f"a file of the format {form} contains one secret, not {len(secrets)}")
    ((name, content),) = secrets.items()
    members = _members(name, content)
    if form == "dotenv":
        return "".join(f"{_variable(key)}={_quoted(_flat(value))}\n" for key, value in members.items())
    tree = members if form == "vault" else {key: _flat(value) for key, value in members.items()}
    return _escaped(json.dumps(tree, indent=2, ensure_ascii=False) + "\n")


def read(form: str, text: str, name: str | None) -> dict[str, Content]:
    """Return the secrets in a file.

    Args:
        form: one of FORMATS.
        text: text of the file.
        name: name of the secret, for a format of OF_ONE.

    Returns:
        Names and values.

    Raises:
        FileUnreadable: the text is not of this format. It is not shown.
        FormatUnsuited: a name is missing, or given for a file of many secrets.
    """
    if (form in OF_ONE) != (name is not None):
        if form in OF_ONE:
            cause, remedy = "does not name its secret", "Name it with --to."
        else:
            cause, remedy = "contains the names of its secrets", "Omit --to."
        raise FormatUnsuited(f"a file of the format {form} {cause}", remedy=remedy)
    try:
        tree = _PARSERS[form](text)
        if isinstance(tree, dict) and name is not None:
            tree = {name: tree}
        found = {str(key): _content(value) for key, value in tree.items()} if isinstance(tree, dict) else {}
    except (TypeError, ValueError, RecursionError, SecretFormatError):
        # The libraries' own errors quote the text.
        raise FileUnreadable(f"the file is not of the format {form}") from None
    if not found:
        raise FileUnreadable(f"the file of the format {form} contains no secret")
    return found


def _json_of(content: Content) -> str:
    """Return a value as JSON: an object as it is, so that numbers keep their digits."""
    if isinstance(content, bytes):
        return json.dumps({_BINARY: base64.b64encode(content).decode()})
    try:
        return Secret.from_string(content).to_string()
    except SecretFormatError:
        return json.dumps(content, ensure_ascii=False)


def _escaped(text: str) -> str:
    """Return JSON in which invisible characters are escaped, so that a person can see them."""
    return "".join(each if each == "\n" or is_visible(each) else json_escape(each) for each in text)


def _content(value: Any) -> Content:
    if isinstance(value, dict) and set(value) == {_BINARY}:
        try:
            return base64.b64decode(value[_BINARY], validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise FileUnreadable(f"the member {_BINARY} of a secret is not base64") from None
    if isinstance(value, dict):
        return Secret(value).to_string()
    return _flat(value)


def _members(name: str, content: Content) -> dict[str, Any]:
    if isinstance(content, str):
        with suppress(SecretFormatError):
            members: dict[str, Any] = json.loads(Secret.from_string(content).to_string())
            return members
    raise FormatUnsuited(f"the value of {name} is not a JSON object", remedy="Export it as json or yaml.")


def _flat(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _variable(key: str) -> str:
    if not key.isascii() or not key.isidentifier():
        raise FormatUnsuited(f"the member {key!r} is not the name of a variable", remedy="Export it as json.")
    return key


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _of_dotenv(text: str) -> dict[str, Any]:
    from dotenv.parser import parse_stream  # noqa: PLC0415 - only this format needs it

    found = {}
    # Its functions for whole files skip lines that they cannot parse.
    for line in parse_stream(io.StringIO(text)):
        if line.error or (line.key is not None and line.value is None):
            raise ValueError
        if line.key is not None:
            found[line.key] = line.value
    return found


def _of_yaml(text: str) -> Any:
    import yaml  # noqa: PLC0415 - only this format needs it

    try:
        if _size(yaml.compose(text, yaml.SafeLoader), {}) > max(len(text), _LARGEST):
            raise ValueError
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ValueError from None


def _size(node: Any, known: dict[int, int]) -> int:
    """Return the characters and nodes of a node of YAML, with its aliases replaced by what they name.

    Args:
        node: the node.
        known: sizes by node, so that what many aliases name is measured once.

    Raises:
        ValueError: two members have one name, of which PyYAML takes the last; or a node contains itself.
    """
    if node is None or node.id == "scalar":
        return 1 + len(node.value if node else "")
    if id(node) in known:
        if not known[id(node)]:
            raise ValueError
        return known[id(node)]
    known[id(node)] = 0  # replaced when its parts are measured
    parts = node.value
    if node.id == "mapping":
        names = [key.value for key, _ in parts]
        if len(set(map(str, names))) != len(names):
            raise ValueError
        parts = chain.from_iterable(parts)
    size = 1 + sum(_size(part, known) for part in parts)
    known[id(node)] = size
    return size


def _of_json(text: str) -> dict[str, Any]:
    json.loads(text, object_pairs_hook=_object)
    return Secret.from_string(text).stored()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, and refuse two members of one name, of which json would take the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _of_vault(text: str) -> Any:
    tree = _of_json(text)
    data = tree.get("data")
    if not isinstance(data, dict) or not (len(tree) == 1 or "request_id" in tree):
        return tree
    # Version 2 of the engine returns the value under data.data, version 1 under data.
    return data["data"] if isinstance(data.get("data"), dict) and "metadata" in data else data


_PARSERS: dict[str, Callable[[str], Any]] = {
    "json": _of_json,
    "yaml": _of_yaml,
    "dotenv": _of_dotenv,
    "chamber": _of_json,
    "vault": _of_vault,
}
