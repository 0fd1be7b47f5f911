"""`rotators schema`: the JSON Schemas of events, records and secrets, for editors and checks outside AWS."""

from __future__ import annotations

from typing import Any

import click

from rotators.cli.errors import SchemaNotFound
from rotators.cli.output import console, json_option, print_json
from rotators.core.registry import did_you_mean, load, registered
from rotators.strategies.rotator import engine_of
from rotators.strategies.schema import secret_schema

_FUNCTIONS = ("rotate", "store", "retrieve", "operate", "notify", "receipt", "widget")
EVENTS = tuple(f"{function}-event" for function in _FUNCTIONS)
"""Names of the events' schemas."""

RECORDS = {"audit-record": "a line that functions and commands write", "receipt": "the receipts of rotations"}
"""Schemas of the output of functions and commands, with their descriptions."""

_DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


@click.command()
@click.argument("name", required=False)
@json_option
def schema(name: str | None) -> None:
    """Print the JSON Schema NAME (draft 2020-12), or list the names.

    NAME is a function's event, such as `store-event`, an engine, whose secrets the schema describes,
    `audit-record`, or `receipt` for the predicate of receipts.
    """
    if name is not None:
        print_json(schema_of(name))
        return
    out, engines = console(), secrets()
    out.document({"events": EVENTS, "records": [*RECORDS], "secrets": engines})
    listed = dict.fromkeys(EVENTS, "the event of a function") | RECORDS
    listed |= dict.fromkeys(engines, "the secrets of an engine")
    out.print(*(f"{each:<22}{words}" for each, words in listed.items()), sep="\n")
    out.next(f"`rotators schema {EVENTS[1]}` prints one.")


def secrets() -> list[str]:
    """Return the names of the secrets' schemas: the installed rotators, in alphabetical order.

    Returns:
        Names of entry points.
    """
    return sorted({entry.name for entry in registered()})


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a name.

    Args:
        name: one of EVENTS or RECORDS, or the entry point of a rotator.

    Returns:
        The schema, as JSON types.

    Raises:
        SchemaNotFound: no event, no record and no rotator has this name, or the rotator declares no engine.
        RegistryError: the rotator cannot be loaded.
    """
    if name in EVENTS:
        from rotators.handlers.schemas import event_schemas  # noqa: PLC0415 - pydantic, when first needed

        return _DIALECT | event_schemas()[name.removesuffix("-event")]
    if name in RECORDS:
        from rotators.handlers.schemas import record_schemas  # noqa: PLC0415 - as above

        return _DIALECT | record_schemas()[name]
    known = [*EVENTS, *RECORDS, *secrets()]
    if name not in known:
        raise SchemaNotFound(
            f"there is no schema {name[:40]!r}{did_you_mean(name, known)}; "
            f"the schemas are: {', '.join(known)}"
        )
    engine = engine_of(load(name))
    if engine is None:
        raise SchemaNotFound(
            f"the rotator {name!r} declares no engine, so the keys of its secrets are not known"
        )
    return _DIALECT | secret_schema(engine)
