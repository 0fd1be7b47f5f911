"""Generated events, stored values and environments that contain a value that must never be shown."""

from __future__ import annotations

import json
import os
import string
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

EVENTS = Path(__file__).parents[2] / "events"

VALUE = "kq7Zw'%9\\\"é s3cr3t-Pa55"
"""A secret text that no output may contain. Its spellings (escaped, quoted) differ from each other."""

_LONG_RUN = os.environ.get("INPUT_EXAMPLES")


def bounded(examples: int) -> settings:
    """Settings of a test: a number of inputs that are the same each time, or INPUT_EXAMPLES new ones."""
    return settings(
        max_examples=int(_LONG_RUN or examples),
        database=None,
        deadline=None,
        derandomize=_LONG_RUN is None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[*HealthCheck],
    )


DEEP = 600
"""Levels of nesting that a parser accepts and a recursive function does not."""


@dataclass(frozen=True)
class Nested:
    """Stands for VALUE inside many levels of JSON, because Hypothesis cannot print the document itself."""

    levels: int
    lists: bool = False


def whole(document: Any) -> Any:
    """The document with all its levels."""
    if isinstance(document, Nested):
        inner: Any = VALUE
        for _ in range(document.levels):
            inner = [inner] if document.lists else {"a": inner}
        return inner
    if isinstance(document, dict):
        return {key: whole(value) for key, value in document.items()}
    return [whole(value) for value in document] if isinstance(document, list) else document


keys = st.sampled_from(["engine", "host", "port", "password", "username", "strategy", "masterarn", VALUE])
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.just(VALUE)
    | st.sampled_from(["", " ", "\0", "\ud800", "\u202e", "x" * 3000, "9" * 5000, 10**40, -1, 1e400])
)
deep = st.builds(Nested, st.sampled_from([90, 150, DEEP]), lists=st.booleans())
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(keys | st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)
anything = documents | deep


def examples_of(handler: str) -> list[dict[str, Any]]:
    """The valid event files of a handler."""
    files = sorted(EVENTS.glob(f"{handler}-*.json"))
    found = [json.loads(file.read_text()) for file in files if "-bad-" not in file.name]
    return [event for event in found if isinstance(event, dict)]


@st.composite
def changed(draw: st.DrawFn, events: list[dict[str, Any]]) -> Any:
    """A valid event in which some members, at any depth, were removed, replaced, renamed or added."""
    event = deepcopy(draw(st.sampled_from(events)))
    for _ in range(draw(st.integers(1, 3))):
        place = event
        while True:
            inner = [key for key, value in place.items() if isinstance(value, dict) and value]
            if not inner or draw(st.booleans()):
                break
            place = place[draw(st.sampled_from(inner))]
        key = draw(st.sampled_from([*place] or ["x"]))
        match draw(st.sampled_from(["remove", "replace", "rename", "add"])):
            case "remove":
                place.pop(key, None)
            case "replace":
                place[key] = draw(anything)
            case "rename":
                place[draw(keys | st.text(max_size=9))] = place.pop(key, None)
            case "add":
                place[draw(keys | st.text(max_size=9))] = draw(anything)
    return event


def events(handler: str) -> st.SearchStrategy[Any]:
    """Any JSON document, mostly similar to a valid event of the handler."""
    return st.one_of(changed(examples_of(handler)), changed(examples_of(handler)), anything)


good_members = st.fixed_dictionaries(
    {
        "engine": st.sampled_from(["postgres", "mysql", "mariadb", "pg", VALUE]),
        "host": st.sampled_from(["127.0.0.1", "", "no such host", VALUE]) | st.text(max_size=9),
        "username": st.text(max_size=70),
        "password": st.just(VALUE),
    },
    optional={
        "port": st.integers(-1, 70_000) | scalars,
        "dbname": scalars,
        "strategy": st.sampled_from(["single", "dual", "alternating", "alternate", VALUE]),
        "masterarn": st.sampled_from(
            ["", "arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf", VALUE]
        ),
        "ssl": st.booleans() | scalars,
        "sslrootcert": st.sampled_from(["", "/", "/dev/null", VALUE]),
        "more": anything,
    },
)


def _as_text(document: Any) -> str:
    if isinstance(document, dict) and VALUE in [*document, *map(str, document.values())]:
        # If only a public member such as engine contained it, it would not be secret.
        document["password"] = VALUE
    return json.dumps(whole(document))


stored_texts = st.one_of(
    good_members.map(_as_text),
    anything.map(_as_text),
    st.text(min_size=1, max_size=40).map(lambda text: text + VALUE),
    st.sampled_from(
        ['{"a":NaN}', '{"a":1e999,"password":"x"}', "[" * 100_000, '{"password":"\\ud800"}', "{", "null"]
    ),
)
"""Values that a SecretString may contain."""

_texts = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "0",
            "-1",
            "1",
            "true",
            "false",
            "maybe",
            "FOO",
            "INFO",
            "1e999",
            "nan",
            "9" * 400,
            "é",
            "\udcff",
        ]
    ),
    st.sampled_from(
        ["http://127.0.0.1:1", "http://[", "https://", "file:///", "127.0.0.1", "http://a b", ":"]
    ),
    st.text(alphabet=string.printable, max_size=12).map(lambda text: text.replace("\0", "")),
)
VARIABLES = Path(__file__).with_name("variables.txt").read_text().split()
environments = st.dictionaries(st.sampled_from(VARIABLES), _texts, min_size=1, max_size=3)
"""Changes of a function's environment."""
