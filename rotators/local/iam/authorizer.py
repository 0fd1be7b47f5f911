"""Authorization of requests: finds the caller, records every call, and refuses calls as IAM would.

The access key names the caller: a function's is ``local-NAME``. Requests are read and refused only after
`watch` was called.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from rotators.iam.calls import ApiCall, key_use
from rotators.iam.documents import Statements
from rotators.iam.evaluator import Decision, decide_with
from rotators.local.iam.calls import calls_of, denial
from rotators.local.iam.lookup import caller
from rotators.local.iam.per_secret import may_use_key, refusal_of
from rotators.local.iam.requests import KEY_PREFIX, SignedRequest
from rotators.local.iam.s3_requests import operation_of
from rotators.local.kms.refusals import UNKNOWN_KEY
from rotators.local.options import ACCOUNT
from rotators.local.wsgi import Application, body_of, refused, signature

if TYPE_CHECKING:
    from rotators.local.iam.lookup import Lookup

_FUNCTION_PATH = re.compile(
    r"/2015-03-31/functions/(?P<name>[^/]+)/(?P<what>invocations|policy|configuration)"
)
_FUNCTION_OPERATIONS = {
    "configuration": "GetFunctionConfiguration",
    "invocations": "InvokeFunction",
    "policy": "GetPolicy",
}
# LG:configuration-vpc: calls of Lambda with the function's role if the function is in a VPC.
INTERFACE_ACTIONS = (
    "AssignPrivateIpAddresses",
    "CreateNetworkInterface",
    "DeleteNetworkInterface",
    "DescribeNetworkInterfaces",
    "DescribeSubnets",
    "UnassignPrivateIpAddresses",
)

_DECIDED_INSIDE = ("BatchGetSecretValue", "UpdateSecret")


@dataclass(frozen=True)
class RecordedCall:
    """A recorded call and the decision about it; None where the caller's policies are unknown."""

    call: ApiCall
    decision: Decision | None


class Authorizer:
    """The authorization of one local AWS.

    Args:
        lookup: Finds the resources that requests name.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._lock = threading.Lock()
        self._policies: Mapping[str, Statements] | None = None
        self._endpoints: Mapping[str, Statements] = {}
        self._seen: list[RecordedCall] = []

    def watch(
        self, policies: Mapping[str, Statements] | None, endpoints: Mapping[str, Statements] | None = None
    ) -> None:
        """Record all calls from now on, and refuse calls that the policies do not allow.

        Policies of secrets and keys, grants of keys, trust policies of roles, permissions boundaries of roles
        and policies of sessions also decide.

        Args:
            policies: Statements by caller; other callers may do everything. None ends it and deletes the
                record.
            endpoints: Policies of VPC endpoints that all these callers' requests pass, by service.
        """
        with self._lock:
            self._policies, self._endpoints, self._seen = policies, endpoints or {}, []

    def seen(self) -> list[RecordedCall]:
        """Return the calls since ``watch``, oldest first."""
        with self._lock:
            return list(self._seen)

    def guarded(
        self, application: Application, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        """Let an application answer a request, unless it is refused.

        Args:
            application: The application.
            environ: The request.
            start_response: Function of PEP 3333 that begins the answer.

        Returns:
            The body.
        """
        if self._policies is not None and (request := self._request(environ)):
            if words := self._refused(request):
                return refused("AccessDenied", words, environ, start_response)
            if request.operation in _DECIDED_INSIDE:
                return self._with_decisions(request, application, environ, start_response)
        return application(environ, start_response)

    def _with_decisions(
        self, request: SignedRequest, application: Application, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        def refusal(secret_id: str) -> str | None:
            return self._refused(replace(request, operation="GetSecretValue", params={"SecretId": secret_id}))

        def permitted(action: str, key: str, version: str) -> bool:
            secret = self._lookup.secret(str(request.params.get("SecretId")), request.region)
            resource = self._lookup.key(key, request.region)
            if secret is None or resource is None:
                return True
            decision = self._decide(request, key_use(request.call, action, secret, resource, version))
            return decision is None or decision.allowed

        before = refusal_of.set(refusal), may_use_key.set(permitted)
        try:
            return list(application(environ, start_response))
        finally:
            refusal_of.reset(before[0])
            may_use_key.reset(before[1])

    def invoked(self, function: str, region: str, *, in_vpc: bool) -> None:
        """Record the calls that Lambda makes with a function's role around an invocation.

        Args:
            function: Name of the function.
            region: Region of the function.
            in_vpc: True if the function is in a VPC.
        """
        if self._policies is None:
            return
        group = f"arn:aws:logs:{region}:{ACCOUNT}:log-group:/aws/lambda/{function}:log-stream:local"
        role = caller(f"{KEY_PREFIX}{function}", region).role
        lambdas = SignedRequest(function, ACCOUNT, region, "lambda", "Invoke", {}, role)
        calls = [lambdas.call(f"logs:{name}", group) for name in ("CreateLogStream", "PutLogEvents")]
        if in_vpc:
            calls += [lambdas.call(f"ec2:{name}", "*") for name in INTERFACE_ACTIONS]
        for call in calls:
            self._decide(lambdas, call)

    def _request(self, environ: dict[str, Any]) -> SignedRequest | None:
        signed = signature(environ)
        if signed is None:
            return None
        key, region, service = signed["key"], signed["region"], signed["service"]
        operation, params = operation_of(environ) if service == "s3" else _operation(environ)
        who = caller(key, region)
        principal = who.session if key.startswith(KEY_PREFIX) else who.name
        tags, session = self._lookup.role_tags(who.role), self._lookup.session_policy(key)
        return SignedRequest(
            principal, who.account, region, service, operation, params, who.role, tags, session
        )

    def _refused(self, request: SignedRequest) -> str | None:
        """Return the reason for refusing a request, or None."""
        for call in calls_of(request, self._lookup):
            # A call that a service makes for the caller does not pass the caller's endpoint.
            passes = call.action.startswith(f"{request.service}:")
            endpoint = self._endpoints.get(request.service) if passes else None
            decision = self._decide(request, call, endpoint)
            if decision and not decision.allowed:
                return _words(request, call, decision)
        return None

    def _decide(
        self, request: SignedRequest, call: ApiCall, endpoint: Statements | None = None
    ) -> Decision | None:
        statements = (self._policies or {}).get(call.principal)
        decision = None
        if statements is not None:
            decision = decide_with(
                statements,
                call,
                resource=self._lookup.policy(call.resource),
                endpoint=endpoint,
                boundary=self._lookup.boundary(request.role),
                session=request.session_policy,
            )
        with self._lock:
            self._seen.append(RecordedCall(call, decision))
        return decision


def _words(request: SignedRequest, call: ApiCall, decision: Decision) -> str:
    """Return the text of a refusal.

    Decrypt hides the key of a ciphertext if the request does not name it; seen on AWS in
    https://github.com/aceew/aws-lambda-env-vars/issues/7.
    """
    if request.service == "kms" and request.operation == "Decrypt" and "KeyId" not in request.params:
        return UNKNOWN_KEY
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{call.principal}/{call.principal}"
    kind = "resource" if decision.missing == "the resource's policy" else "identity"
    return denial(request, call, arn, kind)


def _operation(environ: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    body = body_of(environ)
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return target.rpartition(".")[2], json.loads(body or b"{}")
    if "urlencoded" in environ.get("CONTENT_TYPE", ""):
        form = dict(parse_qsl(body.decode()))
        return form.pop("Action", ""), form
    path = environ.get("PATH_INFO", "")
    if function := _FUNCTION_PATH.match(path):
        return _FUNCTION_OPERATIONS[function["what"]], {"FunctionName": unquote(function["name"])}
    return f"{environ.get('REQUEST_METHOD')} {path}", {}
