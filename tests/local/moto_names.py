"""The names of moto that `rotators.local` uses.

Most are private to moto, so moto is pinned exactly. `lifecycles.py` checks the list against the installed
version, in a process in which no local AWS has started yet: a start replaces some of these names.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
from typing import Any

RELIED_ON: dict[str, str | None] = {
    "moto.awslambda.exceptions:LambdaClientError": None,
    "moto.awslambda.models:LambdaBackend.create_function": "(self, spec)",
    "moto.awslambda.models:LambdaBackend.get_function": "(self, function_name_or_arn, qualifier)",
    "moto.awslambda.models:LambdaBackend.invoke": (
        "(self, function_name, qualifier, body, headers, response_headers)"
    ),
    "moto.awslambda.models:LambdaBackend.layers_versions_by_arn": "(self, layer_version_arn)",
    "moto.awslambda.models:LambdaBackend.list_functions": "(self, func_version)",
    "moto.awslambda.exceptions:InvalidParameterValueException": "(message)",
    "moto.awslambda.models:LambdaFunction._set_function_code": "(self, updated_spec)",
    "moto.awslambda.models:LambdaFunction.invoke": "(self, body, request_headers, response_headers)",
    "moto.awslambda.models:LambdaFunction.save_logs": "(self, output)",
    "moto.awslambda.models:LambdaFunction.update_configuration": "(self, config_updates)",
    "moto.awslambda.models:lambda_backends": None,
    "moto.awslambda.policy:Policy.add_statement": "(self, raw, qualifier)",
    "moto.cloudformation.exceptions:ValidationError": "(name_or_id, message)",
    "moto.cloudformation.models:ChangeSet.apply": "(self)",
    "moto.cloudformation.models:CloudFormationBackend._resolve_update_parameters": (
        "(self, instance, incoming_params)"
    ),
    "moto.cloudformation.models:CloudFormationBackend.create_change_set": (
        "(self, stack_name, change_set_name, template, parameters, description, change_set_type, "
        "notification_arns, tags, role_arn)"
    ),
    "moto.cloudformation.models:CloudFormationBackend.create_stack": (
        "(self, name, template, parameters, notification_arns, tags, role_arn, "
        "enable_termination_protection, timeout_in_mins, stack_policy_body)"
    ),
    "moto.cloudformation.models:CloudFormationBackend.get_stack": "(self, name_or_stack_id)",
    "moto.cloudformation.models:CloudFormationBackend.update_stack": (
        "(self, name, template, role_arn, parameters, tags)"
    ),
    "moto.cloudformation.models:Stack._create_output_map": "(self)",
    "moto.cloudformation.models:Stack._parse_template": "(self)",
    "moto.cloudformation.models:Stack.parse_template": "(template)",
    "moto.cloudformation.parsing:ResourceMap.build_resource_diff": "(self, other_template, parameters)",
    "moto.cloudformation.parsing:ResourceMap.delete": "(self)",
    "moto.cloudformation.parsing:ResourceMap.load_conditions": "(self)",
    "moto.cloudformation.parsing:ResourceMap.load_mapping": "(self)",
    "moto.cloudformation.parsing:ResourceMap.load_parameters": "(self)",
    "moto.cloudformation.parsing:ResourceMap.update": "(self, template, parameters)",
    "moto.cloudformation.parsing:clean_json": "(resource_json, resources_map)",
    "moto.cloudformation.parsing:resource_class_from_type": "(resource_type)",
    "moto.cloudtrail.responses:CloudTrailResponse": None,
    "moto.core.base_backend:BackendDict.reset": "(cls)",
    "moto.core.responses:ActionResult": "(result)",
    "moto.core.responses:BaseResponse._get_params": "(self)",
    "moto.core.responses:BaseResponse.dispatch": "(cls, *args, **kwargs)",
    "moto.core.responses:BaseResponse.access_key_regex": None,
    "moto.core.responses:BaseResponse.get_access_key": "(self)",
    "moto.core.responses:camelcase_to_underscores": "(argument)",
    "moto.core.responses:gen_amzn_requestid_long": "(headerdict)",
    "moto.core.responses:method_names_from_class": "(clazz)",
    "moto.core.utils:convert_to_flask_response": "(callback)",
    "moto.core.utils:iso_8601_datetime_with_nanoseconds": "()",
    "moto.elasticache.exceptions:ElastiCacheException": None,
    "moto.elasticache.exceptions:InvalidParameterValueException": None,
    "moto.elasticache.exceptions:PasswordTooShort": None,
    "moto.elasticache.exceptions:ReplicationGroupNotFound": "(replication_group_id)",
    "moto.elasticache.exceptions:UserNotFound": "(user_id)",
    "moto.elasticache.responses:ElastiCacheResponse.create_replication_group": "(self)",
    "moto.elasticache.responses:ElastiCacheResponse.delete_user": "(self)",
    "moto.elasticache.responses:ElastiCacheResponse.describe_replication_groups": "(self)",
    "moto.elasticache.responses:ElastiCacheResponse.describe_users": "(self)",
    "moto.elasticache.responses:ElastiCacheResponse.modify_replication_group": "(self)",
    "moto.events.models:EventsBackend.put_events": "(self, events)",
    "moto.events.models:Rule.send_to_targets": "(self, original_event, transform_input)",
    "moto.events.models:events_backends": None,
    "moto.iam.access_control:PermissionResult.NEUTRAL": None,
    "moto.iam.models:IAMBackend.create_role": (
        "(self, role_name, assume_role_policy_document, path, permissions_boundary, description, tags, "
        "max_session_duration, linked_service)"
    ),
    "moto.iam.models:IAMBackend.get_account_authorization_details": "(self, policy_filter)",
    "moto.iam.models:IAMBackend.get_role_policy": "(self, role_name, policy_name)",
    "moto.iam.models:IAMBackend.list_attached_role_policies": (
        "(self, role_name, marker, max_items, path_prefix)"
    ),
    "moto.iam.models:IAMBackend.list_role_policies": "(self, role_name)",
    "moto.iam.models:IAMBackend.put_role_policy": "(self, role_name, policy_name, policy_json)",
    "moto.iam.models:iam_backends": None,
    "moto.iam.responses:IamResponse": None,
    "moto.iam.responses:IamResponse.get_account_authorization_details": "(self)",
    "moto.kms.models:Key": (
        "(policy, key_usage, key_spec, description, account_id, region, multi_region, origin)"
    ),
    "moto.kms.models:Key.add_grant": (
        "(self, name, grantee_principal, operations, constraints, retiring_principal)"
    ),
    "moto.kms.models:Key.to_dict": "(self)",
    "moto.kms.models:KmsBackend.alias_exists": "(self, alias_name)",
    "moto.kms.models:KmsBackend.create_alias": "(self, target_key_id, alias_name)",
    "moto.kms.models:KmsBackend.get_key_id_from_alias": "(self, alias_name)",
    "moto.kms.models:KmsBackend.list_resource_tags": "(self, key_id_or_arn)",
    "moto.kms.models:KmsBackend.update_alias": "(self, target_key_id, alias_name)",
    "moto.kms.models:generate_private_key": "(key_spec)",
    "moto.kms.models:kms_backends": None,
    "moto.kms.responses:KmsResponse.get_key_policy": "(self)",
    "moto.kms.responses:KmsResponse.kms_backend": None,
    "moto.kms.responses:KmsResponse.list_grants": "(self)",
    "moto.kms.responses:KmsResponse.list_key_policies": "(self)",
    "moto.kms.responses:KmsResponse.list_resource_tags": "(self)",
    "moto.kms.responses:KmsResponse.replicate_key": "(self)",
    "moto.kms.responses:KmsResponse.revoke_grant": "(self)",
    "moto.kms.responses:KmsResponse.tag_resource": "(self)",
    "moto.kms.responses:KmsResponse.untag_resource": "(self)",
    "moto.kms.responses:KmsResponse.update_key_description": "(self)",
    "moto.logs.models:LogsBackend.ensure_log_group": "(self, log_group_name)",
    "moto.memorydb.exceptions:InvalidParameterValueException": "(msg)",
    "moto.memorydb.exceptions:MemoryDBClientError": None,
    "moto.memorydb.exceptions:UserNotFoundFault": "(msg)",
    "moto.memorydb.responses:MemoryDBResponse.create_user": "(self)",
    "moto.memorydb.responses:MemoryDBResponse.delete_user": "(self)",
    "moto.memorydb.responses:MemoryDBResponse.describe_users": "(self)",
    "moto.memorydb.responses:MemoryDBResponse.update_user": "(self)",
    "moto.moto_server.werkzeug_app:BackendRequest": None,
    "moto.moto_server.werkzeug_app:DomainDispatcherApplication": "(create_app)",
    "moto.moto_server.werkzeug_app:DomainDispatcherApplication.get_backend_for_host": "(self, host)",
    "moto.moto_server.werkzeug_app:MotoRequestHandler": None,
    "moto.moto_server.werkzeug_app:create_backend_app": "(service)",
    "moto.rds.models:DBCluster.endpoint": None,
    "moto.rds.models:RDSBackend.create_db_cluster": "(self, kwargs)",
    "moto.redshift.models:Cluster.address": None,
    "moto.redshift.models:RedshiftBackend.create_cluster": "(self, **cluster_kwargs)",
    "moto.secretsmanager.exceptions:InvalidRequestException": "(message)",
    "moto.secretsmanager.exceptions:OperationNotPermittedOnReplica": None,
    "moto.secretsmanager.exceptions:SecretsManagerClientError": "(error_type, message, _, **kwargs)",
    "moto.s3.models:FakeBucket.get_permission": "(self, action, resource)",
    "moto.s3.models:s3_backends": None,
    "moto.s3.responses:S3Response._key_response": "(self, request, full_url)",
    "moto.s3.responses:S3Response.put_object": "(self)",
    "moto.secretsmanager.models:FakeSecret": (
        "(account_id, region_name, secret_id, secret_version, version_id, secret_string, secret_binary, "
        "description, tags, kms_key_id, version_stages, last_changed_date, created_date, replica_regions, "
        "force_overwrite)"
    ),
    "moto.secretsmanager.models:FakeSecret.create_replicas": "(self, replica_regions, force_overwrite)",
    "moto.secretsmanager.models:FakeSecret.is_deleted": "(self)",
    "moto.secretsmanager.models:FakeSecret.set_default_version_id": "(self, version_id)",
    "moto.secretsmanager.models:FakeSecret.to_dict": "(self)",
    "moto.secretsmanager.models:ReplicaSecret": "(source, region, status, message)",
    "moto.secretsmanager.models:SecretsManagerBackend._add_secret": (
        "(self, secret_id, secret_string, secret_binary, description, tags, kms_key_id, version_id, "
        "version_stages, replica_regions, force_overwrite)"
    ),
    "moto.secretsmanager.models:SecretsManagerBackend.DEFAULT_KMS_KEY_ALIAS": None,
    "moto.secretsmanager.models:SecretsManagerBackend.delete_secret": (
        "(self, secret_id, recovery_window_in_days, force_delete_without_recovery)"
    ),
    "moto.secretsmanager.models:SecretsManagerBackend.describe_secret": "(self, secret_id)",
    "moto.secretsmanager.models:SecretsManagerBackend.get_secret_value": (
        "(self, secret_id, version_id, version_stage)"
    ),
    "moto.secretsmanager.models:SecretsStore.__contains__": "(self, key)",
    "moto.secretsmanager.models:SecretsStore.__getitem__": "(self, key)",
    "moto.secretsmanager.models:SecretsStore.get": "(self, key)",
    "moto.secretsmanager.models:SecretsStore.pop": "(self, key)",
    "moto.secretsmanager.models:secretsmanager_backends": None,
    "moto.secretsmanager.responses:SecretsManagerResponse.backend": None,
    "moto.secretsmanager.responses:SecretsManagerResponse.create_secret": "(self)",
    "moto.secretsmanager.responses:SecretsManagerResponse.delete_secret": "(self)",
    "moto.secretsmanager.responses:SecretsManagerResponse.describe_secret": "(self)",
    "moto.secretsmanager.responses:SecretsManagerResponse.get_secret_value": "(self)",
    "moto.secretsmanager.responses:SecretsManagerResponse.list_secret_version_ids": "(self)",
    "moto.secretsmanager.responses:SecretsManagerResponse.put_resource_policy": "(self)",
    "moto.secretsmanager.responses:SecretsManagerResponse.put_secret_value": "(self)",
    "moto.secretsmanager.responses:SecretsManagerResponse.rotate_secret": "(self)",
    "moto.secretsmanager.responses:SecretsManagerResponse.update_secret": "(self)",
    "moto.secretsmanager.responses:SecretsManagerResponse.update_secret_version_stage": "(self)",
    "moto.sns.models:sns_backends": None,
    "moto.sts.models:STSBackend.get_assumed_role_from_access_key": "(self, access_key_id)",
    "moto.sts.models:STSBackend.get_caller_identity": "(self, access_key_id, region)",
    "moto.sts.exceptions:STSValidationError": "(*args, **kwargs)",
    "moto.sts.models:sts_backends": None,
    "moto.sts.responses:TokenResponse.assume_role": "(self)",
    "moto.sts.responses:TokenResponse.assume_role_with_saml": "(self)",
    "moto.sts.responses:TokenResponse.assume_role_with_web_identity": "(self)",
}
"""The path of a name, and the names of its parameters; None if it is not called."""


def missing_names() -> list[str]:
    """Return the names of RELIED_ON that the installed moto lacks.

    Returns:
        One line per name that is missing or has other parameters; empty if there is none.
    """
    version = importlib.metadata.version("moto")
    found = ((name, _fault(name, expected)) for name, expected in RELIED_ON.items())
    return [f"moto {version}: {name} {fault}" for name, fault in found if fault]


def _fault(name: str, expected: str | None) -> str | None:
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = inspect.getattr_static(found, part) if inspect.isclass(found) else getattr(found, part)
    except (ImportError, AttributeError):
        return "is gone"
    if expected is None:
        return None
    parameters = inspect.signature(getattr(found, "__func__", found)).parameters.values()
    signature = ", ".join(str(each.replace(annotation=each.empty, default=each.empty)) for each in parameters)
    return None if f"({signature})" == expected else f"takes ({signature}), not {expected}"
