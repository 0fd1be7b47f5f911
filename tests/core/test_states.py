"""The state table, over every kind of label map."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotators.core.errors import RotationNotEnabled, VersionNotPending, VersionNotStaged
from rotators.core.states import Stage, Verdict, holder, verdict

TOKEN = "token"
LABELS = st.sampled_from([*Stage, "AWSCUSTOM", "mine"])
MAPS = st.dictionaries(st.sampled_from([TOKEN, "other", "third"]), st.sets(LABELS), max_size=3)


@given(MAPS)
def test_a_secret_that_does_not_rotate_is_refused_whatever_its_labels(stages: dict[str, set[str]]) -> None:
    with pytest.raises(RotationNotEnabled, match="not enabled for rotation"):
        verdict(enabled=False, stages=stages, token=TOKEN)


@given(MAPS)
def test_every_label_map_has_exactly_the_verdict_of_the_table(stages: dict[str, set[str]]) -> None:
    labels = stages.get(TOKEN, set())
    if not labels:
        with pytest.raises(VersionNotStaged, match="no stage for rotation"):
            verdict(enabled=True, stages=stages, token=TOKEN)
    elif "AWSCURRENT" in labels:
        assert verdict(enabled=True, stages=stages, token=TOKEN) is Verdict.ALREADY_CURRENT
    elif "AWSPENDING" in labels:
        assert verdict(enabled=True, stages=stages, token=TOKEN) is Verdict.PROCEED
    else:
        with pytest.raises(VersionNotPending, match="not set as AWSPENDING"):
            verdict(enabled=True, stages=stages, token=TOKEN)


@given(MAPS, MAPS)
def test_labels_of_other_versions_do_not_matter(
    ours: dict[str, set[str]], others: dict[str, set[str]]
) -> None:
    def ended(stages: dict[str, set[str]]) -> object:
        try:
            return verdict(enabled=True, stages=stages, token=TOKEN)
        except (VersionNotPending, VersionNotStaged) as error:
            return type(error)

    mixed = {**others, TOKEN: ours.get(TOKEN, set())}
    assert ended(mixed) == ended(ours)


def test_the_holder_of_a_stage_is_found_and_a_stage_that_nobody_holds_is_none() -> None:
    stages = {"a": ["AWSPREVIOUS"], "b": ["AWSCURRENT", "mine"]}
    assert holder(stages, Stage.CURRENT) == "b"
    assert holder(stages, Stage.PENDING) is None
