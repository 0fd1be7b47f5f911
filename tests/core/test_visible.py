from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.core.visible import is_visible, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\tc\rd\x00", r"a\nb\tc\rd\x00"),
        ("\x7f\x9b2J\x85", r"\x7f\x9b2J\x85"),
        ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("\u2028\u2029\u200b\ufeff\u00ad", r"\u2028\u2029\u200b\ufeff\xad"),
        ("\U000e0041\ufe0f\u3164", r"\U000e0041\ufe0f\u3164"),
        ("\udc80", r"\udc80"),
    ],
)
def test_invisible_characters_are_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("text", ["", "plain [/x] :smile:", "Größe 日本語 …", "« oui »", "\\x1b"])
def test_visible_characters_are_unchanged(text: str) -> None:
    assert visible(text) == text


@given(st.text(st.characters()))
def test_no_control_or_format_character_remains(text: str) -> None:
    shown = visible(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert all(is_visible(char) for char in shown)
    assert visible(shown) == shown
    shown.encode()
