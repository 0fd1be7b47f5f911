"""The service's own events: an event log, on EventBridge's default bus, and in CloudTrail's LookupEvents.

Service events (``RotationStarted`` …) are sent as ``AWS Service Event via CloudTrail``
(UG:cloudtrail_log_entries). ``Secret Label Updated`` is EventBridge's own and not a CloudTrail record
(UG:secret-event-notifications). It is not sent for AWSPENDING and AWSPREVIOUS and, which is not documented,
not for the first stage at CreateSecret. The shape of failures is that in public code: ``errorMessage``,
``additionalEventData.SecretId``.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.events.models import Rule, events_backends

from rotators.local.errors import LocalStackError
from rotators.local.options import Options
from rotators.local.records import ServiceEvent
from rotators.local.secretsmanager import trail

SERVICE_EVENT = "AWS Service Event via CloudTrail"
STAGE_UPDATED = "Secret Label Updated"

_logger = logging.getLogger(__name__)


class EventLog:
    """The events since the start, oldest first.

    Args:
        api_calls: returns CloudTrail's records of API calls, oldest first.
    """

    def __init__(self, api_calls: Callable[[], list[dict[str, Any]]]) -> None:
        self._api_calls = api_calls
        self._changed = threading.Condition()
        self._events: list[ServiceEvent] = []
        self._records: list[dict[str, Any]] = []

    def service_event(self, name: str, secret_arn: str, error: str | None = None) -> None:
        """Record and publish an event of a rotation.

        Args:
            name: CloudTrail's name of the event.
            secret_arn: ARN of the secret.
            error: Message of the service about a failure.
        """
        now = dt.datetime.now(dt.UTC)
        region, account = secret_arn.split(":")[3:5]
        detail = trail.record(
            now,
            name,
            region,
            account,
            eventVersion="1.08",
            userIdentity={"accountId": account, "invokedBy": trail.SECRETS_MANAGER},
            additionalEventData={"SecretId": secret_arn},
            readOnly=False,
            eventType="AwsServiceEvent",
            **({} if error is None else {"errorMessage": error}),
        )
        with self._changed:
            self._records.append(trail.element(detail, now))
        self._publish(ServiceEvent(name, now, secret_arn, SERVICE_EVENT, detail))

    def stage_updated(self, secret_arn: str, name: str, stage: str, version_id: str) -> None:
        """Record and publish that a stage moved.

        Args:
            secret_arn: ARN of the secret.
            name: Name of the secret.
            stage: Any stage other than AWSPENDING and AWSPREVIOUS.
            version_id: Id of the version that has the stage now.
        """
        detail = {"name": name, "labelUpdated": stage, "versionId": version_id}
        now = dt.datetime.now(dt.UTC)
        self._publish(ServiceEvent(STAGE_UPDATED, now, secret_arn, STAGE_UPDATED, detail))

    def events(self, secret_arn: str | None = None) -> list[ServiceEvent]:
        """Return the events so far, oldest first.

        Args:
            secret_arn: ARN of a secret; None for the events of all.
        """
        with self._changed:
            return [event for event in self._events if secret_arn in (None, event.secret_id)]

    def wait(self, secret_arn: str, names: Sequence[str], times: int, timeout: float) -> ServiceEvent:
        """Wait for an event of the secret with the ARN ``secret_arn``. See ``LocalAws.wait_for_event``."""
        found: list[ServiceEvent] = []

        def happened() -> bool:
            found[:] = [each for each in self._events if each.secret_id == secret_arn and each.name in names]
            return len(found) >= times

        with self._changed:
            if not self._changed.wait_for(happened, timeout):
                raise LocalStackError(
                    f"{secret_arn} had {len(found)} of {times} events {' or '.join(names)} in {timeout:g} s",
                    remedy="Read the rotation function's log; check that the rotation was started.",
                    reason="timeout",
                )
            return found[-1]

    def forget(self) -> None:
        """Delete all events."""
        with self._changed:
            self._events.clear()
            self._records.clear()

    def lookup(self, region: str, params: dict[str, Any]) -> dict[str, Any]:
        """Answer CloudTrail's LookupEvents from the service events and the API calls.

        Args:
            region: Region of the request.
            params: The request.

        Returns:
            The response, newest first.

        Raises:
            SecretsManagerClientError: a parameter is not valid; moto sends it.
        """
        with self._changed:
            records = [*self._records, *self._api_calls()]
        return trail.lookup(records, region, params)

    def _publish(self, event: ServiceEvent) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()
        region, account = event.secret_id.split(":")[3:5]
        entry = {
            "Source": "aws.secretsmanager",
            "DetailType": event.detail_type,
            "Detail": json.dumps(event.detail),
            "Resources": [event.secret_id],
            "Time": event.time.timestamp(),
        }
        try:
            events_backends[account][region].put_events([entry])
        except (BotoCoreError, ClientError, NotImplementedError) as error:
            # A failing target does not affect the service.
            _logger.warning("a target of a rule on %s was not reached: %r", event.name, error)


def with_targets(
    original: Callable[..., None],
    client: Callable[[str, str], Any],
    options: Options,
    rule: Rule,
    event: Any,
    **named: Any,
) -> None:
    """Deliver an event to a rule's targets: moto delivers neither to SNS nor to Lambda.

    A function is invoked asynchronously, and only if its policy admits EventBridge for this rule
    (EventBridge guide: eb-use-resource-based). EventBridge delivers an event at least once, so there can be
    several deliveries.

    Args:
        original: Moto's own delivery.
        client: Returns a client for a service and a Region.
        options: Options of the local AWS; they set how often each event is delivered to a function.
        rule: Moto's record of the rule.
        event: The event.
        **named: Further arguments of moto's own function.
    """
    # EventBridge API:DisableRule; a rule with a schedule alone matches no event (API:PutRule).
    if rule.state == "DISABLED" or not rule.event_pattern.get_pattern():
        return
    arns = [target["Arn"] for target in rule.targets if target["Arn"].split(":")[2] in ("sns", "lambda")]
    if arns and rule.event_pattern.matches_event(event):
        time = dt.datetime.fromtimestamp(float(event["time"]), dt.UTC)
        text = json.dumps({**event, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ")})
        for arn in arns:
            if ":sns:" in arn:
                client("sns", rule.region_name).publish(TopicArn=arn, Message=text)
            elif _admits(client("lambda", rule.region_name), arn, rule.arn):
                for _ in range(options.event_deliveries):
                    answer = client("lambda", rule.region_name).invoke(
                        FunctionName=arn, InvocationType="Event", Payload=text
                    )
                    answer["Payload"].read()  # empty; a response that is not read keeps its connection open
    if len(arns) < len(rule.targets):
        original(rule, event, **named)


def _admits(functions: Any, function_arn: str, rule_arn: str) -> bool:
    """Return True if a function's policy lets EventBridge call it for a rule; a refusal is logged."""
    try:
        policy = json.loads(functions.get_policy(FunctionName=function_arn)["Policy"])
    except functions.exceptions.ResourceNotFoundException:
        policy = {"Statement": []}
    for statement in policy["Statement"]:
        source = statement.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn", rule_arn)
        if statement["Principal"] == {"Service": "events.amazonaws.com"} and source == rule_arn:
            return True
    _logger.warning("%s does not admit events.amazonaws.com for %s", function_arn, rule_arn)
    return False
