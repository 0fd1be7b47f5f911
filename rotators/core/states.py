"""Which step may run with which stages: the whole table, and why it is so.

A version is known to Secrets Manager by its id (the *token* of the rotation that made it) and may have
*stages*. Three of them mean something to a rotation:

- AWSCURRENT is on exactly one version: the one that applications read.
- AWSPENDING is on the version that a rotation is filling. The service puts it on before createSecret,
  while the version has no value yet. We never take it off: the service cleans up after finishSecret, and
  to remove it would turn a repeatable step into an impossible one.
- AWSPREVIOUS follows AWSCURRENT by itself.

A step needs two facts before it acts: whether rotation is enabled, and the stages of the token's version.
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

The answer does not depend on the step: a step that is delivered twice, or late, meets the same table. A
finish that is repeated finds AWSCURRENT on its token and succeeds; so does any step of a rotation that is
over. A step that is none of the four never gets here: ``RotationRequest.from_event`` refuses it with
UnknownStep.

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
"""Version id to its stages, as DescribeSecret gives them in VersionIdsToStages."""


def may_act(stages: Stages, token: str, *, enabled: bool) -> bool:
    """Decide whether a step of a rotation may act; pure.

    Args:
        stages: VersionIdsToStages of DescribeSecret.
        token: the rotation's ClientRequestToken.
        enabled: RotationEnabled of DescribeSecret (absent means no).

    Returns:
        True if the step may act; False if the rotation is over, and the step succeeds by doing nothing.

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
    """The id of the version that has ``stage``, or None.

    Args:
        stages: version id to its stages.
        stage: the stage.
    """
    return next((version for version, its in stages.items() if stage in its), None)
