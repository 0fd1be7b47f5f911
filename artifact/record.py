"""Records the built architecture in the template that `sam build` wrote and `sam deploy` reads.

    python artifact/record.py .aws-sam/build/template.yaml     # ARCHITECTURE comes from the environment

The parameter Architecture then has the built architecture as its default and its only allowed value, so
CloudFormation refuses to deploy the functions for another processor.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import inputs
from refusal import refuse

# The format that SAM writes: not sorted, blocks indented by two, lists not indented.
_PARAMETER = re.compile(
    r"""(?P<head>^\ \ Architecture:\n
         (?:\ {4}.*\n)*?)
        \ {4}Default:\ \S+\n
        \ {4}AllowedValues:\n
        (?:\ {4}-\ \S+\n)+
        (?:\ {4}ConstraintDescription:.*\n(?:\ {6}.*\n)*)?""",
    re.MULTILINE | re.VERBOSE,
)


def recorded(template: str, architecture: str) -> str:
    """Change a built template so that it can be deployed for one architecture only.

    Args:
        template: the text that `sam build` wrote.
        architecture: the architecture for which the artifact was built.

    Returns:
        The text. Only the parameter's default, allowed values and constraint description are changed.

    Raises:
        SystemExit: the template has no such parameter, or more than one.
    """
    # CloudFormation shows this text after the parameter's name if the constraint is violated.
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
    advice = (
        f"must be {architecture}, which these functions were built for. Deploy with --parameter-overrides "
        f"Architecture={architecture} and change it in samconfig.toml, or build again with "
        "make build ARCHITECTURE=..."
    )
    fixed = (
        f"    Default: {architecture}\n"
        f"    AllowedValues:\n"
        f"    - {architecture}\n"
        f"    ConstraintDescription: {advice}\n"
    )
    changed, count = _PARAMETER.subn(lambda found: found["head"] + fixed, template)
    if count != 1:
        refuse(
            "The built template has no parameter Architecture with Default and AllowedValues; "
            "restore it in template.yaml."
        )
    return changed


RENAMED = {
    "KmsKeyArn": "KmsKeyArns",
    "RetrieveNamePrefix": "RetrieveNamePrefixes",
    "SecretNamePrefix": "SecretNamePrefixes",
}
"""Parameters of earlier versions, with their new names."""


def refuse_old_names(config: Path) -> None:
    """Refuse a samconfig.toml that names parameters of an earlier version.

    `sam deploy` sends only the parameters that the template has. It would omit these without a message, and
    the new ones would get their defaults.

    Args:
        config: the file in which SAM stores the answers of `sam deploy --guided`.

    Raises:
        SystemExit: the file names such a parameter.
    """
    if not config.is_file():
        return
    text = config.read_text(encoding="utf-8")
    old = [name for name in RENAMED if re.search(rf"(?<![A-Za-z0-9]){name}=", text)]
    if old:
        changes = ", ".join(f"{name} to {RENAMED[name]}" for name in old)
        refuse(
            f"{config} names parameters that were renamed, and SAM would leave them out. Change {changes}."
        )


def main() -> None:
    """Rewrite the template, and check samconfig.toml.

    Raises:
        SystemExit: the template does not exist or has no such parameter, or samconfig.toml has old names.
    """
    if len(sys.argv) != 2:  # noqa: PLR2004 - the script and its only argument
        refuse("Usage: python artifact/record.py TEMPLATE")
    template = Path(sys.argv[1])
    architecture = inputs.read(os.environ).architecture
    try:
        text = template.read_text(encoding="utf-8")
    except FileNotFoundError:
        refuse(f"There is no {template}; run `make build` without --build-dir in ARGS.")
    template.write_text(recorded(text, architecture), encoding="utf-8")
    refuse_old_names(Path("samconfig.toml"))
    print(f"\nThe template in {template.parent} now deploys to {architecture} only.")
    print("Next: `.venv-sam/bin/sam deploy --guided`, or `sam deploy` if samconfig.toml has your parameters.")


if __name__ == "__main__":
    main()
