"""Passwords follow the policy, and all characters are equally likely."""

from __future__ import annotations

import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.core.errors import ConfigurationError
from rotators.core.passwords import DEFAULT_EXCLUDED, PasswordPolicy, PasswordRules
from rotators.core.secret import Secret
from rotators.core.settings import Settings
from rotators.strategies.credential import Password

RULES = PasswordRules(shortest=4, longest=128)
CLASSES = {
    "lowercase": string.ascii_lowercase,
    "uppercase": string.ascii_uppercase,
    "numbers": string.digits,
    "punctuation": string.punctuation,
}


@given(
    st.integers(4, 64),
    st.fixed_dictionaries({name: st.booleans() for name in CLASSES}).filter(
        lambda kinds: any(kinds.values())
    ),
    st.sets(st.sampled_from(string.printable[:94]), max_size=6),
)
def test_a_password_keeps_length_classes_and_exclusions(
    length: int, kinds: dict[str, bool], excluded: set[str]
) -> None:
    password = PasswordPolicy(length=length, excluded="".join(excluded), **kinds).generate(RULES)
    assert len(password) == length
    assert not set(password) & excluded
    for name, wanted in kinds.items():
        assert bool(set(password) & set(CLASSES[name])) is wanted


def test_characters_that_the_engine_forbids_do_not_occur() -> None:
    rules = PasswordRules(shortest=8, longest=128, forbidden="abcdef&")
    passwords = "".join(PasswordPolicy(length=100).generate(rules) for _ in range(50))
    assert not set(passwords) & set("abcdef&" + DEFAULT_EXCLUDED)


def test_every_character_is_as_likely_as_the_next() -> None:
    policy = PasswordPolicy(length=100, uppercase=False, punctuation=False)
    counts = Counter("".join(policy.generate(RULES) for _ in range(500)))
    assert set(counts) == set(string.ascii_lowercase + string.digits)
    expected = 50_000 / 36
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    # 35 degrees of freedom: above 100 by chance once in ten million runs; a modulo bias results in thousands.
    assert chi_square < 100


def test_the_password_in_use_is_not_given_again() -> None:
    policy = PasswordPolicy(
        length=4,
        excluded=string.digits[2:],
        lowercase=False,
        uppercase=False,
        punctuation=False,
        require_each=False,
    )
    assert all(policy.generate(RULES, unlike="0101") != "0101" for _ in range(200))
    key, current = Password(RULES, "key"), Secret({"password": "0000", "key": "0101"})
    assert all(key.new(Settings(password=policy), current) != {"key": "0101"} for _ in range(200))


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        (PasswordPolicy(length=3), "PASSWORD_LENGTH is 3"),
        (PasswordPolicy(length=129), "PASSWORD_LENGTH is 129"),
        (PasswordPolicy(lowercase=False, uppercase=False, numbers=False, punctuation=False), "no characters"),
        (PasswordPolicy(excluded=string.printable), "no characters"),
    ],
)
def test_a_policy_that_leaves_no_password_is_refused(policy: PasswordPolicy, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        policy.generate(RULES)


def test_fewer_places_than_required_classes_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="less than the included classes"):
        PasswordPolicy(length=2).generate(PasswordRules(shortest=1))


def test_the_environment_of_awss_functions_is_understood() -> None:
    settings = Settings.from_environment(
        {
            "PASSWORD_LENGTH": "40",
            "EXCLUDE_CHARACTERS": "xyz",
            "EXCLUDE_NUMBERS": "true",
            "EXCLUDE_PUNCTUATION": "Yes",
            "EXCLUDE_UPPERCASE": "1",
            "EXCLUDE_LOWERCASE": "false",
            "REQUIRE_EACH_INCLUDED_TYPE": "False",
        }
    )
    assert settings.password == PasswordPolicy(
        length=40, excluded="xyz", numbers=False, punctuation=False, uppercase=False, require_each=False
    )


def test_an_empty_environment_gives_awss_defaults() -> None:
    assert Settings.from_environment({}).password == PasswordPolicy(length=32, excluded=":/@\"'\\")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PASSWORD_LENGTH", "many"),
        ("PASSWORD_LENGTH", "-5"),
        ("PASSWORD_LENGTH", "9" * 5000),
        ("EXCLUDE_NUMBERS", "maybe"),
        ("REQUIRE_EACH_INCLUDED_TYPE", "2"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_environment({name: value})
