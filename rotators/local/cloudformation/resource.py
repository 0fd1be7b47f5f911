"""A created resource of the local CloudFormation, and helpers for the creation of resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError
from moto.cloudformation.exceptions import ValidationError

Properties = dict[str, Any]
Client = Callable[[str], Any]
"""Returns a client for a service."""

Make = Callable[[Client, str, Properties], "StackResource"]

_GONE = {"KMSInvalidStateException", "NoSuchBucket", "NoSuchEntity", "ResourceNotFoundException"}
"""Codes of errors for something that no longer exists or, for a key, that is pending deletion."""


@dataclass
class StackResource:
    """A created resource, as moto keeps it.

    Attributes:
        physical_resource_id: Value of `Ref`.
        attributes: Values of `GetAtt`, by name.
        remove: Deletes it; None if it is deleted with another resource.
    """

    physical_resource_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    remove: Callable[[], object] | None = None

    def get_cfn_attribute(self, name: str) -> Any:
        """Return the value of `GetAtt`.

        Args:
            name: Name of the attribute.

        Raises:
            ValidationError: It has no such attribute.
        """
        if name not in self.attributes:
            raise ValidationError(message=f"{self.physical_resource_id} has no attribute {name}")
        return self.attributes[name]

    def delete(self, _account: str, _region: str) -> None:
        """Delete the resource."""
        if self.remove:
            self.remove()

    def is_created(self) -> bool:
        """Return True: it is ready at once."""
        return True


def as_numbers(value: Any) -> Any:
    """Convert the numbers and booleans of a template's properties, which may be text there.

    Args:
        value: The properties, or a part of them.

    Returns:
        The same structure, as boto3 needs it.
    """
    return with_texts(value, _number)


def with_texts(value: Any, change: Callable[[str], Any]) -> Any:
    """Change the texts of a template's properties.

    Args:
        value: The properties, or a part of them.
        change: Returns what replaces a text.

    Returns:
        The same structure.
    """
    if isinstance(value, dict):
        return {key: with_texts(each, change) for key, each in value.items()}
    if isinstance(value, list):
        return [with_texts(each, change) for each in value]
    return change(value) if isinstance(value, str) else value


def unless_gone(operation: Callable[..., object], **named: Any) -> None:
    """Delete something that may already have been deleted with another resource.

    Args:
        operation: Method of a client that deletes it.
        **named: Parameters of the operation.

    Raises:
        ClientError: The service refused it for another reason.
    """
    try:
        operation(**named)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise


def _number(text: str) -> Any:
    return int(text) if text.isdigit() else {"true": True, "false": False}.get(text, text)
