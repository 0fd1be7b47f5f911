"""Errors of the command."""

from __future__ import annotations

from typing import Self

from rotators.core.errors import InvalidInput, RotatorsError, StoreError


class SchemaNotFound(InvalidInput):
    """`rotators schema` knows no schema of this name."""

    code = "schema-not-found"
    remedy = "Run `rotators schema`, which lists the names."


class ScaffoldRefused(InvalidInput):
    """`rotators new` cannot make a package of this name in this place; nothing was written."""

    code = "scaffold-refused"
    remedy = "Choose another name or folder."


class FunctionFailed(StoreError):
    """A Lambda function that was invoked failed with an error that is none of ours, or was cut off."""

    code = "function-failed"
    remedy = "Read the function's log group in CloudWatch Logs; a time-out means that a route is missing."


class StackNotFound(StoreError):
    """CloudFormation has no stack of this name here, or none that has outputs."""

    code = "stack-not-found"
    remedy = (
        "Check the account and the Region, name the stack with --stack, or deploy it "
        "(docs/how-to/deploying.md)."
    )


class ExtraMissing(InvalidInput):
    """A command needs a package of an extra that is not installed; nothing was done."""

    code = "extra-missing"
    remedy = "Install the extra with pip."


class PortUnusable(InvalidInput):
    """A command cannot listen on the port that was named."""

    code = "port-unusable"
    remedy = "Omit --port to use a free port."


class Interrupted(RotatorsError):
    """A signal ended the command: Ctrl-C, SIGTERM or SIGHUP."""

    code = "interrupted"
    remedy = "repeat the command; a rotation that has begun continues without it."


class SystemRefused(RotatorsError):
    """The operating system refused something that the command needs, such as a file or its output."""

    code = "system-refused"
    remedy = "Check the disk, the terminal and the permissions."

    @classmethod
    def of(cls, error: OSError) -> Self:
        """Return the error of this project for an error of Python.

        Args:
            error: the error of Python.
        """
        where = f"{error.filename}: " if error.filename else ""
        return cls(f"{where}{error.strerror or type(error).__name__}")
