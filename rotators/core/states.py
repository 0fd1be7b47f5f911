"""Which step may run in which state of the labels: the whole table, and why it is so.

A version is known to Secrets Manager by its id (the *token* of the rotation that made it) and may carry
labels, the *stages*. Three of them mean something to a rotation:

- AWSCURRENT sits on exactly one version: what applications read.
- AWSPENDING sits on the version that a rotation is filling. The service puts it on before createSecret,
  while the version has no value yet. We never take it off: the service cleans up after finishSecret, and
  a label that we removed would turn a repeatable step into an impossible one.
- AWSPREVIOUS follows AWSCURRENT by itself.

All that a step may know before it acts is: is rotation enabled, and which labels does the token's version
carry. Hence the table (first row that matches):

====================  =========================================  ==========================
rotation enabled      labels of the token's version              verdict
====================  =========================================  ==========================
no                    any                                        RotationNotEnabled
yes                   none, or the token is no version           VersionNotStaged
yes                   AWSCURRENT among them                      ALREADY_CURRENT (success)
yes                   AWSPENDING among them                      PROCEED
yes                   others only                                VersionNotPending
====================  =========================================  ==========================

The verdict does not depend on the step: a step that is delivered twice, or late, meets the same gate. A
finish that is repeated finds AWSCURRENT on its token and succeeds; so does any step of a rotation that is
over. What depends on the step is only what PROCEED then does (``core/steps.py``). A step that is none of
the four never gets here: ``RotationRequest.from_event`` refuses it with UnknownStep.

Source: the checks of the handler in the User Guide, troubleshoot_rotation; API UpdateSecretVersionStage.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum, StrEnum

from rotators.core.errors import RotationNotEnabled, VersionNotPending, VersionNotStaged


class Stage(StrEnum):
    """The staging labels of the service's own."""

    CURRENT = "AWSCURRENT"
    PENDING = "AWSPENDING"
    PREVIOUS = "AWSPREVIOUS"


class Verdict(Enum):
    """What the state table lets a step do."""

    PROCEED = "proceed"
    ALREADY_CURRENT = "already current"


Stages = Mapping[str, Collection[str]]
"""Version id to its labels, as DescribeSecret gives them in VersionIdsToStages."""


def verdict(*, enabled: bool, stages: Stages, token: str) -> Verdict:
    """Decide whether a step of the rotation ``token`` may act; pure.

    Args:
        enabled: RotationEnabled of DescribeSecret (absent means no).
        stages: VersionIdsToStages of DescribeSecret.
        token: the rotation's ClientRequestToken.

    Returns:
        ``PROCEED``, or ``ALREADY_CURRENT`` when the rotation is over and the step succeeds by doing nothing.

    Raises:
        RotationNotEnabled, VersionNotStaged, VersionNotPending: see the table above.
    """
    if not enabled:
        raise RotationNotEnabled("the secret is not enabled for rotation")
    labels = stages.get(token, ())
    if not labels:
        raise VersionNotStaged(f"the secret version {token} has no stage for rotation")
    if Stage.CURRENT in labels:
        return Verdict.ALREADY_CURRENT
    if Stage.PENDING not in labels:
        raise VersionNotPending(f"the secret version {token} is not set as AWSPENDING for rotation")
    return Verdict.PROCEED


def holder(stages: Stages, stage: str) -> str | None:
    """The id of the version that carries ``stage``, or None."""
    return next((version for version, labels in stages.items() if stage in labels), None)
