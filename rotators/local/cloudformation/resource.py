"""A created resource of the local CloudFormation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.cloudformation.exceptions import ValidationError

Properties = dict[str, Any]
Make = Callable[[Callable[[str], Any], str, Properties], "Resource"]


@dataclass
class Resource:
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
    if isinstance(value, dict):
        return {key: as_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_numbers(each) for each in value]
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
