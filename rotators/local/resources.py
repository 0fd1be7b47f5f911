"""What a resource of the local CloudFormation is, once it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.cloudformation.exceptions import ValidationError

Properties = dict[str, Any]
Make = Callable[[Callable[[str], Any], str, Properties], "Resource"]


@dataclass
class Resource:
    """A made resource, as moto keeps it.

    Attributes:
        physical_resource_id: what `Ref` gives.
        attributes: what `GetAtt` gives, by name.
        remove: deletes it; None for what goes with another resource.
    """

    physical_resource_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    remove: Callable[[], object] | None = None

    def get_cfn_attribute(self, name: str) -> Any:
        """What `GetAtt` gives.

        Raises:
            ValidationError: it has no such attribute.
        """
        if name not in self.attributes:
            raise ValidationError(message=f"{self.physical_resource_id} has no attribute {name}")
        return self.attributes[name]

    def delete(self, _account: str, _region: str) -> None:
        """Delete it."""
        if self.remove:
            self.remove()

    def is_created(self) -> bool:
        """Whether it is ready: at once."""
        return True


def as_numbers(value: Any) -> Any:
    """A template's properties as boto3 wants them: numbers and truth values may be text in a template."""
    if isinstance(value, dict):
        return {key: as_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_numbers(each) for each in value]
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
