"""Reading of requests: checks the JSON body against botocore's model of KMS, and decodes binary members."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.loaders import create_loader
from botocore.model import ServiceModel, Shape

from rotators.local.kms.refusals import KmsRefusal, violated

if TYPE_CHECKING:
    from moto.kms.models import KmsBackend

Params = dict[str, Any]
"""Parameters of a request."""

Answer = dict[str, Any]
"""Members of an answer; binary ones as bytes."""

Operation = Callable[["KmsBackend", Params], Answer]
"""Answers requests, by moto's records of the caller's account and Region."""

_NUMBERS = ("integer", "long")


def read(operation: str, body: str | bytes) -> Params:
    """Return the parameters of a request.

    Args:
        operation: Name in the API, such as ``Encrypt``.
        body: Body of the request.

    Returns:
        The parameters; binary ones as bytes.

    Raises:
        KmsRefusal: A member is missing, is not one of its allowed values, is too short or too long, or has
            other characters than allowed.
    """
    params = json.loads(body or b"{}")
    shape: Any = _model().operation_model(operation).input_shape
    for name in shape.required_members:
        if params.get(name) is None:
            raise violated(name, "not be null")
    for name, member in shape.members.items():
        if params.get(name) is not None:
            params[name] = _checked(name, member, params[name])
    return dict(params)


def _checked(name: str, shape: Shape, value: Any) -> Any:
    if shape.type_name == "blob":
        value = _decoded(value)
    # AWS repeats neither messages nor plaintexts, and no binary value.
    shown = None if shape.type_name == "blob" or shape.metadata.get("sensitive") else value
    for constraint in _violations(shape, value):
        raise violated(name, constraint, shown)
    return value


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise KmsRefusal("SerializationException") from None


def _violations(shape: Shape, value: Any) -> Iterator[str]:
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        yield f"satisfy enum value set: [{', '.join(allowed)}]"
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(pattern, value):
        yield f"satisfy regular expression pattern: {pattern}"
    is_number = shape.type_name in _NUMBERS
    if not is_number and shape.type_name not in {"blob", "string"}:
        return
    what, size = ("value", value) if is_number else ("length", len(value))
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield f"have {what} greater than or equal to {least}"
    if most is not None and size > most:
        yield f"have {what} less than or equal to {most}"


@cache
def _model() -> ServiceModel:
    return ServiceModel(create_loader().load_service_model("kms", "service-2"), "kms")
