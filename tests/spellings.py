"""The spellings of a value in texts, listed without the product code that searches for them."""

from __future__ import annotations

import base64
import html
import json
import shlex
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHORTEST = 8


def plain_spellings(value: str) -> Iterator[str]:
    """Quoted and escaped for Python, JSON, SQL, shells, URLs, HTML; in upper and lower case."""
    yield value
    yield value.upper()
    yield value.lower()
    yield repr(value)[1:-1]
    yield ascii(value)[1:-1]
    yield repr(value.encode(errors="surrogatepass"))[2:-1]
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield json.dumps(json.dumps(value))[3:-3]
    yield value.replace("'", "''")
    yield value.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"')
    yield shlex.quote(value).strip("'")
    data = value.encode(errors="surrogatepass")
    for quoted in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield quoted
        yield quoted.lower()
    yield html.escape(value)
    yield html.escape(value, quote=False)
    yield value.encode("ascii", "xmlcharrefreplace").decode()


def encoded_spellings(value: str) -> Iterator[str]:
    """Hex and base64 of UTF-8 and UTF-16, at each alignment, and UTF-16 shown as Latin-1."""
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        data = value.encode(encoding, errors="surrogatepass")
        yield data.hex()
        yield data.hex().upper()
        for before in range(3):
            # Without the characters that also encode bits of the text before and after it.
            begin, end = -(-before * 8 // 6), (before + len(data)) * 8 // 6
            whole = bytes(before) + data
            yield base64.b64encode(whole).decode()[begin:end]
            yield base64.urlsafe_b64encode(whole).decode()[begin:end]
    yield value.encode("utf-16-le", errors="surrogatepass").decode("latin-1")
    yield value.encode("utf-16-be", errors="surrogatepass").decode("latin-1")


def spellings(value: str) -> set[str]:
    """All spellings that are too long to occur in a text by chance."""
    forms = {*plain_spellings(value), *encoded_spellings(value)}
    return {form for form in forms if len(form) >= min(len(value), _SHORTEST)}
