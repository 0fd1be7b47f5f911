"""`rotators invoke FUNCTION EVENT.json`: run one function with one event, local or deployed."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from rotators.aws.views import read_secret
from rotators.cli.aws import answer_of
from rotators.cli.output import console, json_option, print_error, print_json
from rotators.core.errors import InvalidEvent, RotationStateError
from rotators.core.request import RotationRequest, Step
from rotators.core.states import Stage

_EVENTS = "Give a file with one JSON document; the folder events/ has an example for each function."
_OURS = ("rotate", "store", "retrieve")


@click.command()
@click.argument("function")
@click.argument("event", type=click.File("r", encoding="utf-8"))
@json_option
def invoke(function: str, event: Any) -> None:
    """Invoke FUNCTION (rotate, store, retrieve, or any Lambda function's name) with EVENT, a JSON file or -.

    The answer is printed as JSON. If the function fails, its error is printed as a sentence; with --json, the
    whole answer is printed, including the stack trace. For a createSecret event, the command first stages the
    version, as the service does; only the local AWS permits this. Invoke the other three steps afterwards.
    """
    document = _read(event)
    if function == "rotate":
        _stage_if_needed(document)
    name = f"rotators-{function}" if function in _OURS else function
    answer = answer_of(name, document)
    out = console()
    if answer.failed and not out.quiet:
        raise answer.error
    if answer.payload is None and not out.quiet:
        out.print(f"{name} succeeded. The answer is empty.")
    else:
        print_json(answer.payload)
    if answer.failed:
        print_error(str(answer.error))
        sys.exit(1)


def _read(event: Any) -> object:
    try:
        return json.load(event)
    except UnicodeDecodeError:
        raise InvalidEvent(f"{event.name} is not a text in UTF-8", remedy=_EVENTS) from None
    except json.JSONDecodeError as error:
        raise InvalidEvent(f"{event.name} is not JSON (line {error.lineno})", remedy=_EVENTS) from None


def _stage_if_needed(document: object) -> None:
    """Stage a new version for a createSecret event, where the service would have done it."""
    try:
        request = RotationRequest.from_event(document)
    except InvalidEvent:
        return  # the function reports the error
    view = read_secret(request.secret_id)
    known = any(version.id == request.token for version in view.versions)
    if known or request.step is not Step.CREATE or not view.rotation_enabled:
        return
    pending = view.holder(Stage.PENDING)
    if pending not in {None, view.holder(Stage.CURRENT)}:
        raise RotationStateError(
            f"a rotation of {view.name} to version {pending} has not ended",
            remedy=f"`rotators rotate {view.id}` continues it; then invoke this event.",
        )
    from rotators.local.staging import stage  # noqa: PLC0415 - not needed against real AWS

    if not stage(view.arn, request.token):
        raise RotationStateError(
            f"version {request.token} of {view.name} is not staged, and AWS stages a version only "
            "in RotateSecret",
            remedy=f"Run `rotators rotate {view.id}`, or use the token of a started rotation.",
        )
