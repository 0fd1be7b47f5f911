"""The replacements in moto's CloudFormation and RDS. Importing this module loads most of moto."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from moto.cloudformation import parsing
from moto.cloudformation.models import ChangeSet, CloudFormationBackend, Stack
from moto.rds.models import DBCluster, RDSBackend

from rotators.local.cloudformation.resources import completed
from rotators.local.cloudformation.stacks import (
    applied,
    difference,
    json_first,
    with_constraints,
    with_lists,
    with_retention,
    without_gaps,
)
from rotators.local.clusters import with_host, with_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.local.options import Options
    from rotators.local.replacements import Replacements


def install(replacements: Replacements, options: Options, client: Callable[..., Any]) -> None:
    """Replace functions of moto.

    Args:
        replacements: keeps the originals.
        options: options of the local AWS.
        client: function of a service and a Region that returns a client of this AWS.
    """
    replace, wrap = replacements.replace, replacements.wrap
    wrap(RDSBackend, "create_db_cluster", with_server, options)
    replace(DBCluster, "endpoint", property(partial(with_host, DBCluster.endpoint)))
    wrap(parsing, "resource_class_from_type", completed, client)
    wrap(parsing, "clean_json", without_gaps)
    replace(Stack, "parse_template", staticmethod(partial(json_first, Stack.parse_template)))
    for name in ("create_change_set", "create_stack", "update_stack"):
        wrap(CloudFormationBackend, name, with_constraints)
    wrap(parsing.ResourceMap, "delete", with_retention)
    wrap(parsing.ResourceMap, "load_parameters", with_lists)
    replace(parsing.ResourceMap, "build_resource_diff", difference)
    replace(ChangeSet, "apply", applied)
