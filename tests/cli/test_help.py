"""The help of the command, in a process without earlier imports."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rotators.cli import COMMANDS
from tests.libraries import drivers

pytestmark = pytest.mark.processes

SLOW = {"boto3", "botocore", "moto", "pydantic", *drivers()}
"""Libraries that no help text needs."""

PRINT_MODULES = """
import sys
from rotators.__main__ import main
try:
    main()
finally:
    print("imported:", *{name.partition(".")[0] for name in sys.modules})
"""


def help_of(*words: str) -> tuple[str, set[str]]:
    """The text of a help, and the packages that were imported for it."""
    done = subprocess.run(
        [sys.executable, "-c", PRINT_MODULES, *words, "--help"], capture_output=True, text=True, check=True
    )
    text, _, imported = done.stdout.partition("imported:")
    return text, set(imported.split())


def test_the_help_lists_commands_without_importing_them() -> None:
    text, imported = help_of()
    for name in COMMANDS:
        assert f"\n  {name} " in text
    assert not imported & SLOW


def test_a_simple_command_imports_no_slow_library() -> None:
    _, imported = help_of("new")
    assert not imported & SLOW


def test_the_console_script_is_installed() -> None:
    assert shutil.which("rotators", path=str(Path(sys.executable).parent))
