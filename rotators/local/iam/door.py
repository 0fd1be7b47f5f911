"""The door of the local AWS: it names every caller, notes every call, and can turn calls away as IAM would.

Callers are told apart by their access keys: a function's is ``local-NAME``. Unless it is asked to watch, the
door lets everything pass unread.
"""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

from rotators.local.iam.calls import Find, FindKey, Key, Request, Target, calls_of
from rotators.local.iam.evaluator import Call, Decision
from rotators.local.iam.resources import Statements, decide_with

KEY_PREFIX = "local-"
"""How the access keys of functions, and of other callers with a name, begin."""

DEVELOPER = "developer"
"""Who calls with any other key: nobody checks that."""

_CREDENTIAL = re.compile(r"Credential=(?P<key>[^/]+)/[^/]+/(?P<region>[^/]+)/(?P<service>[^/]+)/")
_FUNCTION_PATH = re.compile(
    r"/2015-03-31/functions/(?P<name>[^/]+)/(?P<what>invocations|policy|configuration)"
)
_FUNCTION_OPERATIONS = {
    "configuration": "GetFunctionConfiguration",
    "invocations": "InvokeFunction",
    "policy": "GetPolicy",
}
# LG:configuration-vpc: what Lambda does with the function's role when the function is in a VPC.
INTERFACE_ACTIONS = (
    "AssignPrivateIpAddresses",
    "CreateNetworkInterface",
    "DeleteNetworkInterface",
    "DescribeNetworkInterfaces",
    "DescribeSubnets",
    "UnassignPrivateIpAddresses",
)

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


_ROLE = re.compile(r"arn:[a-z-]+:iam::(?P<account>\d{12}):role/(?:.*/)?(?P<name>[^/]+)")


class Directory(Protocol):
    """What the door looks up in the AWS behind it."""

    def find(self, secret_id: str, region: str) -> Target | None:
        """A secret by name or ARN, as IAM looks at it."""

    def find_key(self, key: str, region: str) -> Key | None:
        """A key by id, alias or ARN; None for one of a service's own."""

    def find_topic_key(self, topic: str) -> Key | None:
        """The key that encrypts a topic, by the topic's ARN; None for none."""

    def policy(self, resource: str) -> Statements | None:
        """The statements of a resource's policy; None where it has none."""

    def role(self, access_key: str, region: str) -> str:
        """ARN of the role that a key's owner acts as; empty for a developer's key."""


@dataclass(frozen=True)
class Seen:
    """A call that came by, and what was decided; None where nobody's policies were known."""

    call: Call
    decision: Decision | None


class Door:
    """The door of one local AWS.

    Args:
        account: of the functions.
        directory: looks up what requests name.

    Attributes:
        account: as above.
    """

    def __init__(self, account: str, directory: Directory) -> None:
        self.account = account
        self._directory = directory
        self._lock = threading.Lock()
        self._policies: Mapping[str, Statements] | None = None
        self._endpoints: Mapping[str, Statements] = {}
        self._seen: list[Seen] = []

    def watch(
        self, policies: Mapping[str, Statements] | None, endpoints: Mapping[str, Statements] | None = None
    ) -> None:
        """Note all calls from now on, and turn away what the policies do not allow.

        Policies of secrets and keys, and trust policies of roles, count besides.

        Args:
            policies: by caller; callers without may do everything. None ends it, and forgets.
            endpoints: the policies of VPC endpoints that all these callers' requests pass, by service.
        """
        with self._lock:
            self._policies, self._endpoints, self._seen = policies, endpoints or {}, []

    def seen(self) -> list[Seen]:
        """What came by since ``watch``, oldest first."""
        with self._lock:
            return list(self._seen)

    def guarded(self, application: Application) -> Application:
        """The application behind the door."""

        def pass_or_refuse(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            if self._policies is not None and (request := self._request(environ)):
                refused = self._refused(request)
                if refused:
                    return _answer(refused, environ, start_response)
            return application(environ, start_response)

        return pass_or_refuse

    def invoked(self, function: str, region: str, *, in_vpc: bool) -> None:
        """Note what Lambda does with a function's role around an invocation."""
        if self._policies is None:
            return
        group = f"arn:aws:logs:{region}:{self.account}:log-group:/aws/lambda/{function}:log-stream:local"
        role = self._directory.role(f"{KEY_PREFIX}{function}", region)
        lambdas = Request(function, self.account, region, "lambda", "Invoke", {}, role)
        calls = [lambdas.call(f"logs:{name}", group) for name in ("CreateLogStream", "PutLogEvents")]
        if in_vpc:
            calls += [lambdas.call(f"ec2:{name}", "*") for name in INTERFACE_ACTIONS]
        for call in calls:
            self._decide(call)

    def _request(self, environ: dict[str, Any]) -> Request | None:
        signed = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        if signed is None:
            return None
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        operation, params = _operation(environ, body)
        key, region = signed["key"], signed["region"]
        principal, account, role = DEVELOPER, self.account, ""
        if found := _ROLE.fullmatch(self._directory.role(key, region)):
            role, account = found[0], found["account"]
            principal = key.removeprefix(KEY_PREFIX) if key.startswith(KEY_PREFIX) else found["name"]
        return Request(principal, account, region, signed["service"], operation, params, role)

    def _refused(self, request: Request) -> str | None:
        """Why a request is turned away, or None."""
        directory, region = self._directory, request.region
        find: Find = lambda secret: directory.find(secret, region)  # noqa: E731 - shorter so
        find_key: FindKey = lambda key: directory.find_key(key, region)  # noqa: E731 - shorter so
        for call in calls_of(request, find, find_key, directory.find_topic_key):
            # What a service does in the caller's name does not pass the caller's endpoint.
            passes = call.action.startswith(f"{request.service}:")
            decision = self._decide(call, self._endpoints.get(request.service) if passes else None)
            if decision and not decision.allowed:
                return self._words(call)
        return None

    def _decide(self, call: Call, endpoint: Statements | None = None) -> Decision | None:
        statements = (self._policies or {}).get(call.principal)
        decision = None
        if statements is not None:
            resource = self._directory.policy(call.resource)
            decision = decide_with(statements, call, resource=resource, endpoint=endpoint)
        with self._lock:
            self._seen.append(Seen(call, decision))
        return decision

    def _words(self, call: Call) -> str:
        if call.action.startswith("kms:"):
            return "Access to KMS is not allowed"
        caller = f"arn:aws:sts::{self.account}:assumed-role/{call.principal}/{call.principal}"
        return (
            f"User: {caller} is not authorized to perform: {call.action} on resource: {call.resource} because"
            f" no identity-based policy allows the {call.action} action"
        )


def _operation(environ: Mapping[str, Any], body: bytes) -> tuple[str, dict[str, Any]]:
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return target.rpartition(".")[2], json.loads(body or b"{}")
    if "urlencoded" in environ.get("CONTENT_TYPE", ""):
        form = dict(parse_qsl(body.decode()))
        return form.pop("Action", ""), form
    path = environ.get("PATH_INFO", "")
    if function := _FUNCTION_PATH.match(path):
        return _FUNCTION_OPERATIONS[function["what"]], {"FunctionName": unquote(function["name"])}
    return f"{environ.get('REQUEST_METHOD')} {path}", {}


def _answer(message: str, environ: Mapping[str, Any], start_response: Any) -> list[bytes]:
    if "urlencoded" in environ.get("CONTENT_TYPE", ""):
        start_response("403 Forbidden", [("Content-Type", "text/xml")])
        error = f"<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{message}</Message></Error>"
        return [f"<ErrorResponse>{error}<RequestId>local</RequestId></ErrorResponse>".encode()]
    kind = "AccessDeniedException"
    start_response(
        "400 Bad Request", [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-errortype", kind)]
    )
    return [json.dumps({"__type": kind, "Message": message}).encode()]
