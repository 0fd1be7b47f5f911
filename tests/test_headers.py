"""The quick parser of headers gives what the standard library's gives."""

from __future__ import annotations

from email.message import Message
from email.parser import Parser
from http.client import HTTPMessage

import pytest

from tests.headers import standard_parser

TEXTS = [
    "Server: amazon.com\r\nContent-Type:  text/plain; charset=utf-8\r\nEmpty:\r\nA: b \r\na: c:d\r\n\r\n",
    "\r\n",
    "Folded: one\r\n two\r\n\r\n",
    "no header\r\n\r\n",
    "Content-Type: multipart/mixed; boundary=x\r\n\r\n",
    "Content-Type: message/rfc822\r\n\r\n",
    "Unicode: é\x85\x0b\r\n\r\n",
    "A: b\n\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_both_parsers_give_the_same(text: str) -> None:
    def state(message: Message) -> dict[str, object]:
        parts = [str(part) for part in message.walk()]
        return {
            **vars(message),
            "_payload": parts,
            "defects": [type(defect) for defect in message.defects],
        }

    parser: Parser[HTTPMessage] = Parser(_class=HTTPMessage)
    assert state(parser.parsestr(text)) == state(standard_parser(parser, text))  # type: ignore[arg-type]
