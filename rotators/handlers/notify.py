"""One message on the alarm topic for each rotation that did not succeed.

Secrets Manager repeats a failed rotation, and each attempt ends in an event; EventBridge and Lambda may
deliver an event twice. So the function records what it has sent: after each message it creates an empty log
stream in its own log group, named by a digest of secret, event name, rotation token, error code and UTC date.
If that stream exists, it sends nothing. A log stream needs no database, and it can be seen at once, while a
log line can be found only some seconds later and only if the log level keeps it.

- A new error code of the same rotation is sent too: its remedy differs.
- A new rotation has a new token, so it is sent too.
- A rotation that still fails on another day is sent again. A rotation window ends with its day at the latest
  (UG:rotate-secrets_schedule), so the repetitions within a window are of one day.
- Without a known token (AWSPENDING is gone, nothing logged) the event's id is used instead: only a second
  delivery of the same event is suppressed.
- The stream is created after the message was sent, and in case of doubt the message is sent: two simultaneous
  deliveries can produce two messages, but none is lost.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from rotators.aws import clients
from rotators.aws.failures import FailedStep, logged_steps, newest_failure
from rotators.aws.faults import translated
from rotators.aws.secrets import describe
from rotators.aws.views import schedule_of
from rotators.core.errors import ConfigurationError, StoreError
from rotators.handlers.failure_events import ABANDONED, TEST_FAILED, FailureEvent
from rotators.handlers.failure_mail import Mail, Situation, composed
from rotators.handlers.telemetry import observed

SENT, REPEATED = "sent", "repeated"

_TOPIC, _FUNCTION = "ALARM_TOPIC_ARN", "ROTATE_FUNCTION_ARN"
_OWN_LOG_GROUP = "AWS_LAMBDA_LOG_GROUP_NAME"  # set by Lambda
# A log line can be found some seconds after it was written; the event may be here earlier.
_WAITS = (1.0, 2.0, 4.0, 8.0)
# A step takes 900 s at most; the event comes after it.
_LOOK_BACK_SECONDS = 1800.0
_PENDING, _CURRENT = "AWSPENDING", "AWSCURRENT"


def handler(event: object, context: object = None) -> dict[str, Any]:
    """Send one readable message for a failed rotation.

    Args:
        event: RotationFailed, RotationAbandoned or TestRotationFailed, from EventBridge.
        context: Lambda's context; not used.

    Returns:
        The result: ``Action`` and ``Subject``, and ``MessageId`` if a message was sent.

    Raises:
        RotatorsError: nothing was sent; Lambda repeats the event.
    """
    del context
    return notify(event)


def notify(event: object, wait: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """Send one message about a failed rotation to the alarm topic.

    Args:
        event: RotationFailed, RotationAbandoned or TestRotationFailed, as EventBridge sends it.
        wait: waits for so many seconds, when the log does not have the failed step yet.

    Returns:
        ``Action`` (``sent`` or ``repeated``), ``Subject``, and ``MessageId`` if sent.

    Raises:
        InvalidEvent: it is another event; nothing was sent.
        ConfigurationError: ``ALARM_TOPIC_ARN`` is not set; nothing was sent.
        StoreError: the topic refused the message. Lambda repeats the event; an alarm of the stack reports
            that the function failed.
    """
    with observed("notify") as observation:
        happened = FailureEvent.from_event(event)
        observation.add(failure=happened.name, secret=happened.secret, event_id=happened.id)
        found = _situation(happened, wait)
        mail = composed(found)
        token, code = found.token or "", found.step.code if found.step else ""
        observation.add(token=token, cause_code=code)
        mark = _mark(happened, token or happened.id, code)
        if _is_marked(mark):
            observation.add(outcome=REPEATED)
            return {"Action": REPEATED, "Subject": mail.subject}
        answer = _published(mail)
        observation.add(outcome=SENT, marked=str(_marked(mark)).lower())
        return {"Action": SENT, "Subject": mail.subject, "MessageId": answer}


def _situation(event: FailureEvent, wait: Callable[[float], None]) -> Situation:
    described, unknown = _described(event.secret)
    pending = None if event.name == TEST_FAILED else _pending(described)
    function = described.get("RotationLambdaARN") or event.function_arn
    own = function is not None and function == os.environ.get(_FUNCTION)
    step = None
    # A test's version loses its stage at once, so the step of a test is found by the secret.
    of = pending or described.get("ARN") or event.secret
    if own and of and event.name != ABANDONED:
        step, missing = _failed_step(str(function), of, event, wait)
        unknown += missing
    return Situation(
        event=event,
        name=described.get("Name") or event.secret_name,
        function_arn=function,
        own=own,
        schedule=_in_words(described.get("RotationRules", {})),
        next_rotation=described.get("NextRotationDate"),
        token=step.token if step else pending,
        step=step,
        unknown=tuple(unknown),
    )


def _described(secret: str) -> tuple[Mapping[str, Any], list[str]]:
    """Return the response of DescribeSecret, or the reason why there is none."""
    if not secret:
        return {}, ["the secret: the event does not name it in a known place"]
    try:
        return describe(secret), []
    except StoreError as error:
        return {}, [f"schedule and versions: {error}"]


def _pending(described: Mapping[str, Any]) -> str | None:
    """Return the token of an unfinished rotation: AWSPENDING is on a version other than AWSCURRENT's."""
    versions: Mapping[str, list[str]] = described.get("VersionIdsToStages", {})
    alone = (version for version, held in versions.items() if _PENDING in held and _CURRENT not in held)
    return next(alone, None)


def _in_words(rules: Mapping[str, Any]) -> str | None:
    schedule, window = schedule_of(rules), rules.get("Duration")
    return f"{schedule}, window {window}" if schedule and window else schedule


def _failed_step(
    function: str, of: str, event: FailureEvent, wait: Callable[[float], None]
) -> tuple[FailedStep | None, list[str]]:
    """Return the failed step from the rotate function's log, or the reason why there is none."""
    since = event.time.timestamp() - _LOOK_BACK_SECONDS
    try:
        for seconds in (0.0, *_WAITS):
            if seconds:
                wait(seconds)
            if step := newest_failure(logged_steps(function, of, since)):
                return step, []
    except StoreError as error:
        return None, [f"the step's error: {error}"]
    why = (
        "the step's error: the function has logged none. It timed out, crashed or could not be "
        "invoked; the lines of its log around this time show the reason"
    )
    return None, [why]


def _published(mail: Mail) -> str:
    topic = os.environ.get(_TOPIC)
    if not topic:
        raise ConfigurationError(f"{_TOPIC} is not set", remedy=f"Set {_TOPIC} on the notify function.")
    with translated("Publish", topic):
        answer = clients.sns().publish(TopicArn=topic, Subject=mail.subject, Message=mail.body)
    return str(answer["MessageId"])


def _mark(event: FailureEvent, token: str, code: str) -> str:
    """Return the name of the log stream that marks this message as sent."""
    key = f"{event.secret}\n{event.name}\n{token}\n{code}\n{event.time.date()}"
    return f"told/{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()}"


def _is_marked(mark: str) -> bool:
    group = os.environ.get(_OWN_LOG_GROUP, "")
    try:
        with translated("DescribeLogStreams", group):
            found = clients.logs().describe_log_streams(logGroupName=group, logStreamNamePrefix=mark, limit=1)
    except StoreError:
        return False  # a duplicate message is better than none
    return bool(found["logStreams"])


def _marked(mark: str) -> bool:
    """Mark the message as sent. Return False if that failed; a repetition would only send it again."""
    group = os.environ.get(_OWN_LOG_GROUP, "")
    try:
        with translated("CreateLogStream", group):
            clients.logs().create_log_stream(logGroupName=group, logStreamName=mark)
    except StoreError:
        return False
    return True
