"""The state table, for any stages of the versions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.core.errors import RotationNotEnabled, VersionNotPending, VersionNotStaged
from rotators.core.states import Stage, holder, may_act

TOKEN = "token"
STAGES = st.sampled_from([*Stage, "AWSCUSTOM", "mine"])
MAPS = st.dictionaries(st.sampled_from([TOKEN, "other", "third"]), st.sets(STAGES), max_size=3)


@given(MAPS)
def test_a_disabled_rotation_is_refused(stages: dict[str, set[str]]) -> None:
    with pytest.raises(RotationNotEnabled, match="not enabled for rotation"):
        may_act(stages, TOKEN, enabled=False)


@given(MAPS)
def test_stages_decide_as_the_table_says(stages: dict[str, set[str]]) -> None:
    held = stages.get(TOKEN, set())
    if not held:
        with pytest.raises(VersionNotStaged, match="no stage for rotation"):
            may_act(stages, TOKEN, enabled=True)
    elif "AWSCURRENT" in held:
        assert not may_act(stages, TOKEN, enabled=True)
    elif "AWSPENDING" in held:
        assert may_act(stages, TOKEN, enabled=True)
    else:
        with pytest.raises(VersionNotPending, match="not set as AWSPENDING"):
            may_act(stages, TOKEN, enabled=True)


@given(MAPS, MAPS)
def test_stages_of_other_versions_do_not_matter(
    ours: dict[str, set[str]], others: dict[str, set[str]]
) -> None:
    def ended(stages: dict[str, set[str]]) -> object:
        try:
            return may_act(stages, TOKEN, enabled=True)
        except (VersionNotPending, VersionNotStaged) as error:
            return type(error)

    mixed = {**others, TOKEN: ours.get(TOKEN, set())}
    assert ended(mixed) == ended(ours)


def test_the_holder_of_a_stage_is_found() -> None:
    stages = {"a": ["AWSPREVIOUS"], "b": ["AWSCURRENT", "mine"]}
    assert holder(stages, Stage.CURRENT) == "b"
    assert holder(stages, Stage.PENDING) is None
