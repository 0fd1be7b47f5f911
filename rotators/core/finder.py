"""Finds the values of secrets in a text, plain and encoded.

Servers, drivers and libraries quote, escape and encode their input, and one text may contain several layers
(JSON inside a Python repr). So the text is decoded layer by layer and searched in each form. For every
character of a decoded form, the position in the original text is kept, because the original text is masked.

Found are: the value itself in any case; escapes of Python, JSON, SQL, shells, URLs, HTML and XML; bytes of
UTF-8 and UTF-16 shown as Latin-1; hex digits and base64 (standard and URL-safe, at any alignment) of these
bytes; the first 64 characters of a longer value whose end is cut off; single long lines of a value with
several lines, such as a key in PEM.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

MASK = "***"

WITHHELD = "*** (text withheld: a short secret value may stand in it)"
"""Replaces a text that contains a value of one to three characters."""

_SHORT = 4
_LINE = 16
_HEAD = 64
_ENCODED_HEAD = 48  # bytes of a value that are searched for in hex and base64; what follows is masked as well
_MOST_FORMS = 24
_MOST_LAYERS = 4
_MOST_DECODED = 1_000_000  # characters; about a second


class _Form(NamedTuple):
    """A decoded form of a text.

    Attributes:
        text: the decoded characters.
        starts: index of each of them in the original text; the last item is the original's length.
        layers: number of decoders that were applied.
    """

    text: str
    starts: Sequence[int]
    layers: int = 0


class Finder:
    """Finds values in texts.

    Args:
        values: the strings that must not be shown, unencoded; empty ones do not count.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._values = {value for value in values if value}
        whole = {part for value in self._values for part in _parts(value)}
        self._short = {part.casefold() for part in whole if len(part) < _SHORT}
        long = {part for part in whole if len(part) >= _SHORT}
        self._long = {shown.casefold() for part in long for shown in (part, *_wide(part))}
        self._hex = {data.hex() for part in long for data in _encodings(part)}
        self._base64 = {core for part in long for data in _encodings(part) for core in _base64_cores(data)}

    def masked(self, text: str) -> str:
        """Return the text with each value replaced by ``***``.

        The result is WITHHELD if the text contains a value of three characters or fewer. A mask for single
        letters would damage unrelated words, and the damage would show which letter it is.

        Args:
            text: any text.
        """
        return WITHHELD if self.shows_short(text) else self.masked_long(text)

    def masked_long(self, text: str) -> str:
        """Return a message of this project, with ``***`` for each value of at least four characters.

        Args:
            text: any text.
        """
        return _replaced(text, [span for form in _forms(text) for span in self._spans(form)])

    def shows(self, text: str) -> bool:
        """Return True if a text holds a value of at least four characters.

        Args:
            text: any text.
        """
        return any(True for form in _forms(text) for _ in self._spans(form))

    def shows_short(self, text: str) -> bool:
        """Return True if a text holds a value of fewer than four characters.

        Args:
            text: any text.
        """
        return bool(self._short) and any(
            short in form.text.casefold() for form in _forms(text) for short in self._short
        )

    def names(self, text: str) -> bool:
        """Return True if a text is one of the values.

        Args:
            text: any text.
        """
        return text in self._values

    def _spans(self, form: _Form) -> Iterator[tuple[int, int]]:
        """Yield start and end, in the original, of each value of at least four characters in this form."""
        text, starts = _lowered(form)
        for value in self._long:
            head = value[:_HEAD]
            for at in _places(text, head):
                yield starts[at], starts[at + _common(text, at, value)]
        for needle in self._hex:
            for at in _places(text, needle):
                yield starts[at], starts[_end(_HEX_DIGITS, text, at)]
        for core in self._base64:
            for at in _places(form.text, core):
                begin = _base64_begin(form.text, at)
                yield form.starts[begin], form.starts[_end(_BASE64_DIGITS, form.text, at)]


def _base64_begin(text: str, core: int) -> int:
    """Return the start of a base64 text: up to two characters before the core, if it is not aligned."""
    before = re.search(r"[A-Za-z0-9+/_-]*\Z", text[max(core - 2, 0) : core])
    return core - len(before.group()) if before else core


_HEX_DIGITS = re.compile(r"[0-9a-f]*")
_BASE64_DIGITS = re.compile(r"[A-Za-z0-9+/_-]*=*")


def _parts(value: str) -> Iterator[str]:
    """Yield the value, and its lines if they are long: a message often contains one line only."""
    yield value
    if "\n" in value:
        yield from (line for line in map(str.strip, value.splitlines()) if len(line) >= _LINE)


def _encodings(value: str) -> Iterator[bytes]:
    for name in ("utf-8", "utf-16-le", "utf-16-be"):
        yield value[:_ENCODED_HEAD].encode(name, "surrogatepass")[:_ENCODED_HEAD]


def _wide(value: str) -> Iterator[str]:
    """UTF-16 shown as Latin-1."""
    for name in ("utf-16-le", "utf-16-be"):
        yield value.encode(name, "surrogatepass").decode("latin-1")


def _base64_cores(data: bytes) -> Iterator[str]:
    """Yield the characters that encode the bytes at each alignment, independent of the bytes around them."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        # A character encodes six bits; characters that also encode bits of other bytes are left out.
        first = (before * 8 + 5) // 6
        core = encoded[first : (before + len(data)) * 8 // 6]
        yield core
        yield core.translate(_URL_SAFE)


_URL_SAFE = str.maketrans("+/", "-_")


def _lowered(form: _Form) -> tuple[str, Sequence[int]]:
    """Return the form in lower case, and the position of each character in the original."""
    text = form.text.casefold()
    if len(text) == len(form.text):
        return text, form.starts
    starts = [start for start, char in zip(form.starts, form.text, strict=False) for _ in char.casefold()]
    return text, [*starts, form.starts[-1]]


def _places(text: str, needle: str) -> Iterator[int]:
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + 1)


def _common(text: str, at: int, value: str) -> int:
    """Return the number of characters of the value that the text shows at a place where its head matches."""
    low, high = min(_HEAD, len(value)), len(value)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text.startswith(value[:middle], at) else (low, middle - 1)
    return low


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _replaced(text: str, spans: list[tuple[int, int]]) -> str:
    pieces, done = [], 0
    for begin, end in sorted(spans):
        if end <= done:
            continue
        if begin >= done:
            pieces += [text[done:begin], MASK]
        done = end
    return "".join([*pieces, text[done:]])


def _forms(text: str) -> Iterator[_Form]:
    """Yield the text, and what it becomes when its escapes are decoded, in every order, layer by layer."""
    waiting = [_Form(text, range(len(text) + 1))]
    seen, decodable = {text}, _MOST_DECODED
    while waiting:
        form = waiting.pop(0)
        yield form
        if form.layers == _MOST_LAYERS:
            continue
        for pattern, decode in _DECODERS:
            if len(seen) == _MOST_FORMS or decodable < 0:
                break
            decoded = _decoded(form, pattern, decode)
            if decoded is not form and decoded.text not in seen:
                seen.add(decoded.text)
                waiting.append(decoded)
                decodable -= len(form.text)


def _decoded(form: _Form, pattern: re.Pattern[str], decode: Callable[[str], Sequence[str]]) -> _Form:
    """Return the form with every match of the pattern decoded.

    Args:
        form: form to decode.
        pattern: matches one escape, or a run of them.
        decode: returns the decoded parts of a match, each from an equally long part of it.
    """
    pieces: list[str] = []
    starts: list[int] = []
    done = 0
    for found in pattern.finditer(form.text):
        begin, end = found.span()
        pieces.append(form.text[done:begin])
        starts += form.starts[done:begin]
        parts = decode(found.group())
        for number, part in enumerate(parts):
            pieces.append(part)
            starts += [form.starts[begin + number * (end - begin) // len(parts)]] * len(part)
        done = end
    if not done:
        return form
    pieces.append(form.text[done:])
    starts += form.starts[done:]
    return _Form("".join(pieces), starts, form.layers + 1)


def _of_bytes(data: bytes) -> list[str]:
    """Return the characters of UTF-8, with an empty part for each further byte; Latin-1 for other bytes."""
    try:
        text = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return list(data.decode("latin-1"))
    parts = []
    for char in text:
        parts += [char, *[""] * (len(char.encode("utf-8", "surrogatepass")) - 1)]
    return parts


def _of_backslash(escape: str) -> list[str]:
    """Return the meaning of an escape that begins with a backslash in Python, JSON, SQL and shells."""
    digits = escape[2:]
    match escape[1]:
        case "u" if len(escape) > _JSON_ESCAPE:  # two surrogates, as JSON writes a character
            units = bytes.fromhex(escape[2:6] + escape[8:12])
            return [units.decode("utf-16-be", "surrogatepass"), ""]
        case "x" | "u" | "U" if digits:
            return [chr(min(int(digits, 16), 0x10FFFF))]
        case digit if digit in "01234567":
            return [chr(int(escape[1:], 8))]
        case letter:
            return [_CONTROLS.get(letter, letter)]


_JSON_ESCAPE = len("\\uXXXX")
_CONTROLS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _of_entity(entity: str) -> list[str]:
    if entity[1] == "#":
        digits = entity[2:-1]
        number = int(digits[1:], 16) if digits[0] in "xX" else int(digits)
        return [chr(min(number, 0x10FFFF))]
    import html  # noqa: PLC0415 - a table of 2,231 names that few errors need

    return [html.unescape(entity)]


_Decoder = tuple[re.Pattern[str], Callable[[str], list[str]]]

_DECODERS: tuple[_Decoder, ...] = (
    (
        re.compile(
            r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
            r"|\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|.)",
            re.DOTALL,
        ),
        _of_backslash,
    ),
    (re.compile(r"(?:%[0-9a-fA-F]{2})+"), lambda run: _of_bytes(bytes.fromhex(run.replace("%", "")))),
    (re.compile(r"\+"), lambda _plus: [" "]),  # in the query of a URL
    (re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"), _of_entity),
    # Quotes within quotes: doubled in SQL and CSV; '"'"' and '\\'' in shells.
    (re.compile(r"""'"'"'|'\\''|''|""|``"""), lambda quotes: [quotes[0]]),
    (re.compile(r"[\x80-\xff]{2,}"), lambda run: _of_bytes(run.encode("latin-1"))),
    # Base64 and hex digits wrapped into lines; bytes with separators between them.
    (re.compile(r"(?<=[\w+/=-])\r?\n[ \t]*(?=[\w+/-])"), lambda _wrap: [""]),
    (
        re.compile(r"(?:[0-9a-fA-F]{2}[ :-]){3,}[0-9a-fA-F]{2}"),
        lambda dump: [char if char.isalnum() else "" for char in dump],
    ),
)
