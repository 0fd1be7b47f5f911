"""The one place where moto's code is replaced.

`MotoPatches.install` replaces methods of moto's classes and `remove` restores moto's own. Most of their names
are private to moto, so moto is pinned exactly; tests/local/moto_names.py lists them, and a test checks them.

CloudFormation, RDS, Redshift, ElastiCache and MemoryDB are replaced at their first request
(`_AT_FIRST_REQUEST`), because the import of moto's models of a service takes up to three seconds.
"""

from __future__ import annotations

import inspect
import json
import re
import threading
import uuid
from functools import cache
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
    ReplicaSecret,
    SecretsManagerBackend,
    SecretsStore,
    secretsmanager_backends,
)
from moto.secretsmanager.responses import SecretsManagerResponse
from moto.sts.models import STSBackend
from moto.sts.responses import TokenResponse

from rotators.local.iam.account_details import get_account_authorization_details
from rotators.local.iam.lookup import session_arn
from rotators.local.iam.policy_simulator import simulate_principal_policy
from rotators.local.iam.sessions import with_managed_policies
from rotators.local.kms import patches as kms
from rotators.local.secretsmanager.events import with_targets
from rotators.local.secretsmanager.finding import FINDING
from rotators.local.secretsmanager.names import CHECKING, check_name
from rotators.local.secretsmanager.refusals import with_answer_of_aws
from rotators.local.service_models import shared_service_models

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from rotators.local.clients import Clients
    from rotators.local.functions.lambda_service import LambdaService
    from rotators.local.options import Options
    from rotators.local.secretsmanager.accounts import Accounts
    from rotators.local.secretsmanager.operations import Operations

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


# Moto's own knows only keys of 20 characters, so it would take all callers with a name for one.
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
"""Services with the module whose ``install`` replaces what is theirs."""


class Replacements:
    """Methods and functions that were replaced, with their originals."""

    def __init__(self) -> None:
        self._replaced: list[tuple[type | ModuleType, str, Any]] = []

    def wrap(
        self, owner: type | ModuleType, name: str, wrapper: Callable[..., Callable[..., Any]], *args: Any
    ) -> None:
        """Replace a function by what ``wrapper`` makes of it.

        Args:
            owner: class or module of the function.
            name: name of the function.
            wrapper: function of the original and ``args`` that returns the replacement.
            *args: further arguments of ``wrapper``.
        """
        self.replace(owner, name, wrapper(getattr(owner, name), *args))

    def replace(self, owner: type | ModuleType, name: str, replacement: Any) -> None:
        """Replace a function or property.

        Args:
            owner: its class or module.
            name: its name.
            replacement: function, property, or method of another object.
        """
        self._replaced.append((owner, name, owner.__dict__.get(name)))
        setattr(owner, name, _function(replacement) if inspect.ismethod(replacement) else replacement)

    def remove(self) -> None:
        """Put the originals back."""
        while self._replaced:
            owner, name, original = self._replaced.pop()
            if original is None:
                delattr(owner, name)
            else:
                setattr(owner, name, original)


class MotoPatches:
    """The replacements. A process has at most one local AWS at a time.

    Args:
        operations: Secrets Manager's operations that answer instead of moto's.
        functions: Invokes Lambda functions instead of moto.
        accounts: Finds the secrets of other accounts.
        options: Options of the local AWS.
        clients: Makes clients of this AWS.
    """

    def __init__(
        self,
        operations: Operations,
        functions: LambdaService,
        accounts: Accounts,
        options: Options,
        clients: Clients,
    ) -> None:
        self._operations = operations
        self._accounts = accounts
        self._functions = functions
        self._options = options
        self._client = clients.of_account
        self._replacements = Replacements()
        self._installing = threading.Lock()
        self._installed: set[str] = set()

    def install(self) -> None:
        """Put the replacements in moto's place, but for those of `before_request`."""
        replace, wrap = self._replacements.replace, self._replacements.wrap
        for name in _OPERATIONS:
            replace(SecretsManagerResponse, name, self._answer(getattr(self._operations, name)))
        wrap(SecretsManagerClientError, "__init__", with_answer_of_aws)
        wrap(SecretsManagerResponse, "create_secret", self._checked)
        for name, member in CHECKING.items():
            wrap(SecretsManagerResponse, name, _with_checked_name, member)
        replace(SecretsManagerResponse, "backend", property(self._backend))
        for name, finding in FINDING.items():
            replace(SecretsStore, name, finding)
        replace(SecretsManagerBackend, "get_secret_value", self._operations.get_secret_value)
        wrap(SecretsManagerBackend, "delete_secret", self._operations.deleting)
        wrap(SecretsManagerBackend, "_add_secret", self._operations.adding)
        wrap(FakeSecret, "to_dict", self._operations.described)
        replace(FakeSecret, "create_replicas", self._create_replicas)
        replace(CloudTrailResponse, "lookup_events", self._lookup_events)
        replace(LambdaFunction, "invoke", self._functions.invoke)
        wrap(LambdaFunction, "_set_function_code", self._functions.set_code)
        wrap(LambdaFunction, "update_configuration", self._functions.update_configuration)
        replace(IamResponse, "simulate_principal_policy", simulate_principal_policy)
        replace(IamResponse, "get_account_authorization_details", get_account_authorization_details)
        replace(BaseResponse, "access_key_regex", _ACCESS_KEY)
        wrap(STSBackend, "get_caller_identity", session_arn)
        for name in ("assume_role", "assume_role_with_saml", "assume_role_with_web_identity"):
            wrap(TokenResponse, name, with_managed_policies)
        wrap(Rule, "send_to_targets", with_targets, self._client, self._options)
        kms.install(self._replacements)
        replace(moto.core.responses, "gen_amzn_requestid_long", _request_id)
        # Their results depend on their arguments only, and every request calls them.
        wrap(moto.core.responses, "method_names_from_class", cache)
        wrap(moto.core.responses, "camelcase_to_underscores", cache)
        wrap(botocore.useragent, "sanitize_user_agent_string_component", cache)

    def before_request(self, service: str) -> None:
        """Replace what is replaced at a service's first request.

        Args:
            service: name of the service in moto.
        """
        module = _AT_FIRST_REQUEST.get(service)
        if module is None:
            return
        with self._installing:
            if module not in self._installed:
                with shared_service_models():  # separate: only the import needs the large model of EC2
                    patches = import_module(module)
                patches.install(self._replacements, self._options, self._client)
                self._installed.add(module)

    def remove(self) -> None:
        """Put moto's own methods back."""
        self._replacements.remove()

    def _backend(self, response: SecretsManagerResponse) -> SecretsManagerBackend:
        own = secretsmanager_backends[response.current_account][response.region]
        operation = response.headers["X-Amz-Target"].rpartition(".")[2]
        return self._accounts.backend(own, operation, response.get_access_key(), _params(response))

    def _answer(self, operation: Callable[..., dict[str, Any]]) -> Callable[[SecretsManagerResponse], str]:
        def answer(response: SecretsManagerResponse) -> str:
            params = {**_params(response), "AccessKey": response.get_access_key()}
            with self._operations.lock:
                return json.dumps(operation(response.backend, params))

        return answer

    def _checked(
        self, create_secret: Callable[[SecretsManagerResponse], str]
    ) -> Callable[[SecretsManagerResponse], str]:
        def checked(response: SecretsManagerResponse) -> str:
            with self._operations.lock:
                params = _params(response)
                self._operations.check_create(response.backend, params)
                answer = create_secret(response)
                self._operations.created(response.backend, params)
                return answer

        return checked

    def _create_replicas(
        self, secret: FakeSecret, replica_regions: list[dict[str, str]], force_overwrite: bool
    ) -> list[ReplicaSecret]:
        return self._operations.replication.request(secret, replica_regions, overwrite=force_overwrite)

    def _lookup_events(self, response: CloudTrailResponse) -> str:
        return json.dumps(self._operations.events.lookup(response.region, _params(response)))


def _params(response: SecretsManagerResponse | CloudTrailResponse) -> dict[str, Any]:
    params: dict[str, Any] = json.loads(response.body or "{}")
    return params


def _request_id(headers: dict[str, str]) -> str:
    """Add the id of a request to the headers of its answer; like AWS's, not moto's 52 random choices."""
    headers["x-amzn-requestid"] = str(uuid.uuid4())
    return headers["x-amzn-requestid"]


def _function(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of a method, so that as an attribute of moto's class it also gets moto's object."""

    def function(*args: Any, **named: Any) -> Any:
        return method(*args, **named)

    return function


def _with_checked_name(
    operation: Callable[[SecretsManagerResponse], str], member: str
) -> Callable[[SecretsManagerResponse], str]:
    def checked(response: SecretsManagerResponse) -> str:
        check_name(_params(response), member)
        return operation(response)

    return checked
