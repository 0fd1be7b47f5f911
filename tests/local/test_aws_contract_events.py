"""The service's events on EventBridge and in CloudTrail, through their HTTP APIs."""

from __future__ import annotations

import datetime as dt
import gc
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rotators.local.aws import LocalAws
from tests.world import unique

WAIT = 300.0
Make = Callable[..., str]
Queue = Callable[..., Callable[[], list[dict[str, Any]]]]


@pytest.fixture
def failed(aws: LocalAws, make: Make, rotate: Make) -> str:
    """A secret whose rotation failed at setSecret; its ARN."""
    arn = make(fail="setSecret")
    aws.wait_for_rotation(arn, rotate(arn), WAIT)
    return arn


@pytest.fixture
def queue(aws: LocalAws) -> Iterator[Queue]:
    """Create a rule with a queue as its target; return a function that reads the queue."""
    sqs, events, rules = aws.client("sqs"), aws.client("events"), []

    def make(name: str, pattern: dict[str, Any]) -> Callable[[], list[dict[str, Any]]]:
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": attributes["QueueArn"]}])
        rules.append(name)

        def read() -> list[dict[str, Any]]:
            found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            return [json.loads(message["Body"]) for message in found]

        return read

    yield make
    for name in rules:
        events.remove_targets(Rule=name, Ids=["1"])
        events.delete_rule(Name=name)


def test_failures_reach_rules_on_the_default_bus(
    aws: LocalAws, make: Make, rotate: Make, queue: Queue
) -> None:
    """UG:cloudtrail_log_entries: `AWS Service Event via CloudTrail`, the failure pattern of § 5."""
    read = queue(
        "failures",
        {
            "source": ["aws.secretsmanager"],
            "detail-type": ["AWS Service Event via CloudTrail"],
            "detail": {"eventName": ["RotationFailed", "RotationAbandoned", "TestRotationFailed"]},
        },
    )
    arn = make(fail="setSecret")
    aws.wait_for_rotation(arn, rotate(arn), WAIT)
    (event,) = read()
    detail = event["detail"]
    assert detail["eventName"] == "RotationFailed"
    assert detail["eventType"] == "AwsServiceEvent"
    assert detail["requestParameters"] is None
    assert detail["additionalEventData"]["SecretId"] == arn
    assert detail["errorMessage"].endswith("during setSecret step")


def test_rules_invoke_functions(aws: LocalAws, make: Make, rotate: Make) -> None:
    """EventBridge's UG:eb-targets: it invokes Lambda functions asynchronously, if their policy allows it."""
    function, events = aws.register("told-by-rule", "tests.local.handlers.echo"), aws.client("events")
    pattern = {
        "detail-type": ["AWS Service Event via CloudTrail"],
        "detail": {"eventName": ["RotationFailed"]},
    }
    rule = events.put_rule(Name="told", EventPattern=json.dumps(pattern))["RuleArn"]
    aws.client("lambda").add_permission(
        FunctionName=function,
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    events.put_targets(Rule="told", Targets=[{"Id": "1", "Arn": function}])
    arn = make(fail="setSecret")
    aws.wait_for_rotation(arn, rotate(arn), WAIT)
    assert "printed to stdout" in aws.wait_for_log("told-by-rule", "END RequestId")
    gc.collect()  # warns about a connection that was left open
    events.remove_targets(Rule="told", Ids=["1"])
    events.delete_rule(Name="told")


def test_some_rules_match_no_event(aws: LocalAws, make: Make, rotate: Make, queue: Queue) -> None:
    """EventBridge API:DisableRule; API:PutRule: a rule with a schedule alone is triggered by its schedule."""
    events = aws.client("events")
    pattern = {"detail": {"eventName": ["RotationFailed"]}}
    read, disabled = queue("enabled", pattern), queue("disabled", pattern)
    (target,) = events.list_targets_by_rule(Rule="disabled")["Targets"]
    events.disable_rule(Name="disabled")
    events.put_rule(Name="scheduled", ScheduleExpression="rate(1 day)")
    events.put_targets(Rule="scheduled", Targets=[target])
    arn = make(fail="setSecret")
    aws.wait_for_rotation(arn, rotate(arn), WAIT)
    assert (len(read()), disabled()) == (1, [])
    events.remove_targets(Rule="scheduled", Ids=[target["Id"]])
    events.delete_rule(Name="scheduled")


def test_a_new_current_version_is_reported_natively(secrets: Any, make: Make, queue: Queue) -> None:
    """UG:secret-event-notifications: name, labelUpdated, versionId; not for AWSPENDING and AWSPREVIOUS."""
    read = queue("stages", {"detail-type": ["Secret Label Updated"]})
    arn = make()
    token = secrets.put_secret_value(SecretId=arn, SecretString="2")["VersionId"]
    secrets.put_secret_value(SecretId=arn, SecretString="3", VersionStages=["AWSPENDING"])
    (event,) = read()
    name = secrets.describe_secret(SecretId=arn)["Name"]
    assert event["detail"] == {"name": name, "labelUpdated": "AWSCURRENT", "versionId": token}


def test_the_last_failure_is_found_in_cloudtrail(aws: LocalAws, failed: str) -> None:
    """Moto 10: lookup_events is not implemented. CloudTrail's API:LookupEvents; newest first.

    A real event (AWS Database Blog, RotationSucceeded of 2021) names its secret in additionalEventData only.
    """
    trail = aws.client("cloudtrail")
    by_name = [{"AttributeKey": "EventName", "AttributeValue": "RotationFailed"}]
    events = [
        event
        for event in trail.lookup_events(LookupAttributes=by_name)["Events"]
        if json.loads(event["CloudTrailEvent"])["additionalEventData"] == {"SecretId": failed}
    ]
    (newest,) = events
    assert newest["EventSource"] == "secretsmanager.amazonaws.com"
    assert newest["Resources"] == []
    assert newest["EventTime"].tzinfo is not None
    assert json.loads(newest["CloudTrailEvent"])["errorMessage"].endswith("during setSecret step")


@pytest.mark.usefixtures("failed")
def test_cloudtrail_filters_by_attribute_and_time_and_pages(aws: LocalAws) -> None:
    """CloudTrail's API:LookupEvents."""
    trail = aws.client("cloudtrail")
    by_name = [{"AttributeKey": "EventName", "AttributeValue": "RotationFailed"}]
    found = trail.lookup_events(LookupAttributes=by_name)["Events"]
    assert {event["EventName"] for event in found} == {"RotationFailed"}
    by_source = [{"AttributeKey": "EventSource", "AttributeValue": "secretsmanager.amazonaws.com"}]
    pages = list(
        trail.get_paginator("lookup_events").paginate(
            LookupAttributes=by_source, PaginationConfig={"PageSize": 1, "MaxItems": 3}
        )
    )
    assert len(pages) > 1
    assert all(len(page["Events"]) == 1 for page in pages)
    future = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    assert trail.lookup_events(StartTime=future)["Events"] == []
    assert trail.lookup_events(EndTime=future)["Events"]


ONE = {"AttributeKey": "EventName", "AttributeValue": "RotationFailed"}
LONG = {"AttributeKey": "EventName", "AttributeValue": "_" * 1001}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"LookupAttributes": [ONE, ONE]}, "InvalidLookupAttributesException"),
    ({"LookupAttributes": [LONG]}, "InvalidLookupAttributesException"),
    ({"EventCategory": "data"}, "InvalidEventCategoryException"),
    ({"MaxResults": 51}, "InvalidMaxResultsException"),
    ({"StartTime": 2, "EndTime": 1}, "InvalidTimeRangeException"),
    ({"NextToken": "50"}, "InvalidNextTokenException"),
    ({"NextToken": "bm9uZQ=="}, "InvalidNextTokenException"),
]


@pytest.mark.parametrize(("request_", "code"), WRONG, ids=str)
def test_cloudtrail_refuses_wrong_requests(
    aws: LocalAws, refused: Make, request_: dict[str, Any], code: str
) -> None:
    """CloudTrail's API:LookupEvents: one attribute, 2,000 characters of which an underscore counts twice."""
    assert refused(aws.client("cloudtrail").lookup_events, **request_).startswith(code)


def test_a_token_is_for_the_same_request(aws: LocalAws, make: Make, refused: Make) -> None:
    """CloudTrail's API:LookupEvents: the token must be passed in with the same parameters."""
    make()
    make()
    trail = aws.client("cloudtrail")
    by_name = [{"AttributeKey": "EventName", "AttributeValue": "CreateSecret"}]
    token = trail.lookup_events(LookupAttributes=by_name, MaxResults=1)["NextToken"]
    assert trail.lookup_events(LookupAttributes=by_name, MaxResults=1, NextToken=token)["Events"]
    answer = refused(trail.lookup_events, MaxResults=1, NextToken=token)
    assert answer.startswith("InvalidNextTokenException")


def test_new_events_do_not_move_pages(aws: LocalAws, secrets: Any, make: Make) -> None:
    """Our reading of CloudTrail's API:LookupEvents: a page begins where the one before ended."""
    arn = make()
    for _ in range(4):
        secrets.describe_secret(SecretId=arn)
    by_arn = [{"AttributeKey": "ResourceName", "AttributeValue": arn}]
    pages = aws.client("cloudtrail").get_paginator("lookup_events")
    found: list[str] = []
    for page in pages.paginate(LookupAttributes=by_arn, PaginationConfig={"PageSize": 2}):
        found += [event["EventId"] for event in page["Events"]]
        secrets.describe_secret(SecretId=arn)
    assert len(found) == len(set(found)) == 5


def test_each_region_has_its_own_events(aws: LocalAws) -> None:
    """CloudTrail's API:LookupEvents: events that occurred in a Region."""
    far = aws.client("secretsmanager", region="eu-west-1")
    arn = far.create_secret(Name=unique("far"), SecretString="1")["ARN"]
    by_arn = [{"AttributeKey": "ResourceName", "AttributeValue": arn}]
    here, there = (
        aws.client("cloudtrail", region=region).lookup_events(LookupAttributes=by_arn)["Events"]
        for region in ("us-east-1", "eu-west-1")
    )
    assert here == []
    assert [event["EventName"] for event in there] == ["CreateSecret"]
