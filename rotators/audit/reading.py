"""JSON values in a file: one document, lines, or many records in a list; plain or compressed with gzip.

A file is read in pieces, so its size is not limited. After a damaged part, reading continues: the result has
the values before it, then the damage, then the values from the next record that can be found.
"""

from __future__ import annotations

import codecs
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import IO

_PIECE = 1 << 16
_LARGEST = 64 << 20  # characters; a record of CloudTrail has less than 1 MB
_GZIP = b"\x1f\x8b"
_GZIP_FORMAT = 31  # for zlib: only gzip, with the largest window
_HEAD = 1000  # characters of a file in which its list begins
_MOST_DAMAGES = 100_000  # damaged parts of a file after which the rest is not read
_NEAR = 16  # an error this close to the end of the text may only mean that the rest is not read yet

_BETWEEN = re.compile(r"[\s,\x00\ufeff]*")
_LIST = re.compile(r'\{\s*"(?:Records|Events)"\s*:\s*\[')
_LIST_END = re.compile(r"\]")
_NEXT_RECORD = re.compile(r'(?<=\n)\{|\{\s*"eventVersion"')
# Numbers stay texts: no code calculates with them, and Python refuses some. NaN is not valid JSON.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


@dataclass(frozen=True)
class Damage:
    """A part of a file that could not be read.

    Attributes:
        code: ``truncated``, ``not-json`` or ``not-gzip``.
        cause: description of the damage.
    """

    code: str
    cause: str


def values(stream: IO[bytes]) -> Iterator[object]:
    """Yield the JSON values of a file; the elements of a list ``Records`` or ``Events`` one by one.

    Args:
        stream: the file.

    Yields:
        Values, and a `Damage` for each part that could not be read.
    """
    damages = 0
    for value in _all_values(stream):
        yield value
        damages += isinstance(value, Damage)
        if damages == _MOST_DAMAGES:
            yield Damage("not-json", f"{damages:,} places are damaged; the rest was not read")
            return


def _all_values(stream: IO[bytes]) -> Iterator[object]:
    text = _Text(stream)
    if not text.find(_BETWEEN) and not text.damage:
        yield Damage("truncated", "the file is empty")
    while text.find(_BETWEEN):
        if text.begins(_LIST):
            yield from _elements(text)
        else:
            yield text.value()
    yield from text.damage


def _elements(text: _Text) -> Iterator[object]:
    element: object = None
    while text.find(_BETWEEN):
        if text.begins(_LIST_END):
            text.replace('{"":0')  # the rest of the object around the list, as a separate object
            rest = text.value()
            if isinstance(rest, Damage):
                yield rest
            return
        element = text.value()
        yield element
    if not text.damage and not isinstance(element, Damage):
        yield Damage("truncated", "the file ends in the middle of its list of records")


class _Text:
    """The text of a file with a position, read as far as needed.

    Args:
        stream: the file.

    Attributes:
        damage: why the file could not be read to its end; empty until then.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.damage: list[Damage] = []
        self._pieces = _decoded(_bytes(stream, self.damage))
        self._buffer, self._position = "", 0
        self._ended = False

    def find(self, ignored: re.Pattern[str]) -> bool:
        """Move behind ignored characters; False at the end of the file."""
        while True:
            self._passes(ignored)
            if self._position < len(self._buffer):
                return True
            if not self._more():
                return False

    def begins(self, pattern: re.Pattern[str]) -> bool:
        """Move behind a pattern, if the text begins with it."""
        while len(self._buffer) - self._position < _HEAD and self._more():
            pass
        return self._passes(pattern)

    def replace(self, beginning: str) -> None:
        """Put a text before the rest."""
        self._buffer, self._position = beginning + self._buffer[self._position :], 0

    def value(self) -> object:
        """Return the next value or damage; the position is then at the next record."""
        while True:
            try:
                found, self._position = _DECODER.raw_decode(self._buffer, self._position)
            except json.JSONDecodeError as error:
                if not _is_wrong(error, len(self._buffer)) and self._more():
                    continue
                return self._skipped(error)
            except (ValueError, RecursionError) as error:
                return self._skipped(error)
            return found

    def _skipped(self, error: Exception) -> Damage:
        damage = self._damage(error)
        self._position += 1
        while (found := _NEXT_RECORD.search(self._buffer, self._position)) is None:
            self._position = max(self._position, len(self._buffer) - len('{ "eventVersion"'))
            if not self._more():
                self._position = len(self._buffer)
                return damage
        self._position = found.start()
        if self._position > _PIECE:  # json's error counts all lines before it each time
            self.replace("")
        return damage

    def _damage(self, error: Exception) -> Damage:
        if len(self._buffer) - self._position > _LARGEST:
            return Damage("not-json", "a value is larger than 64 MB")
        cut = isinstance(error, json.JSONDecodeError) and not _is_wrong(error, len(self._buffer))
        if cut and self._buffer.startswith("{", self._position):
            return Damage("truncated", "the file ends in the middle of a record")
        if isinstance(error, RecursionError):
            return Damage("not-json", "a value is nested too deeply")
        return Damage("not-json", "this is not JSON")

    def _more(self) -> bool:
        """Read further text, at least as much as there is; False at the end, or if a value is too large."""
        if self._ended or len(self._buffer) - self._position > _LARGEST:
            return False
        rest = self._buffer[self._position :]
        pieces, size = [rest], 0
        while size <= len(rest) and (piece := next(self._pieces, "")):
            pieces.append(piece)
            size += len(piece)
        self._buffer, self._position = "".join(pieces), 0
        self._ended = size == 0
        return not self._ended

    def _passes(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._buffer, self._position)
        self._position = found.end() if found else self._position
        return found is not None


def _is_wrong(error: json.JSONDecodeError, size: int) -> bool:
    """Return True if no further text could make this valid JSON."""
    return error.pos + _NEAR < size and not error.msg.startswith("Unterminated")


def _decoded(pieces: Iterator[bytes]) -> Iterator[str]:
    """Texts of pieces, none empty, in the encoding that their beginning shows; other bytes are replaced."""
    first = next(pieces, b"")
    decoder = codecs.getincrementaldecoder(json.detect_encoding(first[:4]))(errors="replace")
    texts = (decoder.decode(piece) for piece in chain([first], pieces))
    yield from filter(None, texts)
    if rest := decoder.decode(b"", final=True):
        yield rest


def _bytes(stream: IO[bytes], damage: list[Damage]) -> Iterator[bytes]:
    """Pieces of a file, decompressed; ``damage`` gets the reason if it cannot be read to its end."""
    piece = stream.read(_PIECE)
    if piece.startswith(_GZIP):
        yield from _unpacked(piece, stream, damage)
        return
    while piece:
        yield piece
        piece = stream.read(_PIECE)


def _unpacked(piece: bytes, stream: IO[bytes], damage: list[Damage]) -> Iterator[bytes]:
    """Decompress all members of a file; an output is at most as large as a piece, for any input."""
    unpacking = zlib.decompressobj(_GZIP_FORMAT)
    while piece:
        try:
            unpacked = unpacking.decompress(piece, _PIECE)
        except zlib.error:
            damage.append(Damage("not-gzip", "the compressed data is damaged"))
            return
        if unpacked:
            yield unpacked
        if not unpacking.eof:
            piece = unpacking.unconsumed_tail or stream.read(_PIECE)
            continue
        piece = (unpacking.unused_data or stream.read(_PIECE)).lstrip(b"\0")  # tapes pad files
        if piece:
            unpacking = zlib.decompressobj(_GZIP_FORMAT)
    if not unpacking.eof:
        damage.append(Damage("truncated", "the compressed data ends too early"))
