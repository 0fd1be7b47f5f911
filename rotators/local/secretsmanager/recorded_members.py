"""The members of Secrets Manager's requests and responses that CloudTrail's records may have.

They are those of the API's model in botocore that are not sensitive there, by operation. Members that are not
in the model are left out, so an incomplete list of names cannot cause a record of a value.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.model import ListShape, StructureShape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import OperationModel, Shape

READ_ONLY = ("BatchGet", "Describe", "Get", "List")
"""Prefixes of the operations whose responses are not recorded (elastic/integrations,
test-get-secret-value-json.log and test-batch-get-secret-value-json.log: ``responseElements`` is null)."""

_LEFT_OUT = {
    # Data that a partner needs to rotate its secret, in the partner's form (API reference,
    # ExternalSecretRotationMetadataItem). The model does not say whether it is sensitive.
    ("RotateSecret", "ExternalSecretRotationMetadata"),
}
"""Operation and member of a request that the model does not mark as sensitive."""


def is_operation(name: str) -> bool:
    """Return True if the API has an operation.

    Args:
        name: name of the operation.
    """
    return name in _operations()


def request_parameters(operation: str, request: object) -> dict[str, Any]:
    """Return a request as CloudTrail writes it: ``secretId``, ``arn``.

    Args:
        operation: operation of the API.
        request: the members as they were sent.
    """
    if not isinstance(request, dict):
        return {}
    known = {name: each for name, each in request.items() if (operation, name) not in _LEFT_OUT}
    return _written(known, _model(operation).input_shape) or {}


def response_elements(operation: str, response: object) -> dict[str, Any] | None:
    """Return a response as CloudTrail writes it; None for an operation that only reads.

    Args:
        operation: operation of the API.
        response: the members as they were answered.
    """
    if operation.startswith(READ_ONLY):
        return None
    return _written(response, _model(operation).output_shape) or None


def recorded_message(text: str, request: object, recorded: object) -> str:
    """Return the message of an error; empty if it quotes a text of the request that is not recorded.

    Args:
        text: the message.
        request: the members as they were sent.
        recorded: recorded parts of them.
    """
    hidden = set(_texts(request)) - set(_texts(recorded)) - {""}
    return "" if any(each in text for each in hidden) else text


def _written(value: object, shape: Shape | None) -> Any:
    """Return a value without parts that are sensitive or not in the model; None if no part is left."""
    if shape is None or shape.metadata.get("sensitive"):
        return None
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        members = {_name(name): _written(value.get(name), each) for name, each in shape.members.items()}
        return {name: each for name, each in members.items() if each is not None}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [each for each in (_written(each, shape.member) for each in value) if each is not None]
    # No request and no recorded response has a map.
    of_one_text = shape.type_name not in {"structure", "list", "map"}
    return value if of_one_text and isinstance(value, str | int | float) else None


def _name(member: str) -> str:
    return "arn" if member == "ARN" else f"{member[:1].lower()}{member[1:]}"


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value


@cache
def _operations() -> dict[str, OperationModel]:
    model = botocore.session.get_session().get_service_model("secretsmanager")
    return {name: model.operation_model(name) for name in model.operation_names}


def _model(operation: str) -> OperationModel:
    return _operations()[operation]
