"""The text of a message about a rotation that did not succeed (pure functions).

Names, error texts and log lines come from outside. Each becomes one line of limited length without control
characters, so that it cannot forge another line of the message. ``://`` is broken up, so that a mail program
makes no link of it.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rotators.handlers.failure_events import ABANDONED, FAILED, TEST_FAILED, FailureEvent

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from rotators.aws.failures import FailedStep

# SNS API:Publish: ASCII, fewer than 100 characters, no control characters.
_LONGEST_SUBJECT = 99
_LONGEST_NAME = 512
_LONGEST_TEXT = 2000
_WIDTH = 14
_DEFAULT_STACK = "rotators"

_TITLES = {FAILED: "Rotation failed", ABANDONED: "Rotation abandoned", TEST_FAILED: "Rotation test failed"}
_HAPPENED = {
    FAILED: "a rotation failed (RotationFailed); AWSCURRENT was not moved",
    ABANDONED: "Secrets Manager abandoned a rotation (RotationAbandoned) and removed AWSPENDING",
    TEST_FAILED: "the test of the rotation failed (TestRotationFailed); nothing was rotated",
}
_OWN_MESSAGE = re.compile(r"(?:\[[^\]]*\] )?(?P<cause>.*)\. Next: (?P<remedy>.*)", re.DOTALL)


@dataclass(frozen=True)
class Situation:
    """Facts about a failed rotation.

    Attributes:
        event: Secrets Manager's event.
        name: name of the secret, or the event's name for it.
        function_arn: ARN of the secret's rotation function; None if unknown or none.
        own: True if that function is this stack's.
        schedule: in words, with the window, or None.
        next_rotation: its time, or None.
        token: token of the rotation; None if unknown.
        step: the failed step that the rotation function logged, or None.
        unknown: sentences about facts that could not be determined, with the reasons.
    """

    event: FailureEvent
    name: str
    function_arn: str | None
    own: bool
    schedule: str | None
    next_rotation: dt.datetime | None
    token: str | None
    step: FailedStep | None
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Mail:
    """A message for the alarm topic.

    Attributes:
        subject: fewer than 100 ASCII characters.
        body: plain text.
    """

    subject: str
    body: str


def composed(found: Situation) -> Mail:
    """Return the message about a failed rotation.

    Args:
        found: facts about the rotation.

    Returns:
        Subject and body.
    """
    step = _step(found)
    subject = _subject(_TITLES[found.event.name], found.name, step)
    facts = [
        ("What happened", _HAPPENED[found.event.name]),
        ("When", f"{found.event.time:%Y-%m-%d %H:%M:%S} UTC"),
        ("Secret", line(found.name or "not named by the event", _LONGEST_NAME)),
        ("ARN", line(found.event.secret, _LONGEST_TEXT) if found.event.secret.startswith("arn:") else ""),
        ("Account", " in ".join(filter(None, (found.event.account, found.event.region)))),
        ("Schedule", _schedule(found)),
        ("Function", line(found.function_arn or "", _LONGEST_NAME)),
        ("Step", step),
        ("Error code", line(found.step.code, _LONGEST_NAME) if found.step else ""),
        ("Cause", _cause(found)),
        *(("Not known", line(text, _LONGEST_TEXT)) for text in found.unknown),
    ]
    paragraphs = [
        "\n".join(f"{label + ':':<{_WIDTH + 1}} {text}" for label, text in facts if text),
        "What to do next:\n" + "\n".join(f"  {text}" for text in _next(found)),
        "Will it be tried again?\n  " + _again(found),
        "Sent once a day for this rotation and error code. Repetitions with the same error are only logged.",
    ]
    return Mail(subject, "\n\n".join(paragraphs) + "\n")


def line(text: str, longest: int) -> str:
    """Return outside text as part of one line: only printable characters, without links.

    Args:
        text: text from outside.
        longest: most characters of the result.
    """
    printable = "".join(character if character.isprintable() else " " for character in text)
    joined = " ".join(printable.split()).replace("://", "[:]//")
    return joined if len(joined) <= longest else joined[: longest - 1] + "…"


def _subject(title: str, name: str, step: str) -> str:
    before, after = f"{title}: ", f" ({step})" if step else ""
    room = _LONGEST_SUBJECT - len(before) - len(after)
    shown = line(name or "a secret", _LONGEST_NAME).encode("ascii", "replace").decode()
    return before + (shown if len(shown) <= room else shown[: room - 3] + "...") + after


def _step(found: Situation) -> str:
    if found.step and re.fullmatch("[A-Za-z]{1,32}", found.step.step):
        return found.step.step
    return found.event.step


def _schedule(found: Situation) -> str:
    parts = [line(found.schedule or "", _LONGEST_NAME)]
    if found.next_rotation:
        parts.append(f"next rotation {found.next_rotation:%Y-%m-%d}")
    return "; ".join(filter(None, parts))


def _cause(found: Situation) -> str:
    if found.event.name == ABANDONED:
        return "the secret's value was changed while the rotation ran"
    return line(_parted(found.step)[0] if found.step else found.event.error, _LONGEST_TEXT)


def _parted(step: FailedStep) -> tuple[str, str]:
    """Return cause and next action of a logged error; only the framework's errors have a next action."""
    own = _OWN_MESSAGE.fullmatch(step.message)
    return (own["cause"], own["remedy"]) if own else (step.message, "")


def _next(found: Situation) -> Iterator[str]:
    remedy = line(_parted(found.step)[1], _LONGEST_TEXT) if found.step else ""
    if remedy:
        yield remedy
    yield from _commands(found)
    if found.event.account:
        yield f"Use credentials of account {found.event.account}, for example by AWS_PROFILE."


def _commands(found: Situation) -> Iterator[str]:
    """Yield the commands to run, each with its reason in the line before."""
    secret = shlex.quote(line(found.name, _LONGEST_NAME))
    region = found.event.region
    before, after = (f"AWS_REGION={region} ", f" --region {region}") if region else ("", "")
    if not found.name:
        yield "Find the secret among the last failed rotations:"
        by = f"AttributeKey=EventName,AttributeValue={found.event.name}"
        yield f"    aws cloudtrail lookup-events --lookup-attributes {by}{after}"
    elif found.own:
        yield "See the state of the secret and the next action:"
        yield f"    {before}rotators doctor {secret} --remote{_stack(found)}"
        yield "If you have removed the cause and do not want to wait for the next attempt:"
        yield f"    {before}rotators rotate {secret}"
    elif found.function_arn:
        yield "The function does not belong to this stack. Its log contains the cause:"
        group = shlex.quote(f"/aws/lambda/{found.function_arn.split(':')[6]}")
        yield f"    aws logs tail {group} --since 1h{after}"
    else:
        yield "See whether the secret has a rotation function, or which AWS service manages it:"
        yield f"    aws secretsmanager describe-secret --secret-id {secret}{after}"


def _stack(found: Situation) -> str:
    """Return the option that names the stack, unless it has the command's default name."""
    stack = (found.function_arn or "").rpartition(":")[2].removesuffix("-rotate")
    return "" if stack in ("", _DEFAULT_STACK) else f" --stack {shlex.quote(line(stack, _LONGEST_NAME))}"


def _again(found: Situation) -> str:
    if found.event.name == ABANDONED:
        return "No. The next rotation is the scheduled rotation, or a rotation that you start."
    if found.event.name == TEST_FAILED:
        return "No. Scheduled rotations will fail in the same way until the cause is removed."
    repeats = "Yes: Secrets Manager repeats a failed rotation several times while its window is open."
    if found.step is None:
        return repeats
    if found.step.retryable:
        return f"{repeats} This error may go away without a change."
    return f"{repeats} It fails again until the cause is removed."
