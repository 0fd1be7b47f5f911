"""ListSecrets and BatchGetSecretValue, through their HTTP APIs. Each test names its source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from rotators.local.aws import LocalAws
from tests.world import unique

REGION = "ap-southeast-4"
"""No other test uses it, so these tests create all secrets of this Region."""


@pytest.fixture(scope="module")
def listed(aws: LocalAws) -> Iterator[Any]:
    """A client of a Region with six secrets."""
    client = boto3.client("secretsmanager", region_name=REGION)
    made: list[dict[str, Any]] = [
        {"Name": "app/db", "Description": "My MariaDB secret", "Tags": [{"Key": "env", "Value": "prod"}]},
        {"Name": "app/cache", "Description": "Cache of the shop", "Tags": [{"Key": "env", "Value": "test"}]},
        {"Name": "App/other", "Tags": [{"Key": "Env", "Value": "prod"}, {"Key": "team", "Value": "a"}]},
        {"Name": "zebra"},
        {"Name": "both", "Tags": [{"Key": "env", "Value": "prod"}, {"Key": "owner", "Value": "test"}]},
        {"Name": "old"},
    ]
    for each in made:
        client.create_secret(SecretString="s", **each)
    client.delete_secret(SecretId="old")
    yield client
    for each in made:
        client.delete_secret(SecretId=each["Name"], ForceDeleteWithoutRecovery=True)
    client.close()


def names(client: Any, *filters: tuple[str, list[str]], **more: Any) -> list[str]:
    given = [{"Key": key, "Values": values} for key, values in filters]
    answer = client.list_secrets(**({"Filters": given} if given else {}), **more)
    return [secret["Name"] for secret in answer["SecretList"]]


@pytest.mark.parametrize(
    ("key", "values", "found"),
    [
        ("name", ["app"], ["app/db", "app/cache"]),
        ("name", ["app/d", "z"], ["app/db", "zebra"]),
        ("name", ["!app"], ["App/other", "zebra", "both"]),
        ("name", ["app", "!app/c"], ["app/db"]),
        ("description", ["my maria"], ["app/db"]),
        ("tag-key", ["en"], ["app/db", "app/cache", "both"]),
        ("tag-key", ["Env"], ["App/other"]),
        ("tag-value", ["prod"], ["app/db", "App/other", "both"]),
        ("tag-value", ["!prod"], ["app/cache", "zebra"]),
        ("primary-region", ["ap-south"], []),
        ("owning-service", ["rds"], []),
        ("all", ["MariaDB"], ["app/db"]),
        ("all", ["PROD"], ["app/db", "App/other", "both"]),
        ("all", ["shop cache"], ["app/cache"]),
    ],
)
def test_filters_select_as_documented(listed: Any, key: str, values: list[str], found: list[str]) -> None:
    """API:Filter: prefixes, their case, words, and negation by an exclamation mark."""
    assert names(listed, (key, values)) == found


@pytest.fixture(scope="module")
def worded() -> Iterator[Any]:
    """A client of a Region whose secrets have words in their names and descriptions."""
    client = boto3.client("secretsmanager", region_name="ap-southeast-3")
    made: dict[str, str] = {
        "prod/AppBeta/2f3391": "one two",
        "prod_AppBeta_2f3391": "one and two",
        "uat/COMPANY/2f3391": "one",
        "uat/COMPANYthings/2f3391": "two",
        "SecretFTag": "unrelated",
        "Thirdsecret": "",
    }
    for name, description in made.items():
        client.create_secret(SecretString="s", Name=name, Description=description)
    yield client
    for name in made:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    client.close()


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("description", "one two", ["prod/AppBeta/2f3391", "prod_AppBeta_2f3391"]),
        ("description", "o t", ["prod/AppBeta/2f3391", "prod_AppBeta_2f3391"]),
        ("all", "AppBeta", ["prod/AppBeta/2f3391", "prod_AppBeta_2f3391"]),
        ("all", "Beta", ["prod/AppBeta/2f3391", "prod_AppBeta_2f3391"]),
        ("all", "company", ["uat/COMPANY/2f3391"]),
        ("all", "Ythings", ["uat/COMPANYthings/2f3391"]),
        ("all", "sec", ["SecretFTag"]),
        ("all", "ta", ["SecretFTag"]),
        ("all", "things", []),
        ("all", "N", []),
        ("all", "ret", []),
        ("all", "SomeSecret", []),
        ("all", "+", []),
    ],
)
def test_words_are_found_as_on_aws(worded: Any, key: str, value: str, found: list[str]) -> None:
    """Recorded on AWS by moto's tests: test_with_all_filter(_special_characters) and …_multiple_words."""
    assert names(worded, (key, [value])) == found


def test_all_filters_must_match(listed: Any) -> None:
    """UG:manage_search-secret: results match all filters; a tag's value is not bound to its key."""
    assert names(listed, ("tag-key", ["owner"]), ("tag-value", ["prod"])) == ["both"]


def test_deleted_secrets_are_listed_on_request(listed: Any) -> None:
    """API:ListSecrets, IncludePlannedDeletion."""
    assert "old" not in names(listed)
    assert "old" in names(listed, IncludePlannedDeletion=True)


def test_secrets_are_sorted_on_request(listed: Any) -> None:
    """API:ListSecrets, SortBy and SortOrder."""
    ascending = names(listed, SortBy="name", SortOrder="asc")
    assert ascending == sorted(ascending)
    assert names(listed, SortBy="name", SortOrder="desc") == ascending[::-1]


def test_a_token_is_for_its_request(listed: Any) -> None:
    """API:ListSecrets, NextToken and InvalidNextTokenException."""
    first = listed.list_secrets(MaxResults=2)
    rest = listed.list_secrets(MaxResults=100, NextToken=first["NextToken"])
    assert "NextToken" not in rest
    assert [each["Name"] for each in first["SecretList"] + rest["SecretList"]] == names(listed)
    for request in ({"NextToken": "x"}, {"NextToken": first["NextToken"], "IncludePlannedDeletion": True}):
        with pytest.raises(ClientError, match="InvalidNextTokenException"):
            listed.list_secrets(**request)


@pytest.mark.parametrize(
    "request_",
    [
        {"MaxResults": 101},
        {"Filters": [{"Key": "name", "Values": ["a"]}] * 11},
        {"Filters": [{"Key": "colour", "Values": ["red"]}]},
        {"Filters": [{"Key": "name", "Values": ["a"] * 11}]},
        {"Filters": [{"Key": "name", "Values": ["ä"]}]},
        {"SortBy": "colour"},
        {"SortOrder": "up"},
    ],
)
def test_limits_of_a_listing(listed: Any, request_: dict[str, Any]) -> None:
    """API:ListSecrets and Filter: lengths, ranges, patterns and permitted values."""
    with pytest.raises(ClientError, match="ValidationException"):
        listed.list_secrets(**request_)


def test_a_batch_reads_the_filtered_secrets(listed: Any) -> None:
    """API:BatchGetSecretValue: at most 20 secrets; deleted ones are not selected."""
    answer = listed.batch_get_secret_value(Filters=[{"Key": "all", "Values": ["!zebra"]}], MaxResults=3)
    assert [each["Name"] for each in answer["SecretValues"]] == ["app/db", "app/cache", "App/other"]
    (last,) = listed.batch_get_secret_value(
        Filters=[{"Key": "all", "Values": ["!zebra"]}], NextToken=answer["NextToken"]
    )["SecretValues"]
    assert (last["Name"], last["SecretString"]) == ("both", "s")


def test_a_batch_lists_the_error_of_each_secret(listed: Any) -> None:
    """API:BatchGetSecretValue, Errors."""
    answer = listed.batch_get_secret_value(SecretIdList=["zebra", "old", "missing"])
    assert [each["Name"] for each in answer["SecretValues"]] == ["zebra"]
    codes = {each["SecretId"]: each["ErrorCode"] for each in answer["Errors"]}
    assert codes == {"old": "InvalidRequestException", "missing": "ResourceNotFoundException"}


@pytest.mark.parametrize(
    "request_",
    [
        {"SecretIdList": ["a"] * 21},
        {"SecretIdList": ["a"], "Filters": [{"Key": "name", "Values": ["a"]}]},
        {"SecretIdList": ["a"], "MaxResults": 2},
        {"Filters": [{"Key": "name", "Values": ["a"]}], "MaxResults": 21},
        {},
    ],
)
def test_limits_of_a_batch(listed: Any, request_: dict[str, Any]) -> None:
    """API:BatchGetSecretValue: 1 to 20 secrets, or filters with MaxResults up to 20."""
    with pytest.raises(ClientError, match=r"ValidationException|InvalidParameterException"):
        listed.batch_get_secret_value(**request_)


def test_versions_are_listed_in_pages(secrets: Any) -> None:
    """API:ListSecretVersionIds: MaxResults from 1 to 100, InvalidNextTokenException."""
    name = unique("versions")
    secrets.create_secret(Name=name, SecretString="1")
    for value in "23":
        secrets.put_secret_value(SecretId=name, SecretString=value)
    request: dict[str, Any] = {"SecretId": name, "IncludeDeprecated": True}
    whole = secrets.list_secret_version_ids(**request)
    assert "NextToken" not in whole
    first = secrets.list_secret_version_ids(**request, MaxResults=2)
    rest = secrets.list_secret_version_ids(**request, NextToken=first["NextToken"])
    assert first["Versions"] + rest["Versions"] == whole["Versions"]
    with pytest.raises(ClientError, match="ValidationException"):
        secrets.list_secret_version_ids(**request, MaxResults=101)
    for more in ({"NextToken": "x"}, {"NextToken": first["NextToken"], "IncludeDeprecated": False}):
        with pytest.raises(ClientError, match="InvalidNextTokenException"):
            secrets.list_secret_version_ids(**{**request, **more})


def test_a_denial_is_an_error_of_one_secret(aws: LocalAws) -> None:
    """API:BatchGetSecretValue needs GetSecretValue for each secret; APIErrorType: AccessDeniedException."""
    mine, other = unique("mine"), unique("other")
    manager = aws.client("secretsmanager")
    arn = manager.create_secret(Name=mine, SecretString="m")["ARN"]
    manager.create_secret(Name=other, SecretString="o", Tags=[{"Key": "batch", "Value": other}])
    statements = [
        {
            "Effect": "Allow",
            "Action": ["secretsmanager:BatchGetSecretValue", "secretsmanager:ListSecrets"],
            "Resource": "*",
        },
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn},
    ]
    caller = boto3.client("secretsmanager", aws_access_key_id="local-reader", aws_secret_access_key="local")
    aws.watch({"reader": statements})
    try:
        by_name = caller.batch_get_secret_value(SecretIdList=[mine, other, "missing"])
        by_tag = caller.batch_get_secret_value(Filters=[{"Key": "tag-value", "Values": [other]}])
    finally:
        aws.watch(None)
        caller.close()
    assert [each["SecretString"] for each in by_name["SecretValues"]] == ["m"]
    assert {each["ErrorCode"] for each in by_name["Errors"]} == {"AccessDeniedException"}
    assert by_tag["SecretValues"] == []
    assert [each["ErrorCode"] for each in by_tag["Errors"]] == ["AccessDeniedException"]


def test_the_day_of_the_last_read_is_kept(secrets: Any) -> None:
    """API:DescribeSecret, SecretVersionsListEntry and SecretListEntry, LastAccessedDate."""
    arn = secrets.create_secret(Name=unique("read"), SecretString="s")["ARN"]
    assert "LastAccessedDate" not in secrets.describe_secret(SecretId=arn)
    secrets.get_secret_value(SecretId=arn)
    (version,) = secrets.list_secret_version_ids(SecretId=arn)["Versions"]
    (entry,) = secrets.list_secrets(Filters=[{"Key": "name", "Values": [arn.split(":")[-1][:-7]]}])[
        "SecretList"
    ]
    for described in (secrets.describe_secret(SecretId=arn), version, entry):
        accessed = described["LastAccessedDate"].astimezone(dt.UTC)
        assert accessed.time() == dt.time()
        assert dt.datetime.now(dt.UTC) - accessed < dt.timedelta(days=2)


def test_filters_of_a_batch_need_listing(aws: LocalAws) -> None:
    """API:BatchGetSecretValue, required permissions: ListSecrets too if filters are used."""
    allowed = {"Effect": "Allow", "Action": "secretsmanager:*GetSecretValue", "Resource": "*"}
    caller = boto3.client("secretsmanager", aws_access_key_id="local-filter", aws_secret_access_key="local")
    aws.watch({"filter": [allowed]})
    try:
        caller.batch_get_secret_value(SecretIdList=["missing"])
        with pytest.raises(ClientError, match="not authorized to perform: secretsmanager:ListSecrets"):
            caller.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["missing"]}])
    finally:
        aws.watch(None)
        caller.close()


def test_a_listing_names_the_primary_region(aws: LocalAws) -> None:
    """API:SecretListEntry, PrimaryRegion; seen on AWS: only replicated secrets have one (aws-nuke#1127)."""
    manager, name = aws.client("secretsmanager"), unique("primary")
    manager.create_secret(Name=name, SecretString="s", AddReplicaRegions=[{"Region": "eu-north-1"}])
    manager.create_secret(Name=f"{name}-alone", SecretString="s")
    for region in (manager.meta.region_name, "eu-north-1"):
        client = boto3.client("secretsmanager", region_name=region)
        for place, found in (("us-", [name]), ("eu-", [])):
            assert names(client, ("name", [name]), ("primary-region", [place])) == found
        listed = client.list_secrets(Filters=[{"Key": "name", "Values": [name]}])["SecretList"]
        regions = {each["Name"]: each.get("PrimaryRegion") for each in listed}
        assert regions[name] == manager.meta.region_name
        assert regions.get(f"{name}-alone") is None
        client.close()
