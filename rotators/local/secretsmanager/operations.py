"""Secrets Manager's operations where moto answers differently from the service.

Each operation takes the request's parameters, with the caller's ``AccessKey``, and returns the answer's.
`moto_patches.py` replaces moto's with them. They run with the rotations' lock held, unless the docstring says
otherwise. Facts are from the API reference and the User Guide; if these do not define a case, the docstring
describes the choice.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import lambda_backends
from moto.secretsmanager.exceptions import OperationNotPermittedOnReplica, SecretsManagerClientError
from moto.secretsmanager.models import FakeSecret, ReplicaSecret, SecretsManagerBackend

from rotators.local.iam.lookup import caller
from rotators.local.iam.per_secret import refusal_of
from rotators.local.secretsmanager import keys, listing, versions
from rotators.local.secretsmanager.accounts import owning_backend
from rotators.local.secretsmanager.refusals import (
    DELETED,
    NO_FUNCTION,
    NOT_INVOCABLE,
    invalid_parameter,
    invalid_request,
    not_found,
    refusal,
    too_long,
)
from rotators.local.secretsmanager.replication import LocalReplica, check_not_replicated, replicas_of
from rotators.local.secretsmanager.resource_policies import check_policy, findings
from rotators.local.secretsmanager.schedules import check_rules, merge_rules, next_rotation
from rotators.local.secretsmanager.versions import CURRENT, PENDING, PREVIOUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rotators.local.iam.lookup import Lookup
    from rotators.local.secretsmanager.events import EventLog
    from rotators.local.secretsmanager.replication import Replication
    from rotators.local.secretsmanager.rotations import Rotations

Params = dict[str, Any]

_FUNCTION_ARN = re.compile(
    r"arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):function:[\w-]+(:[\w$-]+)?"
)
_ROTATION_TOKEN = re.compile(r"[a-zA-Z0-9-]{36,256}")
_ASSUMED = "ASIA"  # prefix of the access keys of an assumed role (IAM: reference_identifiers)
_TOKEN_LENGTHS = range(32, 65)
_MOST_OF_A_PAGE = 100
_DESCRIBED_ONLY = {"VersionIdsToStages", "ReplicationStatus"}
_MOST_OF_A_BATCH = 20
_MOST_TAGS = 50
_LONGEST_KEY, _LONGEST_VALUE = 128, 256  # of a tag (API reference, Tag)


class Operations:
    """The operations, on one local AWS's rotations and events.

    Each operation takes ``backend``, moto's records of one account and Region, and ``params``, the members of
    the request. It returns the members of the response. It refuses a request by raising
    ``SecretsManagerClientError``, which moto sends to the client.

    Args:
        rotations: starts and drives the rotations.
        replication: creates the replicas.
        events: gets the service's events.
        lookup: finds secrets, keys and their policies.
    """

    def __init__(
        self, rotations: Rotations, replication: Replication, events: EventLog, lookup: Lookup
    ) -> None:
        self.lookup = lookup
        self.rotations = rotations
        self.replication = replication
        self.lock = rotations.lock
        self.events = events

    # --- rotation

    def rotate_secret(self, backend: SecretsManagerBackend, params: Params) -> Params:
        """Store the settings, start the rotation, return at once; see rotations.py for the rest.

        The settings are stored even if a previous rotation is not complete, so that its next attempt uses a
        corrected function ARN (not documented).

        Returns:
            ARN, Name and VersionId, the id of the pending version.

        Raises:
            SecretsManagerClientError: there is no function, its ARN or the rules are not valid, or a previous
                rotation is not complete.
        """
        token = _token(params, missing=invalid_parameter)
        secret = self._writable(backend, params)
        rules = params.get("RotationRules") or {}
        check_rules(rules)
        arn = params.get("RotationLambdaARN") or secret.rotation_lambda_arn
        if not arn:
            raise invalid_request(NO_FUNCTION)
        _check_function(backend, arn)
        self.configure(secret, arn, rules)
        self.rotations.request(secret, token, immediately=params.get("RotateImmediately", True) is not False)
        return {**_named(secret), "VersionId": token}

    def configure(self, secret: FakeSecret, function_arn: str, rules: Params) -> None:
        """Enable rotation without starting one.

        Args:
            secret: Moto's record of the secret.
            function_arn: ARN of the rotation function.
            rules: RotationRules of the request; they are merged into the existing ones.
        """
        state = self.rotations.state(secret)
        state.rules = merge_rules(state.rules, rules)
        secret.rotation_lambda_arn = function_arn
        secret.rotation_requested = secret.rotation_enabled = True

    # --- values

    def get_secret_value(
        self,
        backend: SecretsManagerBackend,
        secret_id: str,
        version_id: str | None,
        version_stage: str | None,
    ) -> Params:
        """Read the value of a version: of AWSCURRENT if neither id nor stage is passed.

        The lock is not held yet.

        Args:
            backend: Moto's records of one account and Region.
            secret_id: Name or ARN.
            version_id: VersionId, or None.
            version_stage: VersionStage, or None.

        Returns:
            The members of the response.
        """
        with self.lock:
            return self._read(backend.describe_secret(secret_id), version_id or None, version_stage or None)

    def batch_get_secret_value(self, backend: SecretsManagerBackend, params: Params) -> Params:
        """Read the values of up to 20 secrets, named by the request or selected by filters.

        A secret of another account, which only its ARN names, is read as GetSecretValue reads it. The API
        reference requires the permissions of GetSecretValue for each secret, and has no further details.

        Returns:
            SecretValues; Errors, one for each secret that cannot be read; NextToken if filters select more.

        Raises:
            SecretsManagerClientError: the request names both secrets and filters or none, or exceeds a limit.
        """
        ids, filters = params.get("SecretIdList") or [], params.get("Filters") or []
        if bool(ids) == bool(filters):
            raise invalid_parameter("Either 'SecretIdList' or 'Filters' must be provided, but not both.")
        if params.get("MaxResults") and not filters:
            raise invalid_parameter(
                "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided."
            )
        if len(ids) > _MOST_OF_A_BATCH:
            raise too_long("secretIdList", _MOST_OF_A_BATCH)
        more: Params = {}
        if filters:
            listing.check_filters(filters)
            there = [secret for secret in backend.secrets.values() if not secret.is_deleted()]
            found = listing.matching(there, filters)
            chosen, more = listing.page(found, params, _MOST_OF_A_BATCH)
            ids = [secret.arn for secret in chosen]
        values, errors = [], []
        for secret_id in ids:
            try:
                if refused := refusal_of.get()(secret_id):
                    raise refusal("AccessDeniedException", refused)
                named = {"SecretId": secret_id}
                key = params["AccessKey"]
                owner = owning_backend(backend, "GetSecretValue", key, named, self.lookup)
                values.append(self._read(owner.describe_secret(secret_id), None, None))
            except SecretsManagerClientError as error:
                errors.append(
                    {"SecretId": secret_id, "ErrorCode": error.error_type, "Message": error.message}
                )
        return {"SecretValues": values, "Errors": errors, **more}

    def list_secrets(self, backend: SecretsManagerBackend, params: Params) -> Params:
        """List the secrets that match all filters; with IncludePlannedDeletion also deleted ones.

        Returns:
            SecretList, and NextToken if there are more.

        Raises:
            SecretsManagerClientError: the request exceeds a limit, or its token is of another request.
        """
        filters = params.get("Filters") or []
        listing.check_filters(filters)
        deleted = bool(params.get("IncludePlannedDeletion"))
        there = [secret for secret in backend.secrets.values() if deleted or not secret.is_deleted()]
        found = listing.in_order(listing.matching(there, filters), params)
        secrets, more = listing.page(found, params, _MOST_OF_A_PAGE)
        return {"SecretList": [_entry(secret.to_dict()) for secret in secrets], **more}

    def _read(self, secret: FakeSecret | ReplicaSecret, version_id: str | None, stage: str | None) -> Params:
        if secret.is_deleted():
            raise invalid_request(DELETED)
        wanted = f"VersionId: {version_id}" if version_id else f"staging label: {stage or CURRENT}"
        if version_id is None:
            version_id = versions.holder(secret, stage or CURRENT)
        version = secret.versions.get(version_id or "")
        if version and stage and stage not in version["version_stages"]:
            raise invalid_request(
                "You provided a VersionStage that is not associated to the provided VersionId."
            )
        if version is None or not versions.has_value(version):
            raise not_found(f"Secrets Manager can't find the specified secret value for {wanted}")
        keys.check_decrypting(secret, version)
        versions.note_read(secret, version)
        names = {"secret_string": "SecretString", "secret_binary": "SecretBinary"}
        return {
            **_named(secret),
            "VersionId": version["version_id"],
            "VersionStages": version["version_stages"],
            "CreatedDate": version["createdate"],
            **{name: version[key] for key, name in names.items() if key in version},
        }

    def check_create(self, backend: SecretsManagerBackend, params: Params) -> None:
        """Refuse requests that CreateSecret refuses and moto accepts.

        Raises:
            SecretsManagerClientError: the value is not valid, or the name is one of a deleted secret.
        """
        _token(params)
        name = params.get("Name", "")
        value = versions.read_value(params)
        tags = params.get("Tags") or []
        check_tags(tags, len(tags))
        if value is not None:
            keys.check_encrypting(backend, params.get("KmsKeyId"))
        existing = backend.secrets.get(name)
        if isinstance(existing, ReplicaSecret):
            message = f"The operation failed because the secret {name} already exists."
            raise refusal("ResourceExistsException", message)
        if existing is not None and existing.is_deleted():
            raise invalid_request(
                "You can't create this secret because a secret with this name is already scheduled "
                "for deletion."
            )

    def put_secret_value(self, backend: SecretsManagerBackend, params: Params) -> Params:
        """Store a value in a new version, or in the empty one that a rotation staged.

        A repeated call is accepted; another value for the same token is refused. A RotationToken that is not
        that of the running rotation is refused. A call without one is accepted, and fails the rotation
        afterwards if an assumed role made it (UG:troubleshoot_rotation). With no rotation running there is
        nothing to compare it with, so that recorded events can be replayed.

        Returns:
            ARN, Name, VersionId and VersionStages.

        Raises:
            SecretsManagerClientError: there is no value, a limit is exceeded, the token has another value, or
                the RotationToken is wrong.
        """
        token = _token(params)
        secret = self._writable(backend, params)
        value = versions.read_value(params)
        if value is None:
            raise invalid_parameter("You must provide either SecretString or SecretBinary.")
        stages = list(params.get("VersionStages") or [CURRENT])
        self._check_rotation_token(secret, params, stages)
        if not secret.versions and CURRENT not in stages:
            stages.append(CURRENT)
        if versions.has_value(secret.versions.get(token, {})):
            _check_repeated(secret, token, value)
        else:
            keys.check_encrypting(backend, secret.kms_key_id)
            versions.put(secret, token, value, stages, self._stage_moved)
        stages = list(secret.versions[token]["version_stages"])
        return {**_named(secret), "VersionId": token, "VersionStages": stages}

    def update_secret(self, backend: SecretsManagerBackend, params: Params) -> Params:
        """Change description, key or value. A repeated call succeeds; another value for its token is refused.

        Of a replica only the key can be changed (UG:standalone-secret).

        Returns:
            ARN and Name, and VersionId if a value was given.

        Raises:
            SecretsManagerClientError: the token is that of another value, the value is not valid, or the key
                cannot encrypt.
        """
        token = _token(params)
        replica = backend.secrets.get(params["SecretId"])
        if isinstance(replica, LocalReplica) and _changes_key_only(params):
            keys.check_encrypting(backend, params["KmsKeyId"])
            replica.change_key(params["KmsKeyId"])
            return _named(replica)
        secret = self._writable(backend, params)
        value = versions.read_value(params)
        if value is not None and token in secret.versions:
            _check_repeated(secret, token, value)
            return {**_named(secret), "VersionId": token}
        if value is not None or "KmsKeyId" in params:
            keys.check_encrypting(backend, params.get("KmsKeyId", secret.kms_key_id))
        secret.description = params.get("Description", secret.description)
        if "KmsKeyId" in params:
            keys.change(secret, params["KmsKeyId"])
        secret.last_changed_date = versions.now()  # type: ignore[assignment] # moto: seconds
        if value is None:
            return _named(secret)
        versions.put(secret, token, value, [CURRENT], self._stage_moved)
        return {**_named(secret), "VersionId": token}

    # --- versions

    def update_secret_version_stage(self, backend: SecretsManagerBackend, params: Params) -> Params:
        """Move or remove one stage; to move it away from another version, the request must name that version.

        Returns:
            ARN and Name.

        Raises:
            SecretsManagerClientError: a version does not exist, the stage is not where the request says, or
                AWSCURRENT would be removed.
        """
        secret = self._writable(backend, params)
        stage, source = params["VersionStage"], params.get("RemoveFromVersionId")
        target = params.get("MoveToVersionId")
        if not source and not target:
            raise invalid_parameter("You must specify RemoveFromVersionId, MoveToVersionId, or both.")
        for version_id in filter(None, (source, target)):
            if version_id not in secret.versions:
                raise not_found(f"Secrets Manager can't find the specified secret version: {version_id}")
        place = versions.holder(secret, stage)
        if source and place != source:
            raise invalid_parameter(f"The staging label {stage} isn't attached to version {source}.")
        if target and not source and place not in (None, target):
            raise invalid_parameter(
                f"The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently "
                f"attached to version {place}, so you must explicitly reference that version in "
                "RemoveFromVersionId."
            )
        if target:
            versions.check_stage_count(secret, [stage])
            versions.attach(secret, stage, target, self._stage_moved)
        elif stage == CURRENT:
            raise invalid_parameter(
                f"You can only move staging label {CURRENT} to a different secret version. "
                "It can't be completely removed."
            )
        else:
            versions.detach(secret, stage)
        return _named(secret)

    def list_secret_version_ids(self, backend: SecretsManagerBackend, params: Params) -> Params:
        """List the versions with a stage; with IncludeDeprecated also the others.

        Returns:
            ARN, Name and Versions (without values), and NextToken if there are more.

        Raises:
            SecretsManagerClientError: MaxResults is outside of its range, or the token is of another request.
        """
        secret = backend.describe_secret(params["SecretId"])
        found = [
            {
                "VersionId": version_id,
                **({"VersionStages": list(stages)} if (stages := version["version_stages"]) else {}),
                "CreatedDate": version["createdate"],
                **({"KmsKeyIds": names} if (names := keys.names(secret, version)) else {}),
                **({"LastAccessedDate": version["accessed"]} if "accessed" in version else {}),
            }
            for version_id, version in secret.versions.items()
            if version["version_stages"] or params.get("IncludeDeprecated")
        ]
        page, more = listing.page(found, params, _MOST_OF_A_PAGE)
        return {**_named(secret), "Versions": page, **more}

    def described(self, to_dict: Callable[[FakeSecret], Params], secret: FakeSecret) -> Params:
        """Describe a secret: moto's description, completed.

        Args:
            to_dict: Moto's own ``FakeSecret.to_dict``.
            secret: Moto's record of the secret.

        Returns:
            The members of the description. The lock is not held yet.
        """
        with self.lock:
            return self._describe(secret, to_dict(secret))

    def _describe(self, secret: FakeSecret, described: Params) -> Params:
        """Moto's description, with rotation as the service shows it and only versions that have stages."""
        self.replication.proceed(secret, described=True)
        state = self.rotations.state(secret)
        due = next_rotation(state.rules, state.last_changed, dt.datetime.now(dt.UTC))
        stages = {name: list(each["version_stages"]) for name, each in secret.versions.items()}
        staged = {name: held for name, held in stages.items() if held} or None
        ours = {
            "VersionIdsToStages": staged,
            "SecretVersionsToStages": staged,
            "LastAccessedDate": getattr(secret, "accessed", None),
            "PrimaryRegion": secret.region if secret.replicas else None,
            "ReplicationStatus": _replication(secret)["ReplicationStatus"] or None,
            "RotationLambdaARN": secret.rotation_lambda_arn or None,
            "RotationRules": dict(state.rules) or None,
            "LastRotatedDate": round(state.last_rotated.timestamp(), 3) if state.last_rotated else None,
            "NextRotationDate": due.timestamp() if due and secret.rotation_enabled else None,
        }
        return {key: value for key, value in {**described, **ours}.items() if value is not None}

    # --- tags

    def tag_resource(self, backend: SecretsManagerBackend, params: Params) -> Params:
        """Set tags of a secret.

        Returns:
            No members.

        Raises:
            SecretsManagerClientError: the secret is a replica or deleted, or the tags are not valid.
        """
        secret = self._writable(backend, params)
        given = params.get("Tags") or []
        before = {tag["Key"]: tag for tag in secret.tags or []}
        tags = {**before, **{tag["Key"]: tag for tag in given}}
        check_tags(given, len(tags))
        secret.tags = list(tags.values())
        return {}

    def untag_resource(self, backend: SecretsManagerBackend, params: Params) -> Params:
        """Remove tags of a secret.

        Returns:
            No members.

        Raises:
            SecretsManagerClientError: the secret is a replica or deleted.
        """
        secret = self._writable(backend, params)
        removed = params.get("TagKeys") or []
        secret.tags = [tag for tag in secret.tags or [] if tag["Key"] not in removed]
        return {}

    # --- policies and replicas

    def put_resource_policy(self, backend: SecretsManagerBackend, params: Params) -> Params:
        """Attach a policy, unless it is malformed, or public and BlockPublicPolicy is set.

        Returns:
            ARN and Name.
        """
        secret = self._writable(backend, params)
        check_policy(params["ResourcePolicy"], block_public=bool(params.get("BlockPublicPolicy")))
        secret.policy = params["ResourcePolicy"]
        return _named(secret)

    def validate_resource_policy(self, backend: SecretsManagerBackend, params: Params) -> Params:
        """Validate a policy without a change.

        Returns:
            PolicyValidationPassed and ValidationErrors.
        """
        named = params.get("SecretId")
        secret = backend.describe_secret(named).arn if named else "*"
        principal = caller(params["AccessKey"], backend.region_name).principal
        found = findings(params["ResourcePolicy"], secret, principal)
        return {"PolicyValidationPassed": not found, "ValidationErrors": found}

    def get_resource_policy(self, backend: SecretsManagerBackend, params: Params) -> Params:
        """Read the resource policy of a secret, or of a replica, which has that of the secret.

        Returns:
            ARN and Name, and ResourcePolicy if there is one.
        """
        secret = backend.describe_secret(params["SecretId"])
        source = secret.source if isinstance(secret, ReplicaSecret) else secret
        return {**_named(secret), **({"ResourcePolicy": source.policy} if source.policy else {})}

    def replicate_secret_to_regions(self, backend: SecretsManagerBackend, params: Params) -> Params:
        """Request replicas in other Regions; they are made after the answer.

        Returns:
            ARN and ReplicationStatus.

        Raises:
            SecretsManagerClientError: the secret is a replica or deleted, or a Region is not valid.
        """
        secret = self._writable(backend, params)
        overwrite = bool(params.get("ForceOverwriteReplicaSecret"))
        secret.replicas = self.replication.request(secret, params["AddReplicaRegions"], overwrite)
        answer = _replication(secret)
        self.replication.proceed(secret)
        return answer

    def remove_regions_from_replication(self, backend: SecretsManagerBackend, params: Params) -> Params:
        """Delete the replicas in some Regions.

        Returns:
            ARN, and ReplicationStatus of the other replicas.

        Raises:
            SecretsManagerClientError: the secret is a replica or deleted.
        """
        secret = self._writable(backend, params)
        self.replication.remove(secret, params["RemoveReplicaRegions"])
        return _replication(secret)

    def adding(
        self, add_secret: Callable[..., Any], backend: SecretsManagerBackend, secret_id: str, **named: Any
    ) -> tuple[FakeSecret, bool]:
        """Create a secret with moto, and complete its record: its dates are whole seconds.

        Args:
            add_secret: moto's own ``SecretsManagerBackend._add_secret``.
            backend: Moto's records of one account and Region.
            secret_id: Name of the secret.
            **named: Further arguments of moto's own method.

        Returns:
            The result of moto's own method.
        """
        is_new = secret_id not in backend.secrets
        secret, has_value = add_secret(backend, secret_id, **named)
        secret.last_changed_date = versions.now()
        if is_new:
            secret.created_date = secret.last_changed_date
            for version in secret.versions.values():
                version["createdate"] = secret.created_date
        return secret, has_value

    def created(self, backend: SecretsManagerBackend, params: Params) -> None:
        """Make the replicas that a successful CreateSecret requested."""
        secret = backend.secrets.get(params["Name"])
        if isinstance(secret, FakeSecret):
            self.replication.proceed(secret)

    def deleting(
        self, delete_secret: Callable[..., Any], backend: SecretsManagerBackend, secret_id: str, **named: Any
    ) -> tuple[str, str, float]:
        """Delete a secret as moto does, which takes the end of the recovery window for DeletedDate.

        API SecretListEntry: DeletedDate is the time of the deletion. The end of the window is DeletionDate,
        which DeleteSecret returns. The lock is not held yet.

        Args:
            delete_secret: moto's own ``SecretsManagerBackend.delete_secret``.
            backend: Moto's records of one account and Region.
            secret_id: Name or ARN.
            **named: Further arguments of moto's own method.

        Returns:
            ARN and name of the secret, and DeletionDate.
        """
        with self.lock:
            secret = backend.secrets.get(secret_id)
            check_not_replicated(secret)
            arn, name, date = delete_secret(backend, secret_id, **named)
            if isinstance(secret, FakeSecret) and secret.is_deleted():
                secret.deleted_date = versions.now()
            return arn, name, round(date, 3)

    def stop_replication_to_replica(self, backend: SecretsManagerBackend, params: Params) -> Params:
        """Make a replica, in its own Region, an independent secret.

        Returns:
            ARN.

        Raises:
            SecretsManagerClientError: the secret is not a replica.
        """
        replica = backend.describe_secret(params["SecretId"])
        if not isinstance(replica, LocalReplica):
            raise invalid_parameter("Operation not permitted on a primary secret.")
        return {"ARN": self.replication.stop(replica).arn}

    # --- shared helpers

    def _writable(self, backend: SecretsManagerBackend, params: Params) -> FakeSecret:
        secret = backend.describe_secret(params["SecretId"])
        if isinstance(secret, ReplicaSecret):
            raise OperationNotPermittedOnReplica
        if secret.is_deleted():
            raise invalid_request(DELETED)
        return secret

    def _check_rotation_token(self, secret: FakeSecret, params: Params, stages: list[str]) -> None:
        given = params.get("RotationToken")
        running = self.rotations.state(secret).running
        if given is None:
            if running and params["AccessKey"].startswith(_ASSUMED):
                running.unproven = True
            return
        if not _ROTATION_TOKEN.fullmatch(given):
            raise invalid_parameter("RotationToken must be 36-256 characters of a-z, A-Z, 0-9 and -.")
        if running and PENDING in stages and given != running.rotation_token:
            raise invalid_request("The RotationToken isn't that of the rotation in progress.")

    def _stage_moved(self, secret: FakeSecret, stage: str, version_id: str) -> None:
        if stage == CURRENT:
            self.rotations.value_changed(secret)
        if stage not in (PENDING, PREVIOUS):
            self.events.stage_updated(secret.arn, secret.name, stage, version_id)


def check_tags(given: list[dict[str, str]], total: int) -> None:
    """Refuse tags that the service refuses (API TagResource, restrictions on tags).

    Keys that begin with ``aws:`` are accepted, because tests set them instead of the services.

    Args:
        given: tags of the request.
        total: number of the secret's tags afterwards.

    Raises:
        SecretsManagerClientError: there are more than 50, a key is given twice, or a text is too long.
    """
    for number, tag in enumerate(given, 1):
        for member, longest in (("Key", _LONGEST_KEY), ("Value", _LONGEST_VALUE)):
            if len(tag.get(member, "")) > longest:
                where = f"tags.{number}.member.{member.lower()}"
                raise too_long(where, longest)
    keys = [tag["Key"] for tag in given]
    if total > _MOST_TAGS:
        raise invalid_parameter(f"A secret can have at most {_MOST_TAGS} tags.")
    if len(set(keys)) < len(keys):
        raise invalid_parameter("A tag key may be given only once.")


def _named(secret: FakeSecret | ReplicaSecret) -> Params:
    return {"ARN": secret.arn, "Name": secret.name}


def _entry(described: Params) -> Params:
    """Return a secret in the form of ListSecrets: without the members that only DescribeSecret has."""
    return {key: value for key, value in described.items() if key not in _DESCRIBED_ONLY}


def _replication(secret: FakeSecret) -> Params:
    return {"ARN": secret.arn, "ReplicationStatus": [each.shown() for each in replicas_of(secret)]}


def _token(params: Params, missing: Callable[[str], Exception] = invalid_request) -> str:
    """Return the token of a request; without one, the error that ``missing`` makes. SDKs always send one."""
    token: str = params.get("ClientRequestToken") or ""
    if not token:
        raise missing("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
    if len(token) not in _TOKEN_LENGTHS:
        raise invalid_parameter("ClientRequestToken must be 32-64 characters long.")
    return token


def _changes_key_only(params: Params) -> bool:
    return "KmsKeyId" in params and not params.keys() & {"Description", "SecretString", "SecretBinary"}


def _check_repeated(secret: FakeSecret, token: str, value: versions.Value) -> None:
    """Refuse a value that differs from that of the token's version."""
    if not versions.same_value(secret.versions[token], value):
        raise refusal(
            "ResourceExistsException",
            f"You can't use ClientRequestToken {token} because that value is already in use for a version of "
            f"secret {secret.arn}.",
        )


def _check_function(backend: SecretsManagerBackend, arn: str) -> None:
    """Refuse an ARN of anything but a function, and a missing, closed or other Region's function."""
    parsed = _FUNCTION_ARN.fullmatch(arn)
    if not parsed:
        raise invalid_parameter("RotationLambdaARN is not the ARN of a Lambda function.")
    if parsed["region"] != backend.region_name:
        raise invalid_parameter("The rotation function must be in the same Region as the secret.")
    try:
        function = lambda_backends[parsed["account"]][backend.region_name].get_function(arn)
    except LambdaClientError:
        raise refusal("AccessDeniedException", NOT_INVOCABLE) from None
    if not any(_admits(statement, backend.account_id) for statement in function.policy.statements):
        raise refusal("AccessDeniedException", NOT_INVOCABLE)


def _admits(statement: Params, account: str) -> bool:
    """Return True if a function's policy lets Secrets Manager call it for secrets of an account."""
    principal = statement.get("Principal", {})
    service = principal.get("Service") if isinstance(principal, dict) else None
    if statement.get("Effect") != "Allow" or service != "secretsmanager.amazonaws.com":
        return False
    conditions = statement.get("Condition", {}).get("StringEquals", {})
    wanted = {key.lower(): value for key, value in conditions.items()}
    return bool(wanted.get("aws:sourceaccount", account) == account)
