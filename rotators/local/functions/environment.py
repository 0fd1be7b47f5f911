"""The environment that Lambda gives a function."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping

from rotators.local.iam.requests import KEY_PREFIX


def lambda_environment(
    name: str, handler: str, memory: int, *, endpoint: Mapping[str, str], own: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment that Lambda gives a function, and the variables that find the same code.

    Args:
        name: name of the function.
        handler: dotted path.
        memory: in MB.
        endpoint: variables that select the local AWS.
        own: the function's configured variables. They take precedence, except over Lambda's reserved ones.

    Returns:
        The whole environment of its container.
    """
    kept = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    return {
        **kept,
        **endpoint,
        # Each function has keys of its role, by which IAM identifies the caller.
        "AWS_ACCESS_KEY_ID": f"{KEY_PREFIX}{name}",
        # A Lambda function has no such files; the developer's profile must not affect it.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **own,
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": os.pathsep.join(_import_path()),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "LAMBDA_TASK_ROOT": os.getcwd(),  # noqa: PTH109 - a string is needed
        "_HANDLER": handler,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
    }


# SYSTEMROOT: sockets on Windows need it.
_INHERITED = ("PATH", "SYSTEMROOT", "TMPDIR", "LD_LIBRARY_PATH")


def _import_path() -> list[str]:
    """Return this process's import path, without the entries that the same interpreter adds itself."""
    own = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    entries = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - "" is the working directory
    return [entry for entry in entries if not any(entry.startswith(place) for place in own)]
