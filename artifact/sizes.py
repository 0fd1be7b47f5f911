"""Measures the artifact with each driver, and writes the table in docs/reference/artifact.md.

    python artifact/sizes.py     # the processor comes from the environment, see inputs.py

It needs the packages of locks/build.txt. tests/test_inputs.py requires a row for each driver.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import inputs
from build import build
from dist import write_zip
from extras import default_drivers, drivers
from inputs import ROOT

PAGE = ROOT / "docs" / "reference" / "artifact.md"
HEAD = "| `DRIVERS` | unpacked MB | zipped MB |\n|---|---|---|\n"


def main() -> None:
    """Build one artifact for each driver, one with the default drivers and a plain one, and write the table.

    Raises:
        SystemExit: an artifact cannot be built; the message says what to do. The page is not changed.
    """
    chosen = {f"`{name}`": {"DRIVERS": name} for name in drivers()}
    chosen[", ".join(f"`{name}`" for name in default_drivers())] = {}
    chosen["the same with `PLAIN=1`"] = {"PLAIN": "1"}
    rows = ""
    for label, choices in chosen.items():
        rows += row(label, choices)
        print(rows.splitlines()[-1], flush=True)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(HEAD)
    after = rest.partition("\n\n")[2]
    PAGE.write_text(f"{before}{HEAD}{rows}\n{after}", encoding="utf-8")


def row(label: str, choices: dict[str, str]) -> str:
    """Build an artifact and measure it.

    Args:
        label: first cell of the row.
        choices: make's variables that differ from the defaults.

    Returns:
        The row of the table.
    """
    architecture = {"ARCHITECTURE": os.environ.get("ARCHITECTURE", "arm64")}
    wanted = inputs.read(architecture | choices)
    with tempfile.TemporaryDirectory() as scratch:
        folder, archive = Path(scratch, "content"), Path(scratch, "content.zip")
        build(wanted, folder)
        write_zip(folder, archive)
        unpacked = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return f"| {label} | {unpacked / 1e6:.1f} | {archive.stat().st_size / 1e6:.1f} |\n"


if __name__ == "__main__":
    main()
