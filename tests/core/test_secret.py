"""A secret shows its keys, hides its values, and keeps all members."""

from __future__ import annotations

import json
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.core.errors import SecretFormatError
from rotators.core.secret import MOST_LEVELS, Secret

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_a_value_survives_being_read_and_written(values: dict[str, object]) -> None:
    text = Secret.from_string(json.dumps(values)).to_string()
    assert json.loads(text.encode()) == values


@given(st.dictionaries(st.text(), JSON, max_size=4), st.text())
def test_replacing_the_password_leaves_every_other_key_untouched(
    values: dict[str, object], password: str
) -> None:
    changed = Secret(values).replace(password=password)
    assert json.loads(changed.to_string()) == {**values, "password": password}


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_member_is_absent_but_kept(empty: object) -> None:
    secret = Secret({"any_key": empty, "port": 0, "ssl": False})
    assert {**secret} == {"port": 0, "ssl": False}
    assert json.loads(secret.to_string()) == {"any_key": empty, "port": 0, "ssl": False}


def test_declared_members_are_not_sensitive() -> None:
    secret = Secret({"cluster_name": "orders-db", "password": "hidden"})
    assert secret.sensitive() == {"orders-db", "hidden"}
    assert secret.sensitive({"cluster_name"}) == {"hidden"}


@given(
    st.text(),
    st.text(min_size=1) | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
def test_a_declared_credential_is_sensitive_at_any_length(
    key: str, value: str | float, is_public: bool
) -> None:
    for shape in (value, [value], {"nested": value}):
        found = Secret({key: shape}).sensitive({key} if is_public else (), {key})
        assert found == {str(value)}


def test_short_values_count_in_the_credential_only() -> None:
    secret = Secret({"api_key": "12345", "password": "pw", "size": "12345", "unit": "kB"})
    assert secret.sensitive() == {"pw"}
    assert secret.sensitive((), ("api_key",)) == {"pw", "12345"}


def test_repr_and_str_show_keys_and_no_value() -> None:
    secret = Secret({"username": "app", "password": "hunter2-hunter2"})
    assert repr(secret) == str(secret) == "Secret(keys=['password', 'username'])"


@pytest.mark.parametrize(
    "text", ["", "hunter2-no-json", '["hunter2"]', '"hunter2"', '{"a": NaN, "p": "hunter2"}', "[" * 100_000]
)
def test_other_than_json_objects_are_refused_unseen(text: str) -> None:
    with pytest.raises(SecretFormatError) as caught:
        Secret.from_string(text)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("levels", "taken"), [(MOST_LEVELS, True), (MOST_LEVELS + 1, False), (600, False)])
@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")])
def test_deeply_nested_json_is_refused_on_reading(
    levels: int, taken: bool, opening: str, closing: str
) -> None:
    text = '{"a":' + opening * (levels - 1) + "1" + closing * (levels - 1) + "}"
    if taken:
        assert Secret.from_string(text).to_string() == text
        return
    with pytest.raises(SecretFormatError, match="nested more than 100 levels"):
        Secret.from_string(text)


def test_a_deeply_nested_proposal_is_refused() -> None:
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(SecretFormatError):
        Secret({"a": deep}).to_string()


def test_a_number_is_sensitive_as_written() -> None:
    assert {"1234.500", "1234.5"} <= Secret.from_string('{"pin":1234.500}').sensitive()


def test_a_missing_key_is_named_with_similar_ones() -> None:
    with pytest.raises(
        SecretFormatError, match=r"'username' \(there is 'Username'; keys are case-sensitive\)"
    ):
        Secret({"Username": "app"}).text("username")


@pytest.mark.parametrize("value", ["", 5, None, ["x"], "a\0b"])
def test_an_unusable_text_is_refused_by_key(value: object) -> None:
    with pytest.raises(SecretFormatError, match="'password'"):
        Secret({"password": value}).text("password")


def test_private_strings_are_sensitive_at_any_depth() -> None:
    secret = Secret(
        {
            "username": "application",
            "password": "pw",
            "host": "db.example",
            "api": {"keys": ["key-one", "key-two"]},
            "pin": 123456,
        }
    )
    assert secret.sensitive() == {"pw", "key-one", "key-two", "123456"}


def test_a_value_without_json_form_is_refused_unseen() -> None:
    secret = Secret({"password": "hunter2", "other": object()})
    with pytest.raises(SecretFormatError) as caught:
        secret.to_string()
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1.10,"b":[1E5,{"c":1.0000000000000000001}],"d":1e400}',
        '{"a":"\\ud800","b":-0.0}',
        '{"a":"ü","b":12345678901234567890}',
    ],
)
def test_numbers_and_characters_stay_as_they_were_written(text: str) -> None:
    assert Secret.from_string(text).to_string() == text


def test_an_unencodable_password_is_refused_by_key() -> None:
    with pytest.raises(SecretFormatError, match="no server accepts"):
        Secret({"password": "\ud800"}).text("password")


@pytest.mark.parametrize(
    ("stored", "read", "replaced"),
    [
        ({"awsSeamlessDomainPassword": "x"}, "x", {"awsSeamlessDomainPassword": "new"}),
        (
            {"password": "", "awsSeamlessDomainPassword": "x"},
            "x",
            {"password": "", "awsSeamlessDomainPassword": "new"},
        ),
        (
            {"password": "p", "awsSeamlessDomainPassword": "x"},
            "p",
            {"password": "new", "awsSeamlessDomainPassword": "new"},
        ),
        (
            {"password": "p", "awsSeamlessDomainPassword": None},
            "p",
            {"password": "new", "awsSeamlessDomainPassword": None},
        ),
    ],
)
def test_a_member_is_replaced_under_each_name(
    stored: dict[str, object], read: str, replaced: dict[str, object]
) -> None:
    secret = Secret(stored)
    assert secret.text("password") == read
    assert secret.sensitive() == {text for text in stored.values() if text}
    assert secret.replace(password="new").stored() == replaced
    assert Secret(replaced).sensitive() == {"new"}
