"""Translates errors of boto3 into errors with a cause and a next action, and without a value of a secret.

The messages are those of the User Guide's pages troubleshoot and troubleshoot_rotation, and of the API
reference's error lists. The first matching rule decides. An error that matches none becomes a RequestRefused
with the service's message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from rotators.core import errors


@contextmanager
def translated(action: str, secret_id: str) -> Iterator[None]:
    """Run calls of boto3, and translate their errors.

    Args:
        action: name of the API's operation (``GetSecretValue``), or a description of the call.
        secret_id: the name or ARN that the calls are about.

    Yields:
        Nothing.

    Raises:
        StoreError: the subclass that describes the service's error best. If it is ``retryable``, the same
            call may succeed later; otherwise a person has to follow its remedy.
        ConfigurationError: boto3 itself is not configured (no Region, an unknown profile).
    """
    try:
        yield
    except boto.ClientError as error:
        raise translate(error, action, secret_id) from None
    except boto.BotoCoreError as error:
        raise _of_boto(error, action, secret_id) from None
    except (ResponseParserError, KeyError):  # KeyError: a required member is missing in the response
        raise not_aws(action, secret_id) from None


def not_aws(action: str, secret_id: str) -> errors.ServiceUnavailable:
    """Return the error for a response that is not from AWS: a web page, or JSON without the required members.

    Args:
        action: name of the operation.
        secret_id: name or ARN of the secret, or of another resource.
    """
    return errors.ServiceUnavailable(
        f"{action} on {secret_id} failed: the answer does not follow AWS's protocol",
        remedy="Check the endpoint: AWS_ENDPOINT_URL, the profile's endpoint_url, and proxies.",
        reason="protocol",
    )


def translate(refusal: boto.ClientError, action: str, secret_id: str) -> errors.StoreError:
    """Return the error for a refusal, which may also be part of a successful response.

    Args:
        refusal: error of the service; its message is shown after sanitising.
        action: name of the operation.
        secret_id: name or ARN of the secret of the call.

    Returns:
        The error that describes the refusal best.
    """
    said = refusal.response.get("Error", {})
    code, message = said.get("Code", "Unknown"), said.get("Message", "")
    fault = next((fault for fault in _FAULTS if fault.fits(code, message)), None)
    cause = f"{action} on {secret_id} failed with {code}: {_sanitised(message)}"
    if fault is None:
        status = refusal.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        kind = errors.ServiceUnavailable if status >= _SERVER_ERROR else errors.RequestRefused
        return kind(cause)
    remedy = fault.remedy and fault.remedy.format(operation=refusal.operation_name)
    if fault.kind is errors.SecretNotFound and fault.reason is None:
        remedy = _not_found_remedy(secret_id)
    return fault.kind(cause, remedy=remedy, reason=fault.reason)


_SERVER_ERROR = 500
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LONGEST_MESSAGE = 400


class _Fault(NamedTuple):
    """A kind of error: how it is recognised (code and message must both match), and the next action."""

    kind: type[errors.StoreError]
    codes: str = ""
    message: str = ""
    reason: str | None = None
    remedy: str | None = None

    def fits(self, code: str, message: str) -> bool:
        return (not self.codes or code in self.codes.split()) and bool(
            re.search(self.message, message, re.I | re.S)
        )


_CREDENTIALS_REMEDY = (
    "Give the process valid AWS credentials (role, profile or environment) of the right account."
)
_KMS_REMEDY = (
    "Grant the caller kms:Decrypt, kms:GenerateDataKey and kms:DescribeKey on the secret's key, in its "
    "identity policy and in the key's policy; a condition on kms:EncryptionContext:SecretARN must match."
)

_FAULTS = (
    _Fault(
        errors.KeyUnusable,
        message="asymmetric KMS key",
        reason="asymmetric",
        remedy="Give the secret a symmetric key (SYMMETRIC_DEFAULT, ENCRYPT_DECRYPT) with UpdateSecret.",
    ),
    _Fault(errors.SecretManagedByService, message="managed by an AWS service"),
    _Fault(
        errors.SecretDeleted,
        codes="InvalidRequestException",
        message="(marked|scheduled) for deletion|marked deleted",
    ),
    _Fault(
        errors.AccessDenied,
        codes="AccessDeniedException AccessDenied KMSAccessDeniedException",
        message=r"\bKMS\b|\bkms:",
        reason="kms",
        remedy=_KMS_REMEDY,
    ),
    _Fault(
        errors.AccessDenied,
        codes="AccessDenied",
        message=r"\bsts:AssumeRole\b",
        reason="assume-role",
        remedy="Permit the function's role to assume TARGET_ROLE_ARN, also in the trust policy of that role.",
    ),
    _Fault(
        errors.AccessDenied,
        codes="AccessDeniedException AccessDenied UnauthorizedOperation",
        remedy="Grant the caller {operation} on this secret; also look for a Deny in the secret's resource "
        "policy, the VPC endpoint's policy and the organisation's.",
    ),
    _Fault(
        errors.AccessDenied,
        codes="UnrecognizedClientException InvalidClientTokenId ExpiredToken ExpiredTokenException "
        "InvalidSignatureException SignatureDoesNotMatch IncompleteSignature MissingAuthenticationToken "
        "MissingAuthenticationTokenException NotAuthorized OptInRequired RequestExpired InvalidAccessKeyId",
        reason="credentials",
        remedy=_CREDENTIALS_REMEDY,
    ),
    _Fault(
        errors.ServiceThrottled,
        codes="ThrottlingException Throttling ThrottledException TooManyRequestsException RequestThrottled "
        "RequestThrottledException RequestLimitExceeded SlowDown",
    ),
    _Fault(
        errors.KeyUnusable,
        codes="DecryptionFailure EncryptionFailure DisabledException KMSInvalidStateException "
        "InvalidKeyUsageException KeyUnavailableException IncorrectKeyException InvalidCiphertextException",
    ),
    _Fault(
        errors.KeyUnusable,
        codes="InvalidRequestException InvalidParameterException",
        message=r"KMS key .*(disabled|pending deletion|not found|(doesn't|does not) exist|state)",
    ),
    _Fault(
        errors.SecretNotFound,
        codes="ResourceNotFoundException",
        message="secret (value|version)|staging label|version ?id",
        reason="version",
        remedy="See the versions with `rotators show SECRET`: none has this stage or id, or it has no value.",
    ),
    _Fault(
        errors.SecretNotFound,
        codes="ResourceNotFoundException",
        message="^function not found",
        reason="function",
        remedy="Check the function's name, the account and the Region; `aws lambda list-functions` lists the "
        "functions, `rotators outputs` those of the stack.",
    ),
    _Fault(errors.SecretNotFound, codes="ResourceNotFoundException"),
    _Fault(
        errors.RequestRefused,
        codes="NotFoundException",
        message=r"^(alias|invalid arn|invalid keyid|key) ",
        reason="key",
        remedy="Check the key's id or alias, the account and the Region; `rotators key list` lists the keys.",
    ),
    _Fault(errors.VersionConflict, codes="ResourceExistsException"),
    _Fault(errors.LimitExceeded, codes="LimitExceededException"),
    _Fault(
        errors.RequestRefused,
        codes="InvalidRequestException",
        message="previous rotation",
        reason="rotation-in-progress",
        remedy=(
            "This call makes the service continue the earlier rotation. Follow it with `rotators "
            "rotate SECRET` or `rotators show SECRET`."
        ),
    ),
    _Fault(
        errors.RequestRefused,
        codes="InvalidRequestException",
        message="no lambda rotation function",
        reason="no-function",
        remedy="Name the rotation function: `rotators schedule SECRET --every DAYS --function ARN`; ARN is "
        "the stack's output RotateFunctionArn.",
    ),
    _Fault(
        errors.RequestRefused,
        codes="PublicPolicyException",
        reason="public-policy",
        remedy="Narrow the resource policy's principals; it gives everyone access.",
    ),
    _Fault(errors.RequestRefused, codes="MalformedPolicyDocumentException", reason="policy"),
    _Fault(errors.RequestRefused, codes="PreconditionNotMetException", reason="precondition"),
    _Fault(errors.RequestRefused, codes="InvalidNextTokenException", reason="next-token"),
    _Fault(
        errors.ServiceUnavailable,
        codes="InternalServiceError InternalServiceErrorException InternalFailure InternalServerError "
        "ServiceUnavailable ServiceUnavailableException DependencyTimeoutException KMSInternalException",
        remedy="Try again; the service failed.",
    ),
)


def _of_boto(error: boto.BotoCoreError, action: str, secret_id: str) -> errors.RotatorsError:
    cause = f"{action} on {secret_id} failed with {type(error).__name__}"
    fault = next((fault for fault in _BOTO_FAULTS if isinstance(error, fault.raised)), None)
    if fault is None:
        return errors.RequestRefused(cause, remedy="boto3 stopped the call; look up the named error class.")
    endpoint = getattr(error, "kwargs", {}).get("endpoint_url")
    if fault.reason == "endpoint" and urlsplit(endpoint or "").hostname in _LOOPBACK:
        return errors.ServiceUnavailable(
            f"{action} on {secret_id} failed: no server listens at {endpoint}",
            remedy=(
                "Run `rotators up` in another terminal, and paste the export lines that it prints "
                "into this one; to use the real AWS, unset AWS_ENDPOINT_URL."
            ),
            reason="endpoint",
        )
    at = f" at {endpoint}" if endpoint else ""
    return fault.kind(f"{cause}: {fault.what}{at}", reason=fault.reason, remedy=fault.remedy)


class _BotoFault(NamedTuple):
    """A kind of error that boto3 raises itself; the first match decides."""

    raised: tuple[type[boto.BotoCoreError], ...]
    kind: type[errors.RotatorsError]
    what: str
    reason: str
    remedy: str | None = None


_BOTO_FAULTS = (
    _BotoFault(
        (boto.ParamValidationError,),
        errors.RequestRefused,
        # boto3's own text quotes the parameters, which may include the value.
        "a parameter has the wrong type or length",
        "parameters",
        "Check the types and lengths of the parameters; boto3's text is withheld, because it quotes values.",
    ),
    _BotoFault(
        (boto.ConnectTimeoutError, boto.ReadTimeoutError),
        errors.ServiceUnavailable,
        "no answer in time",
        "timeout",
    ),
    _BotoFault(
        (boto.SSLError,),
        errors.ServiceUnavailable,
        "the TLS handshake failed",
        "tls",
        "Check AWS_CA_BUNDLE and the endpoint's certificate, then try again.",
    ),
    _BotoFault(
        (boto.HTTPClientError, boto.ConnectionError), errors.ServiceUnavailable, "no connection", "endpoint"
    ),
    _BotoFault(
        (
            boto.NoCredentialsError,
            boto.PartialCredentialsError,
            boto.CredentialRetrievalError,
            boto.TokenRetrievalError,
            boto.UnauthorizedSSOTokenError,
        ),
        errors.AccessDenied,
        "boto3 has no usable credentials",
        "credentials",
        _CREDENTIALS_REMEDY,
    ),
    _BotoFault(
        (boto.NoRegionError, boto.ProfileNotFound, boto.ConfigNotFound, boto.ConfigParseError),
        errors.ConfigurationError,
        "boto3 is not configured",
        "boto3",
        "Set AWS_REGION, or correct AWS_PROFILE or the configuration file.",
    ),
)


def _not_found_remedy(secret_id: str) -> str:
    complete = re.search(r"-[A-Za-z0-9]{6}$", secret_id)
    if secret_id.startswith("arn:") and not complete:
        return (
            "Use the complete ARN with its -xxxxxx suffix, or the name; check the account and the Region too."
        )
    if secret_id.startswith("arn:"):
        return (
            "Check the account and the Region; if this is a partial ARN whose name ends in a hyphen "
            "and six characters, use the complete ARN."
        )
    return "Check the spelling of the name, the account and the Region."


def _sanitised(message: str) -> str:
    # Input validation quotes the parameter: "Value 'x' at 'secretString' failed to satisfy constraint".
    # Greedy on purpose: a value that looks like the rest of the sentence must not end the match.
    message = re.sub(r"Value .* at '", "Value *** at '", message, flags=re.S)
    message = " ".join(message.split()).rstrip(".")
    return message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "…"
