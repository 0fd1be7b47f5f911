"""Makes untrusted text (stages, secret names, server messages) safe to print on a terminal or in a mail."""

from __future__ import annotations

import json
import re

# Characters that are invisible although Unicode counts them as letters or marks: the grapheme joiner,
# Hangul and Khmer fillers, variation selectors (Unicode: Default_Ignorable_Code_Point).
# Not compiled here, because functions import this module and do not need the pattern for ASCII text.
_INVISIBLE = (
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)


def is_visible(character: str) -> bool:
    """Return True if a character prints as itself.

    Args:
        character: one character.

    Returns:
        False for control characters (C0, DEL, C1), line and paragraph separators, bidirectional controls and
        other format characters, surrogates, private and unassigned code points, and invisible letters.
    """
    if character.isascii():
        return character.isprintable()
    if re.match(_INVISIBLE, character):
        return False
    import unicodedata  # noqa: PLC0415 - a library that the functions' cold start need not load

    return character.isprintable() or unicodedata.category(character) == "Zs"


def json_escape(character: str) -> str:
    """Return the escape of a character in JSON.

    Args:
        character: one character.
    """
    # json.dumps leaves DEL as it is.
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def visible(text: str) -> str:
    r"""One line of text in which every character can be seen.

    A terminal executes control characters: ESC can move the cursor, rewrite the screen or set the window's
    title; a bidirectional override changes the order in which text is read; a newline starts a line that
    looks like a message of this program.

    Args:
        text: any text.

    Returns:
        The text with each character that is not visible written as Python's escape (``\x1b``, ``\n``,
        ``\u202e``). Text without such characters is returned as it is.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if is_visible(char) else _escape(char) for char in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
