"""Each error of boto3 becomes the matching error of this project, with code and remedy, without a value."""

from __future__ import annotations

import traceback

import boto3
import pytest
from botocore import exceptions as boto
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from rotators.aws.faults import translated
from rotators.core.errors import (
    AccessDenied,
    ConfigurationError,
    KeyUnusable,
    LimitExceeded,
    RequestRefused,
    RotatorsError,
    SecretDeleted,
    SecretManagedByService,
    SecretNotFound,
    ServiceThrottled,
    ServiceUnavailable,
    VersionConflict,
)

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/db-AbCdEf"


def translation(raised: BaseException, secret_id: str = "app/db") -> RotatorsError:
    with pytest.raises(RotatorsError) as caught, translated("GetSecretValue", secret_id):
        raise raised
    return caught.value


def refusal(code: str, message: str = "No.", status: int = 400) -> boto.ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(answer, "GetSecretValue")  # type: ignore[arg-type]  # as much as services send


@pytest.mark.parametrize(
    ("code", "message", "error", "full_code"),
    [
        ("ResourceNotFoundException", "can't find the specified secret.", SecretNotFound, "secret-not-found"),
        ("NotFoundException", "Alias arn:x is not found.", RequestRefused, "request-refused/key"),
        (
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret value for staging label: AWSPENDING",
            SecretNotFound,
            "secret-not-found/version",
        ),
        (
            "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.",
            SecretDeleted,
            "secret-deleted",
        ),
        (
            "InvalidRequestException",
            "You can't create this secret because a secret with this name is already scheduled for deletion.",
            SecretDeleted,
            "secret-deleted",
        ),
        ("AccessDeniedException", "User: u is not authorized to perform", AccessDenied, "access-denied"),
        ("AccessDeniedException", "Access to KMS is not allowed", AccessDenied, "access-denied/kms"),
        ("ExpiredTokenException", "The security token is expired", AccessDenied, "access-denied/credentials"),
        ("UnrecognizedClientException", "invalid token", AccessDenied, "access-denied/credentials"),
        ("ThrottlingException", "Rate exceeded", ServiceThrottled, "service-throttled"),
        ("DecryptionFailure", "can't decrypt the protected secret text", KeyUnusable, "key-unusable"),
        ("EncryptionFailure", "can't encrypt the protected secret text", KeyUnusable, "key-unusable"),
        (
            "InvalidRequestException",
            "Cannot generate a data key with an asymmetric KMS key",
            KeyUnusable,
            "key-unusable/asymmetric",
        ),
        ("InvalidRequestException", "The KMS key k is disabled", KeyUnusable, "key-unusable"),
        (
            "InvalidRequestException",
            "This secret is managed by an AWS service, and you must use that service to update it.",
            SecretManagedByService,
            "secret-managed-by-service",
        ),
        ("ResourceExistsException", "already exists", VersionConflict, "version-conflict"),
        ("LimitExceededException", "too many", LimitExceeded, "limit-exceeded"),
        (
            "InvalidRequestException",
            "A previous rotation isn't complete. That rotation will be reattempted.",
            RequestRefused,
            "request-refused/rotation-in-progress",
        ),
        ("MalformedPolicyDocumentException", "syntax", RequestRefused, "request-refused/policy"),
        ("PublicPolicyException", "broad", RequestRefused, "request-refused/public-policy"),
        ("PreconditionNotMetException", "no", RequestRefused, "request-refused/precondition"),
        ("InvalidParameterException", "The parameter Name is wrong", RequestRefused, "request-refused"),
        (
            "InvalidRequestException",
            "No Lambda rotation function",
            RequestRefused,
            "request-refused/no-function",
        ),
        ("InternalServiceError", "ours", ServiceUnavailable, "service-unavailable"),
        ("SomethingNew", "never seen", RequestRefused, "request-refused"),
    ],
)
def test_a_services_error_gets_a_remedy(
    code: str, message: str, error: type[RotatorsError], full_code: str
) -> None:
    result = translation(refusal(code, message))
    assert type(result) is error
    assert result.full_code == full_code
    assert all(part in result.cause for part in ("GetSecretValue", "app/db", code, message.rstrip(".")))
    assert result.remedy


def test_an_unknown_server_error_is_retryable() -> None:
    assert translation(refusal("Strange", status=503)).retryable
    assert not translation(refusal("Strange", status=400)).retryable


@pytest.mark.parametrize(
    ("secret_id", "hint"),
    [
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/db", "complete ARN"),
        (ARN, "partial ARN"),
        ("app/db", "spelling"),
    ],
)
def test_a_missing_secret_gets_a_hint(secret_id: str, hint: str) -> None:
    assert hint in translation(refusal("ResourceNotFoundException"), secret_id).remedy


@pytest.mark.parametrize(
    ("raised", "error", "full_code"),
    [
        (boto.NoCredentialsError(), AccessDenied, "access-denied/credentials"),
        (boto.NoRegionError(), ConfigurationError, "configuration/boto3"),
        (boto.ProfileNotFound(profile="p"), ConfigurationError, "configuration/boto3"),
        (
            boto.EndpointConnectionError(endpoint_url="https://e"),
            ServiceUnavailable,
            "service-unavailable/endpoint",
        ),
        (
            boto.ConnectTimeoutError(endpoint_url="https://e", error="x"),
            ServiceUnavailable,
            "service-unavailable/timeout",
        ),
        (
            boto.ReadTimeoutError(endpoint_url="https://e", error="x"),
            ServiceUnavailable,
            "service-unavailable/timeout",
        ),
        (
            boto.SSLError(endpoint_url="https://e", error=OSError("x")),
            ServiceUnavailable,
            "service-unavailable/tls",
        ),
        (
            boto.ConnectionClosedError(endpoint_url="https://e"),
            ServiceUnavailable,
            "service-unavailable/endpoint",
        ),
        (boto.BotoCoreError(), RequestRefused, "request-refused"),
    ],
)
def test_a_boto_error_names_the_endpoint(
    raised: boto.BotoCoreError, error: type[RotatorsError], full_code: str
) -> None:
    result = translation(raised)
    assert type(result) is error
    assert result.full_code == full_code
    assert type(raised).__name__ in result.cause
    assert ("https://e" in result.cause) == ("endpoint_url" in raised.kwargs)


def test_a_free_port_is_an_unreachable_endpoint() -> None:
    client = boto3.client(
        "secretsmanager",
        region_name="eu-west-1",
        endpoint_url="http://127.0.0.1:1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ServiceUnavailable) as caught, translated("GetSecretValue", "app/db"):
        client.get_secret_value(SecretId="app/db")
    assert caught.value.retryable
    assert "http://127.0.0.1:1" in caught.value.cause


def test_a_parameter_that_boto_refuses_is_not_quoted() -> None:
    client = boto3.client("secretsmanager", region_name="eu-west-1")
    with pytest.raises(RequestRefused) as caught, translated("PutSecretValue", "app/db"):
        client.put_secret_value(SecretId="app/db", SecretString={"password": "hunter2"})  # type: ignore[arg-type]
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert "ParamValidationError" in shown
    assert "hunter2" not in shown


@given(st.text(min_size=8))
def test_a_value_quoted_by_input_validation_is_masked(value: str) -> None:
    mark = f"<{value}>"
    message = (
        f"2 validation errors detected: Value '{mark}' at 'secretString' failed; Value '{mark}' at 'x' failed"
    )
    result = translation(refusal("ValidationException", message))
    assert " ".join(mark.split()) not in str(result)
    assert "'x' failed" in str(result)


def test_a_long_message_is_cut() -> None:
    assert len(str(translation(refusal("InvalidParameterException", "m" * 5000)))) < 1000


@pytest.mark.parametrize("raised", [ValueError("mine"), KeyboardInterrupt()])
def test_errors_of_other_libraries_pass(raised: BaseException) -> None:
    with pytest.raises(type(raised)) as caught, translated("GetSecretValue", "app/db"):
        raise raised
    assert caught.value is raised
