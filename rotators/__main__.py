"""The console script, also as `python -m rotators`: runs the command, or says what to install.

`pip install rotators` installs the script without the packages that the command needs.
"""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command; it ends the process.

    Raises:
        SystemExit: always. Without the extra ``local``, the message names it.
    """
    try:
        from rotators.cli import main as run  # noqa: PLC0415 - its packages may be missing
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "rotators":
            raise
        sys.exit(f"The command needs {error.name}. Next: pip install 'rotators[local]'")
    try:
        run()
    finally:
        gc.freeze()  # at its end Python would examine all objects, which takes a third of the time with moto


if __name__ == "__main__":
    main()
