"""Translation of SAM templates into CloudFormation templates."""

from __future__ import annotations

import copy
import os
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

from rotators.local.errors import LocalStackError


def translated(template: Path, region: str, code: str | None = None) -> dict[str, Any]:
    """Translate a template with AWS's own translator, which `sam deploy` uses.

    Args:
        template: File with the SAM template.
        region: Region of the future stack.
        code: ``s3://bucket/key`` of the packaged functions; None leaves a placeholder.

    Returns:
        A plain CloudFormation template.

    Raises:
        LocalStackError: The translator refuses the template; the cause contains its messages.
    """
    # The translator takes most of a second to import.
    from samtranslator.model.exceptions import (  # type: ignore[import-untyped]  # noqa: PLC0415 - it has no types
        InvalidDocumentException,
    )
    from samtranslator.translator.transform import (  # type: ignore[import-untyped]  # noqa: PLC0415 - the same
        transform,
    )

    source = copy.deepcopy(_parsed(template.read_text(encoding="utf-8")))
    for resource in source["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = code or "s3://none/none"
    source.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    defaults = {
        name: parameter["Default"]
        for name, parameter in source.get("Parameters", {}).items()
        if "Default" in parameter
    }
    # The translator gets the Region from boto3, which may have none.
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": region}):
        try:
            result: dict[str, Any] = transform(source, defaults, _NoManagedPolicies())
        except InvalidDocumentException as error:
            causes = "; ".join(cause.message for cause in error.causes)
            raise LocalStackError(
                f"{template.name} cannot be translated: {causes}", remedy="Correct the template."
            ) from None
    return result


@lru_cache(maxsize=4)  # parsing takes longer than translating, and many stacks have the same template
def _parsed(text: str) -> dict[str, Any]:
    from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    parsed: dict[str, Any] = yaml_parse(text)
    return parsed


class _NoManagedPolicies:
    """Gives the translator no ARNs of AWS's own policies: this project's templates define all roles."""

    def load(self) -> dict[str, str]:
        return {}
