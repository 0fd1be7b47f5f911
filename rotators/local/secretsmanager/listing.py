"""Filters, order and pages of ListSecrets, BatchGetSecretValue and ListSecretVersionIds.

Sources: API ListSecrets, BatchGetSecretValue and Filter; User Guide, manage_search-secret. They do not define
the meaning of several negations in one filter: here, none of them may match. They do not define the order
without SortOrder: here, the oldest secret is first. The words of description and all are as recorded on AWS
by moto's tests (test_list_secrets.py).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

from rotators.local.secretsmanager.refusals import invalid_parameter, refusal, too_long, validation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from moto.secretsmanager.models import FakeSecret, ReplicaSecret

    Entry = FakeSecret | ReplicaSecret
    Params = Mapping[str, Any]

Element = TypeVar("Element")

_MOST_FILTERS = 10
_MOST_VALUES = 10
_VALUE = re.compile(r"!?[a-zA-Z0-9 :_@/+=.\-!]{0,512}")
_WORD = re.compile(r"[^\W_]+")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^A-Z]+|[A-Z]+")  # beginning of a word in camel case


def check_filters(filters: object) -> None:
    """Refuse filters that the service refuses.

    Args:
        filters: member ``Filters`` of the request.

    Raises:
        SecretsManagerClientError: there are more than 10, or one has an unknown key or a bad value.
    """
    given = filters if isinstance(filters, list) else []
    if len(given) > _MOST_FILTERS:
        raise too_long("filters", _MOST_FILTERS)
    for place, each in enumerate(given, 1):
        values = each.get("Values") or []
        if each.get("Key") not in _ATTRIBUTES:
            known = ", ".join(_ATTRIBUTES)
            raise validation(f"filters.{place}.member.key", f"Member must satisfy enum value set: [{known}]")
        if not values:
            raise invalid_parameter("Invalid filter values: must have at least one value")
        if len(values) > _MOST_VALUES:
            raise too_long(f"filters.{place}.member.values", _MOST_VALUES)
        if not all(isinstance(value, str) and _VALUE.fullmatch(value) for value in values):
            name = f"filters.{place}.member.values"
            raise validation(name, f"Member must satisfy regular expression pattern: {_VALUE.pattern}")


def matching(secrets: Iterable[Entry], filters: Sequence[Params]) -> list[Entry]:
    """Return the secrets that all filters select, in their order.

    Args:
        secrets: moto's records.
        filters: as ``check_filters`` accepts them.
    """
    found = list(secrets)
    for each in filters:
        found = [secret for secret in found if _selects(each, secret)]
    return found


def in_order(secrets: list[Entry], params: Params) -> list[Entry]:
    """Sort secrets as a request asks.

    Args:
        secrets: moto's records.
        params: parameters of ListSecrets.

    Returns:
        The same records, sorted.

    Raises:
        SecretsManagerClientError: SortBy or SortOrder has an unknown value.
    """
    by, order = params.get("SortBy", "created-date"), params.get("SortOrder", "asc")
    if by not in _SORT_KEYS:
        raise validation("sortBy", f"Member must satisfy enum value set: [{', '.join(_SORT_KEYS)}]")
    if order not in {"asc", "desc"}:
        raise validation("sortOrder", "Member must satisfy enum value set: [asc, desc]")
    return sorted(secrets, key=_SORT_KEYS[by], reverse=order == "desc")


def page(found: list[Element], params: Params, most: int) -> tuple[list[Element], dict[str, str]]:
    """Return one page, and the token of the next one.

    Args:
        found: all that the request selects, in order.
        params: parameters of the request. A token is valid for the same request only.
        most: highest MaxResults, and its default.

    Raises:
        SecretsManagerClientError: MaxResults is outside of its range, or the token is of another request.
    """
    size = params.get("MaxResults") or most
    if not isinstance(size, int) or size > most:
        raise validation("maxResults", f"Member must have value less than or equal to {most}")
    if size < 1:
        raise validation("maxResults", "Member must have value greater than or equal to 1")
    begin = _offset(params.get("NextToken"), params)
    end = begin + size
    return found[begin:end], {"NextToken": _token(end, params)} if end < len(found) else {}


def _digest(params: Params) -> str:
    names = (
        "Filters",
        "SortBy",
        "SortOrder",
        "IncludePlannedDeletion",
        "SecretId",
        "IncludeDeprecated",
    )
    asked = json.dumps([params.get(name) for name in names], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def _token(offset: int, params: Params) -> str:
    return base64.urlsafe_b64encode(f"{offset} {_digest(params)}".encode()).decode()


def _offset(token: object, params: Params) -> int:
    if token is None:
        return 0
    try:
        offset, _, digest = (
            base64.b64decode(str(token), altchars=b"-_", validate=True).decode().partition(" ")
        )
        if digest == _digest(params):
            return int(offset)
    except (binascii.Error, ValueError):
        pass
    raise refusal("InvalidNextTokenException", "The NextToken value is invalid.")


def _selects(given: Params, secret: Entry) -> bool:
    texts, match = _ATTRIBUTES[given["Key"]](secret), _MATCHERS.get(given["Key"], str.startswith)
    refused = [value[1:] for value in given["Values"] if value.startswith("!")]
    wanted = [value for value in given["Values"] if not value.startswith("!")]
    if any(match(text, value) for value in refused for text in texts):
        return False
    return not wanted or any(match(text, value) for value in wanted for text in texts)


def _tags(secret: Entry, member: str) -> list[str]:
    return [tag[member] for tag in secret.tags or []]


_ATTRIBUTES: dict[str, Callable[[Entry], list[str]]] = {
    "description": lambda secret: [secret.description] if secret.description else [],
    "name": lambda secret: [secret.name],
    "tag-key": lambda secret: _tags(secret, "Key"),
    "tag-value": lambda secret: _tags(secret, "Value"),
    # Only replicated secrets have a primary Region (seen on AWS, rebuy-de/aws-nuke#1127).
    "primary-region": lambda secret: [_of_source(secret).region] if _of_source(secret).replicas else [],
    "owning-service": lambda secret: [secret.owning_service] if secret.owning_service else [],
    "all": lambda secret: [
        text
        for key in ("name", "description", "tag-key", "tag-value", "owning-service")
        for text in _ATTRIBUTES[key](secret)
    ],
}
_SORT_KEYS: dict[str, Callable[[Any], Any]] = {
    "created-date": lambda secret: _of_source(secret).created_date or 0,
    "last-accessed-date": lambda secret: getattr(secret, "accessed", 0),
    "last-changed-date": lambda secret: _of_source(secret).last_changed_date or 0,
    "name": lambda secret: secret.name,
}


def _of_source(secret: Entry) -> FakeSecret:
    # Only a replica has a source.
    found: FakeSecret = getattr(secret, "source", secret)  # type: ignore[arg-type]
    return found


def _words(text: str) -> list[str]:
    return [part.lower() for word in _WORD.findall(text) for part in _PART.findall(word)]


def _has_words(text: str, value: str) -> bool:
    """Return True if each word of the value begins a word of the text, in any order and case."""
    there, wanted = _words(text), _words(value)
    return bool(wanted) and all(any(each.startswith(word) for each in there) for word in wanted)


_MATCHERS = {"description": _has_words, "all": _has_words}
