"""Which secrets each caller of the retrieve function may have, if ``RETRIEVE_CALLERS`` says so.

Lambda does not tell a function who invoked it. Only a request through the function's URL with the
authentication AWS_IAM names its caller: Lambda checks the signature and writes
``requestContext.authorizer.iam`` (LG: urls-invocation, urls-auth). Everything in the event of a direct
invocation, and its client context, is written by the invoker, who can imitate such a request. The two cannot
be distinguished here. Policies must therefore permit only invocations through the URL
(docs/reference/functions.md, "Callers").
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
    from collections.abc import Iterable, Mapping

    from rotators.core.errors import RotatorsError

VARIABLE = "RETRIEVE_CALLERS"
"""Environment variable: ``ROLE_ARN=PREFIX`` for each role and prefix of names, separated by commas."""

_EVERY_NAME = "*"
_RULE = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):role/(?:[\w+.@/-]+/)?(?P<name>[\w+.@-]{1,64})"
    r"=(?P<prefix>[A-Za-z0-9/_+=.@-]+|\*)",
    re.ASCII,
)
# The session's name has no slash (STS API:AssumeRole), so the role's name cannot be mistaken for it.
_SESSION = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):sts::(?P<account>[0-9]{12}):assumed-role/(?P<name>[\w+=,.@-]{1,64})/[\w+=,.@-]{2,64}",
    re.ASCII,
)


@dataclass(frozen=True)
class Role:
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
    def of(cls, found: re.Match[str]) -> Role:
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
            CallerRefused: the event is no request through a function URL that names its caller.
        """
        try:
            return cls.model_validate(event)
        except ValidationError:
            pass
        # Outside the handler: pydantic's error holds the whole input.
        raise CallerRefused("the event does not name its caller", reason="unknown")

    def role(self) -> Role:
        """Return the role whose session sent the request.

        Raises:
            CallerRefused: the caller is no session of a role, or the members contradict each other.
        """
        iam = self.request_context.authorizer.iam
        found = _SESSION.fullmatch(iam.user_arn)
        if found is None or found["account"] != iam.account_id:
            raise CallerRefused("the caller is no session of an IAM role", reason="no-role")
        return Role.of(found)

    def content(self) -> Any:
        """Return the JSON of the body.

        Raises:
            InvalidEvent: it is no JSON.
        """
        try:
            text = base64.b64decode(self.body, validate=True) if self.is_base64_encoded else self.body
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
        raise InvalidEvent("the body is no JSON")


@dataclass(frozen=True)
class Callers:
    """The rules.

    Attributes:
        prefixes: the beginnings of the names that each role may retrieve.
    """

    prefixes: Mapping[Role, tuple[str, ...]]

    @classmethod
    def from_environment(cls) -> Callers:
        """Return the rules of ``RETRIEVE_CALLERS``.

        Raises:
            ConfigurationError: a rule cannot be read; then nobody gets anything.
        """
        prefixes: dict[Role, tuple[str, ...]] = {}
        for number, item in enumerate(os.environ.get(VARIABLE, "").split(","), 1):
            found = _RULE.fullmatch(item.strip())
            if found is None:
                cause = f"rule {number} of {VARIABLE} is not ROLE_ARN=PREFIX"
                remedy = "Correct the parameter RetrieveCallers; a role's ARN is exact, and * is every name."
                raise ConfigurationError(cause, remedy=remedy)
            role = Role.of(found)
            prefixes[role] = (*prefixes.get(role, ()), found["prefix"])
        return cls(prefixes)

    def require(self, role: Role, names: Iterable[str]) -> None:
        """Require that a role may retrieve secrets. Nothing is called, so a refusal does not depend on them.

        Args:
            role: the caller.
            names: names as the caller gave them; an ARN begins with no permitted prefix.

        Raises:
            CallerRefused: it may not retrieve one of them.
        """
        prefixes = self.prefixes.get(role, ())
        if not all(_begins(name, prefixes) for name in names):
            raise CallerRefused("the caller may not retrieve all secrets that it asked for", reason="secret")


def _begins(name: str, prefixes: tuple[str, ...]) -> bool:
    return ":" not in name and (_EVERY_NAME in prefixes or name.startswith(prefixes))


def response(status: int, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a response of a function URL (LG: urls-invocation, response payload format).

    Args:
        status: HTTP status.
        content: becomes the JSON body.
    """
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": int(status), "headers": headers, "body": json.dumps(content, ensure_ascii=False)}


def refusal(error: RotatorsError) -> dict[str, Any]:
    """Return the response for an error.

    Args:
        error: error of the request.
    """
    content = {"Code": error.full_code, "Message": f"{error.cause}. Next: {error.remedy}"}
    return response(_status(error), content)


def _status(error: RotatorsError) -> int:
    if isinstance(error, CallerRefused):
        return HTTPStatus.FORBIDDEN
    if isinstance(error, SecretNotFound):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, InvalidInput):
        return HTTPStatus.BAD_REQUEST
    return HTTPStatus.SERVICE_UNAVAILABLE if error.retryable else HTTPStatus.INTERNAL_SERVER_ERROR
