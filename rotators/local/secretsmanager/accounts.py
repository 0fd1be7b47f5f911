"""Secrets of other accounts, which a caller names by their ARN (UG:auth-and-access_examples_cross).

The policies of the secret and of its key must allow the call. Only the secret's account may use the key
aws/secretsmanager: recorded on AWS for GetSecretValue and PutSecretValue (LocalStack's tests,
test_cross_account_access); UpdateSecret with a value is refused in the same way here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from moto.secretsmanager.models import SecretsManagerBackend, secretsmanager_backends

from rotators.iam.evaluator import decide_with
from rotators.local.iam.calls import calls_of, denial
from rotators.local.iam.lookup import caller
from rotators.local.iam.requests import SignedRequest
from rotators.local.secretsmanager.refusals import invalid_request, refusal

if TYPE_CHECKING:
    from rotators.local.iam.lookup import Lookup

_OWNER = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:(\d{12}):secret:.+")
_EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
_DEFAULT_KEY = (
    "You can't access a secret from a different AWS account if you encrypt the secret with the default KMS "
    "service key."
)


def owning_backend(
    own: SecretsManagerBackend, operation: str, access_key: str, params: Mapping[str, Any], lookup: Lookup
) -> SecretsManagerBackend:
    """Return moto's records of the account that owns the secret of a request.

    Args:
        own: moto's records of the caller's account, in the Region of the request.
        operation: such as ``GetSecretValue``.
        access_key: access key of the caller.
        params: members of the request.
        lookup: finds secrets, keys and their policies.

    Raises:
        SecretsManagerClientError: the secret is of another account, and a policy does not allow the call,
            or its value is encrypted with the key aws/secretsmanager.
    """
    named = str(params.get("SecretId", ""))
    owner = _OWNER.fullmatch(named)
    if owner is None or owner[1] == own.account_id:
        return own
    region, who = own.region_name, caller(access_key, own.region_name)
    request = SignedRequest("", own.account_id, region, "secretsmanager", operation, params, who.principal)
    for call in calls_of(request, lookup):
        decision = decide_with((_EVERYTHING,), call, resource=lookup.policy(call.resource))
        if not decision.allowed and decision.conditions != (f"the session {who.session}",):
            raise refusal("AccessDeniedException", denial(request, call, who.arn, "resource"))
    secret = lookup.secret(named, region)
    uses_value = operation == "GetSecretValue" or params.keys() & {"SecretString", "SecretBinary"}
    if uses_value and secret is not None and secret.key is None:
        raise invalid_request(_DEFAULT_KEY)
    return secretsmanager_backends[owner[1]][region]
