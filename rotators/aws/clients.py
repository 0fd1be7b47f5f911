"""The boto3 clients, created on first use and kept while the container is warm."""

from __future__ import annotations

import logging
import os
import re
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from rotators import __version__
from rotators.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from botocore.config import Config
    from botocore.loaders import Loader
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

_ROLE = "TARGET_ROLE_ARN"
# Services that are called as that role, because they are in the account of the secrets. Functions, their
# roles and their logs are in the process's own account.
_OF_THE_SECRETS = (
    "ds",
    "elasticache",
    "kms",
    "memorydb",
    "rds",
    "redshift",
    "redshift-serverless",
    "secretsmanager",
)

# The variables that determine a client. If one changes (in tests, or by the local stack), a new client is
# made.
_DECIDING = (
    "AWS_CONFIG_FILE",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_DIRECTORY_SERVICE",
    "AWS_ENDPOINT_URL_ELASTICACHE",
    "AWS_ENDPOINT_URL_KMS",
    "AWS_ENDPOINT_URL_MEMORYDB",
    "AWS_ENDPOINT_URL_RDS",
    "AWS_ENDPOINT_URL_REDSHIFT",
    "AWS_ENDPOINT_URL_REDSHIFT_SERVERLESS",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_MAX_ATTEMPTS",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_RETRY_MODE",
    "SECRETS_MANAGER_ENDPOINT",
    _ROLE,
)

# Lambda sets AWS_REGION, and boto3 reads AWS_DEFAULT_REGION; other environments set one of them.
_REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")

_ARN = re.compile(r"arn:[a-z0-9-]+:(?:secretsmanager|kms):([a-z0-9-]+):")
_chosen_region: ContextVar[str | None] = ContextVar("_chosen_region", default=None)

_CONNECT_SECONDS = 5
_READ_SECONDS = 10
_ATTEMPTS = 5
# For look-ups of addresses, which a step repeats, and for calls that a command or the operate function can
# omit. In private subnets these services may be unreachable.
_LOOK_ATTEMPTS = 2
# Pauses grow to 20 s each (botocore, standard mode), so a throttled command waits for two minutes.
# An endpoint that does not answer gets only _ATTEMPTS: see _give_up_unanswered.
_PATIENT_ATTEMPTS = 12
_FUNCTION_SECONDS = 900  # the longest that Lambda lets a function run (LG: gettingstarted-limits)


@contextmanager
def in_region_of(secret_id: str) -> Iterator[None]:
    """Create the clients in this block in the Region that the ARN of a secret or of a KMS key names.

    Args:
        secret_id: name or ARN; with a name, the Region of the environment is used.
    """
    named = region_named_by(secret_id)
    if named is None or named == _region():
        yield  # with the existing clients
        return
    before = _chosen_region.set(named)
    try:
        yield
    finally:
        _chosen_region.reset(before)


def region_named_by(secret_id: str) -> str | None:
    """Return the Region in the ARN of a secret or of a KMS key.

    Args:
        secret_id: name or ARN. The result for a name is None.
    """
    found = _ARN.match(secret_id)
    return found[1] if found else None


def short_id(name: str, arn: str) -> str:
    """Return the name of a secret if a command finds the secret by it, otherwise the ARN.

    A name is looked up in the Region of the environment. A name that begins with ``-``, which Secrets Manager
    permits, would be parsed as an option of the command.

    Args:
        name: name of the secret.
        arn: its ARN.
    """
    own = _own_region() or _profile_region(os.environ.get("AWS_PROFILE"))
    return arn if name.startswith("-") or region_named_by(arn) != own else name


@lru_cache
def _profile_region(profile: str | None) -> str | None:
    import botocore.session  # noqa: PLC0415 - only without a variable that names the Region
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    try:
        region: str | None = botocore.session.Session(profile=profile).get_config_variable("region")
    except BotoCoreError:
        return None
    return region


def _shared(service: str, attempts: int = _ATTEMPTS, read_seconds: int = _READ_SECONDS) -> Any:
    """Return the client of a service; the same one until the environment changes.

    Args:
        service: name in botocore.
        attempts: attempts of a request, unless ``AWS_MAX_ATTEMPTS`` or the profile says otherwise.
        read_seconds: time in which an attempt must be answered.

    Raises:
        ConfigurationError: there is no Region, the profile is unknown, or the endpoint is not valid.
    """
    # A forked child makes its own clients: on a shared connection, a process could get the answer for the
    # other.
    deciding = (str(os.getpid()), _chosen_region.get(), *(os.environ.get(name) for name in _DECIDING))
    return _client(service, deciding, attempts, read_seconds)


# Each of these returns a client; see `_shared`.

secrets_manager: Callable[[], SecretsManagerClient] = partial(_shared, "secretsmanager")
"""Secrets Manager.

If ``TARGET_ROLE_ARN`` is set, Secrets Manager and the other services of ``_OF_THE_SECRETS`` are called as
that role. ``SECRETS_MANAGER_ENDPOINT``, the variable of AWS's sample rotation lambdas, names the endpoint if
set; else boto3's own configuration decides.
"""

secrets_reader: Callable[[], SecretsManagerClient] = partial(_shared, "secretsmanager", attempts=1)
"""Secrets Manager, to read values through a cache.

The cache has the deadlines of its callers, and repeats loads for all of them (``rotators.cache.cache``).
"""

secrets_lister: Callable[[], SecretsManagerClient] = partial(_shared, "secretsmanager", _PATIENT_ATTEMPTS)
"""Secrets Manager, to list and change many secrets."""

rds: Callable[[], RDSClient] = partial(_shared, "rds", _LOOK_ATTEMPTS)
"""RDS, needed only for secrets that RDS manages."""

redshift = partial(_shared, "redshift", _LOOK_ATTEMPTS)
"""Redshift, which returns the addresses of clusters."""

redshift_serverless = partial(_shared, "redshift-serverless", _LOOK_ATTEMPTS)
"""Redshift Serverless, which returns the addresses of workgroups."""

of_cache = _shared
"""ElastiCache or MemoryDB (``elasticache``, ``memorydb``), which set passwords and AUTH tokens."""

directory_service = partial(_shared, "ds")
"""Directory Service, which resets passwords of users."""

functions: Callable[[], LambdaClient] = partial(_shared, "lambda", _LOOK_ATTEMPTS)
"""Lambda, to read functions and their policies."""

invoker: Callable[[], LambdaClient] = partial(_shared, "lambda", attempts=1, read_seconds=_FUNCTION_SECONDS)
"""Lambda, to invoke functions.

It waits for the longest duration of a function, and never invokes it again.
"""

sns = partial(_shared, "sns")
"""SNS, with which the notify function sends messages."""

logs = partial(_shared, "logs")
"""CloudWatch Logs, which contain the reason of a failure."""

iam = partial(_shared, "iam", _LOOK_ATTEMPTS)
"""IAM, whose policy simulator `rotators check` uses."""

iam_lister = partial(_shared, "iam", _PATIENT_ATTEMPTS)
"""IAM, to read all users, roles and policies."""

kms = partial(_shared, "kms", _LOOK_ATTEMPTS)
"""KMS, which seals and opens values, and describes keys."""

kms_lister = partial(_shared, "kms", _PATIENT_ATTEMPTS)
"""KMS, to read policies and grants of many keys."""

sts = partial(_shared, "sts")
"""STS, which returns the identity of the caller."""

s3 = partial(_shared, "s3", _PATIENT_ATTEMPTS)
"""S3, where receipts and the records of trails are."""

stacks = partial(_shared, "cloudformation")
"""CloudFormation, whose outputs the command shows."""

cloudtrail = partial(_shared, "cloudtrail", _LOOK_ATTEMPTS)
"""CloudTrail, where the command finds failed rotations."""

cloudtrail_lister = partial(_shared, "cloudtrail", _PATIENT_ATTEMPTS)
"""CloudTrail, to read the events of many secrets."""


@lru_cache(maxsize=32)
def _client(
    service: str,
    _decided_by: tuple[str | None, ...],
    attempts: int,
    read_seconds: int,
) -> Any:
    keep_requests_out_of_logs()
    # botocore's session makes the same clients as boto3's, without the import of file transfers to S3. It is
    # a new session, because the default one would always keep the first profile.
    import botocore.session  # noqa: PLC0415 - takes a quarter of a second, and only a caller of AWS needs it
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    session = botocore.session.Session()
    try:
        session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
        config = _config(session.get_scoped_config(), attempts, read_seconds)
        if service in _OF_THE_SECRETS and (role := os.environ.get(_ROLE)):
            from rotators.aws.assuming import assuming  # noqa: PLC0415 - few need it

            session = assuming(role, _region(), config)
        client: Any = session.create_client(
            service,
            region_name=_region(),
            endpoint_url=_endpoint(service),
            config=config,
        )
    except (BotoCoreError, ValueError) as error:
        cause = f"a client for {service} could not be created: {str(error).rstrip('.')}"
        raise ConfigurationError(
            cause,
            remedy="Set AWS_REGION, and correct AWS_PROFILE or the endpoint variable if the cause names it.",
        ) from None
    if client.meta.config.retries.get("total_max_attempts") == _PATIENT_ATTEMPTS:
        client.meta.events.register_first("needs-retry", _give_up_unanswered)
    return client


def _give_up_unanswered(*, caught_exception: Exception | None, attempts: int, **_: object) -> None:
    """Stop after fewer attempts if a request had no answer than if it was throttled."""
    if caught_exception is not None and attempts >= _ATTEMPTS:
        raise caught_exception


def keep_requests_out_of_logs() -> None:
    """Prevent boto3 from logging requests and responses at DEBUG: they contain values of secrets."""
    for name in ("boto3", "botocore", "urllib3"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logging.INFO, logger.getEffectiveLevel()))


@lru_cache
def _loader(data_path: str | None) -> Loader:
    """Reads botocore's descriptions of AWS. It is shared, which saves 50 ms for each further client."""
    from botocore.loaders import create_loader  # noqa: PLC0415

    return create_loader(data_path)


def _region() -> str | None:
    return _chosen_region.get() or _own_region()


def _own_region() -> str | None:
    return next((region for name in _REGION if (region := os.environ.get(name))), None)


def _endpoint(service: str) -> str | None:
    return (os.environ.get("SECRETS_MANAGER_ENDPOINT") or None) if service == "secretsmanager" else None


def _config(profile: Mapping[str, object], attempts: int, read_seconds: int) -> Config:
    from botocore.config import Config  # noqa: PLC0415

    retries: dict[str, Any] = {}
    if "AWS_RETRY_MODE" not in os.environ and "retry_mode" not in profile:
        retries["mode"] = "standard"
    if "AWS_MAX_ATTEMPTS" not in os.environ and "max_attempts" not in profile:
        retries["total_max_attempts"] = attempts
    return Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries=retries,  # type: ignore[arg-type]  # a plain dict is what botocore takes
        user_agent_extra=f"rotators/{__version__}",
    )
