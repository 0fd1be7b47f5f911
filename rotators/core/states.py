"""Decides whether a step may run, by the stages of the versions: the table and its reasons.

A version has an id (the *token* of the rotation that stored it) and may have *stages*. A rotation uses three
of them:

- AWSCURRENT is on exactly one version: the one that applications read.
- AWSPENDING is on the version of the running rotation. The service sets it before createSecret, while the
  version has no value yet. A rotation never removes it: the service does so after finishSecret, and without
  it a step could not be repeated.
- AWSPREVIOUS is on the version that was AWSCURRENT before. The service moves it with AWSCURRENT.

The decision depends on two facts: whether rotation is enabled, and the stages of the token's version.
The first row that matches applies:

====================  =========================================  ==========================
rotation enabled      stages of the token's version              the step
====================  =========================================  ==========================
no                    any                                        RotationNotEnabled
yes                   none, or the token is no version           VersionNotStaged
yes                   AWSCURRENT among them                      succeeds, changes nothing
yes                   AWSPENDING among them                      acts
yes                   others only                                VersionNotPending
====================  =========================================  ==========================

The decision does not depend on the step, so the table also applies to a step that is delivered twice or late.
A repeated finishSecret finds AWSCURRENT on its token and succeeds, as does any step of a completed rotation.
``RotationRequest.from_event`` refuses other steps with UnknownStep.

Source: the checks of the handler in the User Guide, troubleshoot_rotation; API UpdateSecretVersionStage.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from rotators.core.errors import RotationNotEnabled, VersionNotPending, VersionNotStaged


class Stage(StrEnum):
    """The stages that the service defines."""

    CURRENT = "AWSCURRENT"
    PENDING = "AWSPENDING"
    PREVIOUS = "AWSPREVIOUS"


Stages = Mapping[str, Collection[str]]
"""Stages by version id, as in VersionIdsToStages of DescribeSecret."""


def may_act(stages: Stages, token: str, *, enabled: bool) -> bool:
    """Decide whether a step of a rotation may act (a pure function).

    Args:
        stages: VersionIdsToStages of DescribeSecret.
        token: the rotation's ClientRequestToken.
        enabled: RotationEnabled of DescribeSecret (absent means no).

    Returns:
        True if the step may act; False if the rotation is complete, and the step succeeds without an action.

    Raises:
        RotationNotEnabled, VersionNotStaged, VersionNotPending: see the table above.
    """
    if not enabled:
        raise RotationNotEnabled("the secret is not enabled for rotation")
    own = stages.get(token, ())
    if not own:
        raise VersionNotStaged(f"the secret version {token} has no stage for rotation")
    if Stage.CURRENT in own:
        return False
    if Stage.PENDING not in own:
        raise VersionNotPending(f"the secret version {token} is not set as AWSPENDING for rotation")
    return True


def holder(stages: Stages, stage: str) -> str | None:
    """Return the id of the version that has ``stage``, or None.

    Args:
        stages: stages by version id.
        stage: the stage.
    """
    return next((version for version, its in stages.items() if stage in its), None)
