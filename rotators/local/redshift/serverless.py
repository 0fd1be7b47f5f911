"""The lists of Redshift Serverless, which moto does not have: its namespaces and workgroups."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rotators.local.options import ACCOUNT
from rotators.local.wsgi import as_json, body_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rotators.local.options import Options, Workgroup

_PREFIX = "RedshiftServerless."


def is_for(environ: Mapping[str, Any]) -> bool:
    """Return True if a request is for Redshift Serverless.

    Args:
        environ: the request (PEP 3333).
    """
    return str(environ.get("HTTP_X_AMZ_TARGET", "")).startswith(_PREFIX)


def answer(environ: dict[str, Any], start_response: Any, options: Options) -> Iterable[bytes]:
    """Answer ListNamespaces and ListWorkgroups, one item on each page.

    Args:
        environ: the request (PEP 3333).
        start_response: as in PEP 3333.
        options: their ``workgroups``.

    Returns:
        The body.
    """
    operation = environ["HTTP_X_AMZ_TARGET"].removeprefix(_PREFIX)
    body = json.loads(body_of(environ) or b"{}")
    describe = {"ListNamespaces": _namespace, "ListWorkgroups": _workgroup}.get(operation)
    if describe is None:
        return as_json({"__type": "UnknownOperationException"}, start_response, "400 Bad Request")
    position = int(body.get("nextToken") or 0)
    page = [describe(each) for each in options.workgroups[position : position + 1]]
    more = {"nextToken": str(position + 1)} if position + 1 < len(options.workgroups) else {}
    return as_json({operation.removeprefix("List").lower(): page, **more}, start_response)


def _namespace(of: Workgroup) -> dict[str, Any]:
    return {"namespaceName": of.namespace, "namespaceArn": namespace_arn(of)}


def _workgroup(of: Workgroup) -> dict[str, Any]:
    endpoint = {"address": of.host, "port": of.port}
    return {"workgroupName": of.name, "namespaceName": of.namespace, "endpoint": endpoint}


def namespace_arn(of: Workgroup) -> str:
    """Return the ARN of a workgroup's namespace.

    Args:
        of: workgroup of the namespace.
    """
    return f"arn:aws:redshift-serverless:us-east-1:{ACCOUNT}:namespace/{of.namespace}-id"
