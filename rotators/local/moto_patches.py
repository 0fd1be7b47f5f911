"""The only module that replaces code of moto.

`install` replaces methods of moto's classes until its `Replacements` are closed. Most of their names are
private to moto, so moto is pinned exactly; tests/local/moto_names.py lists them, and a test checks them.

CloudFormation, RDS, Redshift, ElastiCache and MemoryDB are replaced at their first request
(`_AT_FIRST_REQUEST`), because the import of moto's models of a service takes up to three seconds.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import botocore.useragent
import moto.core.responses
from moto.awslambda.models import LambdaFunction
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.responses import BaseResponse
from moto.events.models import Rule
from moto.iam.responses import IamResponse
from moto.secretsmanager.exceptions import SecretsManagerClientError
from moto.secretsmanager.models import (
    FakeSecret,
    SecretsManagerBackend,
    SecretsStore,
    secretsmanager_backends,
)
from moto.secretsmanager.responses import SecretsManagerResponse
from moto.sts.models import STSBackend
from moto.sts.responses import TokenResponse

from rotators.local.functions.lambda_service import set_code, update_configuration
from rotators.local.iam.account_details import get_account_authorization_details
from rotators.local.iam.lookup import session_arn
from rotators.local.iam.policy_simulator import simulate_principal_policy
from rotators.local.iam.sessions import with_managed_policies
from rotators.local.kms import patches as kms
from rotators.local.secretsmanager.accounts import owning_backend
from rotators.local.secretsmanager.events import with_targets
from rotators.local.secretsmanager.finding import FINDING
from rotators.local.secretsmanager.names import CHECKING, check_name
from rotators.local.secretsmanager.refusals import with_answer_of_aws
from rotators.local.service_models import shared_service_models

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.local.functions.lambda_service import LambdaService
    from rotators.local.options import Options
    from rotators.local.replacements import Replacements
    from rotators.local.secretsmanager.operations import Operations

_CACHED: tuple[tuple[Any, str], ...] = (
    (moto.core.responses, "method_names_from_class"),
    (moto.core.responses, "camelcase_to_underscores"),
    (botocore.useragent, "sanitize_user_agent_string_component"),
)
"""Functions that every request calls, whose results depend on their arguments only."""

_OPERATIONS = (
    "batch_get_secret_value",
    "get_resource_policy",
    "list_secret_version_ids",
    "list_secrets",
    "put_resource_policy",
    "put_secret_value",
    "remove_regions_from_replication",
    "replicate_secret_to_regions",
    "rotate_secret",
    "stop_replication_to_replica",
    "tag_resource",
    "untag_resource",
    "update_secret",
    "update_secret_version_stage",
    "validate_resource_policy",
)


# Moto's own supports only keys of 20 characters, so all callers with a name would be the same one.
_ACCESS_KEY = re.compile(r"^AWS\S*\s+(?:Credential=)?(?P<access_key>[^/:]+)[/:]")

_AT_FIRST_REQUEST = {
    "cloudformation": "rotators.local.cloudformation.patches",
    "ds": "rotators.local.directories",
    "rds": "rotators.local.cloudformation.patches",
    "elasticache": "rotators.local.elasticache.elasticache",
    "memorydb": "rotators.local.elasticache.memorydb",
    "redshift": "rotators.local.redshift.patches",
    "s3": "rotators.local.storage",
}
"""Services, each with the module whose ``install`` replaces functions of the service."""


def install(
    replacements: Replacements,
    operations: Operations,
    functions: LambdaService,
    options: Options,
    client: Callable[..., Any],
) -> None:
    """Make the replacements, except for those of `FirstRequests`.

    Args:
        replacements: keeps the originals. A process has at most one local AWS at a time.
        operations: Secrets Manager's operations that replace moto's.
        functions: Invokes Lambda functions instead of moto.
        options: Options of the local AWS.
        client: function of a service and a Region that returns a client of this AWS.
    """
    replace, wrap = replacements.replace, replacements.wrap
    for name in _OPERATIONS:
        replace(SecretsManagerResponse, name, _answer, operations, getattr(operations, name))
    wrap(SecretsManagerClientError, "__init__", with_answer_of_aws)
    wrap(SecretsManagerResponse, "create_secret", _create_secret, operations)
    for name, member in CHECKING.items():
        wrap(SecretsManagerResponse, name, _with_checked_name, member)
    replace(SecretsManagerResponse, "backend", property(partial(_backend, operations)))
    for name, finding in FINDING.items():
        replace(SecretsStore, name, finding)
    replace(SecretsManagerBackend, "get_secret_value", operations.get_secret_value)
    wrap(SecretsManagerBackend, "delete_secret", operations.deleting)
    wrap(SecretsManagerBackend, "_add_secret", operations.adding)
    wrap(FakeSecret, "to_dict", operations.described)
    replace(FakeSecret, "create_replicas", operations.replication.request)
    replace(CloudTrailResponse, "lookup_events", _lookup_events, operations)
    replace(LambdaFunction, "invoke", functions.invoke)
    wrap(LambdaFunction, "_set_function_code", set_code)
    wrap(LambdaFunction, "update_configuration", update_configuration)
    replace(IamResponse, "simulate_principal_policy", simulate_principal_policy)
    replace(IamResponse, "get_account_authorization_details", get_account_authorization_details)
    replace(BaseResponse, "access_key_regex", _ACCESS_KEY)
    wrap(STSBackend, "get_caller_identity", session_arn)
    for name in ("assume_role", "assume_role_with_saml", "assume_role_with_web_identity"):
        wrap(TokenResponse, name, with_managed_policies)
    wrap(Rule, "send_to_targets", with_targets, client, options)
    kms.install(replacements)
    replace(moto.core.responses, "gen_amzn_requestid_long", _request_id)
    for module, name in _CACHED:
        replace(module, name, cache(getattr(module, name)))


class FirstRequests:
    """The replacements for rarely used services; they are made at the first request.

    Args:
        replacements: keeps the originals.
        options: Options of the local AWS.
        client: function of a service and a Region that returns a client of this AWS.
    """

    def __init__(self, replacements: Replacements, options: Options, client: Callable[..., Any]) -> None:
        self._arguments = replacements, options, client
        self._lock = threading.Lock()
        self._installed: set[str] = set()

    def before(self, service: str) -> None:
        """Make the replacements of a service at its first request.

        Args:
            service: name of the service in moto.
        """
        module = _AT_FIRST_REQUEST.get(service)
        if module is None:
            return
        with self._lock:
            if module not in self._installed:
                with shared_service_models():  # only the import needs the large model of EC2
                    patches = import_module(module)
                patches.install(*self._arguments)
                self._installed.add(module)


def _backend(operations: Operations, response: SecretsManagerResponse) -> SecretsManagerBackend:
    own = secretsmanager_backends[response.current_account][response.region]
    operation = response.headers["X-Amz-Target"].rpartition(".")[2]
    key = response.get_access_key()
    return owning_backend(own, operation, key, _params(response), operations.lookup)


def _answer(
    operations: Operations, operation: Callable[..., dict[str, Any]], response: SecretsManagerResponse
) -> str:
    params = {**_params(response), "AccessKey": response.get_access_key()}
    with operations.lock:
        return json.dumps(operation(response.backend, params))


def _create_secret(
    original: Callable[[SecretsManagerResponse], str],
    operations: Operations,
    response: SecretsManagerResponse,
) -> str:
    with operations.lock:
        params = _params(response)
        operations.check_create(response.backend, params)
        answer = original(response)
        operations.created(response.backend, params)
        return answer


def _lookup_events(operations: Operations, response: CloudTrailResponse) -> str:
    return json.dumps(operations.events.lookup(response.region, _params(response)))


def _params(response: SecretsManagerResponse | CloudTrailResponse) -> dict[str, Any]:
    params: dict[str, Any] = json.loads(response.body or "{}")
    return params


def _request_id(headers: dict[str, str]) -> str:
    """Add the id of a request to the headers of its answer, in AWS's form; moto's needs 52 random choices."""
    headers["x-amzn-requestid"] = str(uuid.uuid4())
    return headers["x-amzn-requestid"]


def _with_checked_name(
    operation: Callable[[SecretsManagerResponse], str], member: str, response: SecretsManagerResponse
) -> str:
    check_name(_params(response), member)
    return operation(response)
