"""The rotation event: accepted forms, and the field that each refusal names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.core.errors import InvalidEvent, UnknownStep
from rotators.core.request import RotationRequest, Step

EVENT = {"Step": "createSecret", "SecretId": "arn:aws:x", "ClientRequestToken": "t" * 32}


def test_an_event_without_rotation_token_is_accepted() -> None:
    request = RotationRequest.from_event(EVENT)
    assert (request.step, request.secret_id, request.token, request.rotation_token) == (
        Step.CREATE,
        "arn:aws:x",
        "t" * 32,
        None,
    )


def test_the_repr_hides_the_rotation_token() -> None:
    proof = "0" * 36
    request = RotationRequest.from_event({**EVENT, "RotationToken": proof})
    assert request.rotation_token == proof
    assert proof not in repr(request)
    assert proof not in str(request)


@pytest.mark.parametrize("step", list(Step))
def test_each_of_the_four_steps_is_known(step: Step) -> None:
    assert RotationRequest.from_event({**EVENT, "Step": str(step)}).step is step


@pytest.mark.parametrize(
    "step", ["create_secret", "CreateSecret", "createsecret", " createSecret", "x" * 300]
)
def test_other_spellings_of_a_step_are_refused(step: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        RotationRequest.from_event({**EVENT, "Step": step})
    assert len(str(caught.value)) < 400


def test_an_unknown_step_has_its_own_error() -> None:
    with pytest.raises(UnknownStep, match="Invalid step parameter 'create_secret'"):
        RotationRequest.from_event({**EVENT, "Step": "create_secret"})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"Step": None}, "Step is missing"),
        ({"SecretId": ""}, "SecretId must have 1 to 2048"),
        ({"SecretId": 7}, "SecretId must be a string, not int"),
        ({"ClientRequestToken": "short"}, "ClientRequestToken must have 32 to 64"),
        ({"ClientRequestToken": "t" * 65}, "ClientRequestToken must have 32 to 64"),
        (
            {"RotationToken": "has spaces in it, and is long enough to pass"},
            "RotationToken must be 36 to 256",
        ),
        ({"RotationToken": 5}, "RotationToken must be"),
    ],
)
def test_a_bad_field_is_named_with_its_rule(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidEvent, match=named):
        RotationRequest.from_event({**EVENT, **change})


@pytest.mark.parametrize("field", ["SecretId", "ClientRequestToken", "RotationToken", "Step"])
def test_a_value_in_the_wrong_field_is_hidden(field: str) -> None:
    value = '{"username":"app","password":"hunter2-hunter2"}'
    with pytest.raises(InvalidEvent, match=field) as caught:
        RotationRequest.from_event({**EVENT, field: value})
    assert "hunter2" not in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.text(), c),
        max_leaves=5,
    )
)
def test_other_json_is_an_invalid_event(event: object) -> None:
    with pytest.raises(InvalidEvent):
        RotationRequest.from_event(event)
