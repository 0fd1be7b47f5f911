"""The rules of ``RETRIEVE_CALLERS``: the secrets that each caller of the retrieve function may read.

Lambda does not tell a function who invoked it. Only a request through the function's URL with the
authentication AWS_IAM names its caller: Lambda checks the signature and writes
``requestContext.authorizer.iam`` (LG: urls-invocation, urls-auth). Everything in the event of a direct
invocation, and its client context, is written by the invoker, who can imitate such a request. The two cannot
be distinguished here. Policies must therefore permit only invocations through the URL
(docs/reference/functions.md, "Callers").

The request names the caller's role, and not the role's tags (LG: urls-invocation). A rule by tag therefore
compares the tag of the secret with a value that the rule has for the role.
"""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from rotators.core.errors import CallerRefused, ConfigurationError, InvalidEvent, InvalidInput, SecretNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rotators.core.errors import RotatorsError

VARIABLE = "RETRIEVE_CALLERS"
"""Environment variable: ``ROLE_ARN=PREFIX`` or ``ROLE_ARN=tag:KEY=VALUE``, separated by commas."""

_EVERY_NAME = "*"
_RULE = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):role/(?:[\w+.@/-]+/)?(?P<name>[\w+.@-]{1,64})"
    r"=(?:tag:(?P<key>[A-Za-z0-9/_+.@:-]{1,128})=(?P<value>[A-Za-z0-9/_+=.@:-]{1,256})"
    r"|(?P<prefix>[A-Za-z0-9/_+=.@-]+|\*))",
    re.ASCII,
)
# The session's name has no slash (STS API:AssumeRole), so the role's name cannot be mistaken for it.
_SESSION = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):sts::(?P<account>[0-9]{12}):assumed-role/(?P<name>[\w+=,.@-]{1,64})/[\w+=,.@-]{2,64}",
    re.ASCII,
)


@dataclass(frozen=True)
class CallerRole:
    """An IAM role. Its name is unique in an account; its path does not appear in a session's ARN.

    Attributes:
        partition: such as ``aws``.
        account: 12 digits.
        name: name without path.
    """

    partition: str
    account: str
    name: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{self.name}"

    @classmethod
    def of(cls, found: re.Match[str]) -> CallerRole:
        """Return the role of a match.

        Args:
            found: match with the groups ``partition``, ``account`` and ``name``.
        """
        return cls(found["partition"], found["account"], found["name"])


class _Part(BaseModel):
    """A part of the request; AWS may add members."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True, frozen=True, hide_input_in_errors=True)


class _Iam(_Part):
    account_id: str
    user_arn: str


class _Authorizer(_Part):
    iam: _Iam


class _Context(_Part):
    authorizer: _Authorizer


class UrlRequest(_Part):
    """A request through a function URL (LG: urls-invocation, payload format 2.0)."""

    version: Literal["2.0"]
    request_context: _Context
    body: str
    is_base64_encoded: bool

    @classmethod
    def from_event(cls, event: object) -> UrlRequest:
        """Return the request of an event.

        Args:
            event: event that Lambda passed to the handler.

        Raises:
            CallerRefused: the event is not a request through a function URL that names its caller.
        """
        try:
            return cls.model_validate(event)
        except ValidationError:
            pass
        # Outside the handler: pydantic's error holds the whole input.
        raise CallerRefused("the event does not name its caller", reason="unknown")

    def role(self) -> CallerRole:
        """Return the role whose session sent the request.

        Raises:
            CallerRefused: the caller is not a session of a role, or the members contradict each other.
        """
        iam = self.request_context.authorizer.iam
        found = _SESSION.fullmatch(iam.user_arn)
        if found is None or found["account"] != iam.account_id:
            raise CallerRefused("the caller is not a session of an IAM role", reason="no-role")
        return CallerRole.of(found)

    def content(self) -> Any:
        """Return the JSON of the body.

        Returns:
            Any JSON value. The caller has to check its type.

        Raises:
            InvalidEvent: it is not JSON.
        """
        try:
            text = base64.b64decode(self.body, validate=True) if self.is_base64_encoded else self.body
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
        raise InvalidEvent("the body is not JSON")


@dataclass(frozen=True)
class Callers:
    """The rules.

    Attributes:
        prefixes: the beginnings of the names that each role may retrieve.
        tags: the tags, ``Key`` and ``Value``, of which a secret that the role may retrieve needs one.
    """

    prefixes: Mapping[CallerRole, tuple[str, ...]]
    tags: Mapping[CallerRole, tuple[Mapping[str, str], ...]]

    @classmethod
    def from_environment(cls) -> Callers:
        """Return the rules of ``RETRIEVE_CALLERS``.

        Raises:
            ConfigurationError: a rule cannot be read; then no caller gets anything.
        """
        prefixes: dict[CallerRole, tuple[str, ...]] = {}
        tags: dict[CallerRole, tuple[Mapping[str, str], ...]] = {}
        for number, item in enumerate(os.environ.get(VARIABLE, "").split(","), 1):
            found = _RULE.fullmatch(item.strip())
            if found is None:
                cause = f"rule {number} of {VARIABLE} is not ROLE_ARN=PREFIX or ROLE_ARN=tag:KEY=VALUE"
                remedy = (
                    "Correct the parameter RetrieveCallers; give the exact ARN of each role; the "
                    "prefix * means every name."
                )
                raise ConfigurationError(cause, remedy=remedy)
            role = CallerRole.of(found)
            if found["prefix"]:
                prefixes[role] = (*prefixes.get(role, ()), found["prefix"])
            else:
                tags[role] = (*tags.get(role, ()), {"Key": found["key"], "Value": found["value"]})
        return cls(prefixes, tags)

    def require(
        self, role: CallerRole, names: Iterable[str], describe: Callable[[str], Mapping[str, Any] | None]
    ) -> dict[str, str]:
        """Require that a role may retrieve secrets.

        A secret is described only if no prefix permits its name and the role has a rule by tag. A refusal is
        the same for a secret that does not exist.

        Args:
            role: the caller.
            names: names as the caller gave them; an ARN begins with no permitted prefix.
            describe: gives the answer of DescribeSecret by the name; None if there is none that may be read.

        Returns:
            The ARNs of the secrets that a tag permits, by name. Only these may be answered: a secret in
            memory may be an older one of the same name.

        Raises:
            CallerRefused: it may not retrieve one of them.
        """
        prefixes, tags = self.prefixes.get(role, ()), self.tags.get(role, ())
        rest = [name for name in names if not _begins(name, prefixes)]
        if rest and (not tags or any(":" in name for name in rest)):
            raise _refused()
        arns = {}
        for name in rest:
            found = describe(name)
            if found is None or not any(tag in found.get("Tags", ()) for tag in tags):
                raise _refused()
            arns[name] = found["ARN"]
        return arns


def _refused() -> CallerRefused:
    return CallerRefused("the caller may not retrieve all secrets that it asked for", reason="secret")


def require_same(arns: Mapping[str, str], secrets: Iterable[Mapping[str, Any]]) -> None:
    """Require that a tag permits the secrets of an answer.

    Args:
        arns: by name, as `Callers.require` gives them.
        secrets: secrets of the answer, with ``Name`` and ``ARN``.

    Raises:
        CallerRefused: one is another secret of the same name.
    """
    if any(arns.get(each["Name"], each["ARN"]) != each["ARN"] for each in secrets):
        raise _refused()


def _begins(name: str, prefixes: tuple[str, ...]) -> bool:
    return ":" not in name and (_EVERY_NAME in prefixes or name.startswith(prefixes))


def response(status: int, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a response of a function URL (LG: urls-invocation, response payload format).

    Args:
        status: HTTP status.
        content: becomes the JSON body.

    Returns:
        ``statusCode``, ``headers`` and ``body``, as Lambda expects them.
    """
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": int(status), "headers": headers, "body": json.dumps(content, ensure_ascii=False)}


def refusal(error: RotatorsError) -> dict[str, Any]:
    """Return the response for an error.

    Args:
        error: error of the request.

    Returns:
        See `response`. The body has ``Code`` and ``Message``.
    """
    return response(_status(error), told(error))


def told(error: RotatorsError) -> dict[str, str]:
    """Return an error as answers have it.

    Args:
        error: error of a request, or of one secret of many.

    Returns:
        ``Code``, such as ``AccessDenied``, and ``Message``, with the cause and the next action.
    """
    return {"Code": error.full_code, "Message": f"{error.cause}. Next: {error.remedy}"}


def _status(error: RotatorsError) -> int:
    if isinstance(error, CallerRefused):
        return HTTPStatus.FORBIDDEN
    if isinstance(error, SecretNotFound):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, InvalidInput):
        return HTTPStatus.BAD_REQUEST
    return HTTPStatus.SERVICE_UNAVAILABLE if error.retryable else HTTPStatus.INTERNAL_SERVER_ERROR
