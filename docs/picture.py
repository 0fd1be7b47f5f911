"""Records `rotators demo` as a picture for the README (`make picture`).

The command rotates real credentials in a terminal of fixed width. This script interprets its output like a
terminal, and rich draws the final screen as an SVG file. Times and version ids differ between runs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

COMMAND = ("rotators", "demo")
PICTURE = Path(__file__).parent / "images" / "demo.svg"
WIDTH = 100  # columns

# Control sequences that move the cursor or erase text. The spinners of the command use them.
_CONTROL = re.compile(r"(\r|\n|\x1b\[\d*A|\x1b\[2K|\x1b\[\?25[hl])")
# The width of a character in rich's drawings.
_COLUMN = 12.2
_INDENTED = re.compile(r'x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>((?:&#160;)+)(?=[^<&])')
# The drawing must not load a font from another host.
_FORMAT = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def record() -> str:
    """Run the command.

    Returns:
        The text that it wrote to its terminal, with control sequences.

    Raises:
        subprocess.CalledProcessError: the command failed; its messages are on stderr.
    """
    environment = {**os.environ, "COLUMNS": str(WIDTH), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    environment.pop("COLORTERM", None)
    script = "from rotators.cli import main; main()"
    words = [sys.executable, "-c", script, *COMMAND[1:]]
    done = subprocess.run(words, env=environment, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()  # text=True would turn the carriage returns of the spinners into new lines


def screen(output: str) -> str:
    """Interpret control sequences.

    Args:
        output: the text that a program wrote to its terminal.

    Returns:
        The lines that the terminal shows at the end, with colours.
    """
    lines, row = [""], 0
    for part in _CONTROL.split(output):
        if part == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif part.endswith("A") and part.startswith("\x1b["):
            row = max(0, row - int(part[2:-1] or 1))
        elif part in {"\r", "\x1b[2K"}:
            lines[row] = ""
        elif not part.startswith("\x1b[?25"):
            lines[row] += part
    return "\n".join(lines).strip("\n")


def picture(shown: str) -> str:
    """Draw a screen.

    Args:
        shown: the lines, with colours as ANSI sequences.

    Returns:
        An SVG document.
    """
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True)
        console.print(Text("$ " + " ".join(COMMAND)))
        console.print(Text.from_ansi(shown))
    drawn = console.export_svg(title=" ".join(COMMAND), code_format=_FORMAT, unique_id="demo")
    return _INDENTED.sub(_placed, drawn)


def _placed(text: re.Match[str]) -> str:
    """Replace the blanks at the beginning of a text by its position, because some viewers drop them."""
    start, top, length, rest, blanks = text.groups()
    shift = blanks.count("&#160;") * _COLUMN
    return f'x="{float(start) + shift:g}" y="{top}" textLength="{float(length) - shift:g}"{rest}>'


if __name__ == "__main__":
    PICTURE.write_text(picture(screen(record())), encoding="utf-8")
